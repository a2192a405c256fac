"""Uploads in numbered parts, which only the XML API has.

Source: https://cloud.google.com/storage/docs/multipart-uploads
"""

from urllib.parse import quote
from xml.etree import ElementTree

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator import errors
from vertex_emulator.object_store.blobs import Blob
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.object_store.uploads import Upload, Uploads
from vertex_emulator.storage_api.requests import header_conditions, read_body
from vertex_emulator.storage_api.resources import base_url
from vertex_emulator.storage_api.responses import xml_response
from vertex_emulator.storage_api.upload_methods import announced_hashes, receive
from vertex_emulator.storage_api.xml_headers import attributes_of, entity_tag, hex_tag

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_BODY_LIMIT = 4 << 20  # bytes: 10,000 parts at 200 bytes each fit twice
_LAST_PART = 10_000


async def serve(objects: Objects, uploads: Uploads, request: Request) -> Response:
    """Serves `/{bucket}/{object}?uploadId=…`.

    Raises:
        ApiError: 400 for what is not emulated; 404 for an unknown upload.
    """
    match request.method:
        case "POST":
            return await _complete(uploads, request)
        case "PUT" if "x-goog-copy-source" not in request.headers:
            return await _put_part(objects, uploads, request)
        case "DELETE":
            await run_in_threadpool(lambda: uploads.cancel(_upload(uploads, request)))
            return Response(status_code=204)
    raise errors.not_emulated(f"The emulator has no {request.method} of an upload in parts.")


def start(uploads: Uploads, request: Request) -> Response:
    """Serves `POST /{bucket}/{object}?uploads`."""
    target = Ref(
        request.path_params["bucket"],
        request.path_params["object"],
        conditions=header_conditions(request),
    )
    upload = uploads.start(target, attributes_of(request))
    return xml_response(
        "InitiateMultipartUploadResult",
        [("Bucket", target.bucket), ("Key", target.name), ("UploadId", upload.id)],
        namespace=_NAMESPACE,
    )


async def _put_part(objects: Objects, uploads: Uploads, request: Request) -> Response:
    upload = await run_in_threadpool(_upload, uploads, request)
    text = request.query_params.get("partNumber", "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= number <= _LAST_PART:
        raise errors.invalid_argument(f"Expected partNumber from 1 to {_LAST_PART}, got {text!r}.")
    blob = await receive(objects, request.stream(), announced_hashes(request, {}))
    await run_in_threadpool(uploads.put_part, upload, number, blob)
    return Response(
        headers={
            "etag": hex_tag(blob.md5 or ""),
            "x-goog-hash": f"crc32c={blob.crc32c},md5={blob.md5}",
        }
    )


async def _complete(uploads: Uploads, request: Request) -> Response:
    body = await read_body(request, _BODY_LIMIT)
    upload = await run_in_threadpool(_upload, uploads, request)
    parts = _chosen(await run_in_threadpool(uploads.parts, upload), body)
    with uploads.only_request(upload):
        stored = await run_in_threadpool(uploads.assemble, upload, parts)
    target = upload.target
    response = xml_response(
        "CompleteMultipartUploadResult",
        [
            ("Location", f"{base_url(request)}/{target.bucket}/{quote(target.name)}"),
            ("Bucket", target.bucket),
            ("Key", target.name),
            ("ETag", entity_tag(stored)),
        ],
        namespace=_NAMESPACE,
    )
    response.headers["x-goog-generation"] = str(stored.generation)
    response.headers["x-goog-hash"] = f"crc32c={stored.blob.crc32c}"
    return response


def _chosen(received: dict[int, Blob], body: bytes) -> list[Blob]:
    """Returns the parts that the client names, in its order, which must ascend.

    Raises:
        ApiError: 400 for a malformed body, or a part that was not received as it says.
    """
    if b"<!DOCTYPE" in body:  # entities could expand without bound
        raise errors.invalid_argument("Expected a body without a document type.")
    try:
        named = [
            (int(part.findtext("{*}PartNumber") or 0), (part.findtext("{*}ETag") or "").strip('"'))
            for part in ElementTree.fromstring(body).iterfind("{*}Part")  # noqa: S314
        ]
    except (ElementTree.ParseError, ValueError) as error:
        raise errors.invalid_argument(
            f"Expected a CompleteMultipartUpload document: {error}."
        ) from error
    numbers = [number for number, _ in named]
    if not named or numbers != sorted(set(numbers)):
        raise errors.invalid_argument(f"Expected parts in ascending order, got {numbers[:20]}.")
    for number, etag in named:
        if number not in received or hex_tag(received[number].md5 or "").strip('"') != etag:
            raise errors.invalid_argument(f"Part {number} with ETag {etag!r} was not received.")
    return [received[number] for number in numbers]


def _upload(uploads: Uploads, request: Request) -> Upload:
    upload = uploads.get(request.query_params["uploadId"])
    named = (request.path_params["bucket"], request.path_params["object"])
    if named != (upload.target.bucket, upload.target.name):
        raise errors.not_found(f"No such upload of {'/'.join(named)}: {upload.id}.", "NoSuchUpload")
    return upload
