"""The XML API, as far as clients use it: uploads in parts, and reading an object by its path.

Source: https://cloud.google.com/storage/docs/xml-api/overview
"""

from typing import Any
from xml.etree import ElementTree

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator import errors
from vertex_emulator.object_store.blobs import Blob
from vertex_emulator.object_store.buckets import valid_bucket_name
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.object_store.uploads import Upload, Uploads
from vertex_emulator.storage_api import media
from vertex_emulator.storage_api.requests import read_body, refuse_not_emulated
from vertex_emulator.storage_api.resources import base_url
from vertex_emulator.storage_api.responses import xml_response
from vertex_emulator.storage_api.upload_methods import announced_hashes, receive

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_BODY_LIMIT = 4 << 20  # bytes: 10,000 parts at 200 bytes each fit twice
_LAST_PART = 10_000
_HEADERS = {
    "cache-control": "cacheControl",
    "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding",
    "content-language": "contentLanguage",
    "content-type": "contentType",
    "x-goog-storage-class": "storageClass",
}
_METADATA = "x-goog-meta-"


async def serve(objects: Objects, uploads: Uploads, request: Request) -> Response:
    """Serves `/{bucket}/{object}` with any method.

    Raises:
        ApiError: 501 for what is not emulated.
    """
    refuse_not_emulated(request)
    parameters = request.query_params
    match request.method:
        case "GET" | "HEAD" if valid_bucket_name(request.path_params["bucket"]):
            if "uploadId" not in parameters:
                return await run_in_threadpool(media.download, objects, request)
        case "POST" if "uploads" in parameters:
            return await run_in_threadpool(_start, uploads, request)
        case "POST" if "uploadId" in parameters:
            return await _complete(uploads, request)
        case "PUT" if "uploadId" in parameters:
            return await _put_part(objects, uploads, request)
        case "DELETE" if "uploadId" in parameters:
            await run_in_threadpool(lambda: uploads.cancel(_upload(uploads, request)))
            return Response(status_code=204)
    raise errors.not_emulated(f"The emulator has no {request.method} {request.url.path}.")


def _start(uploads: Uploads, request: Request) -> Response:
    target = Ref(request.path_params["bucket"], request.path_params["object"])
    attributes: dict[str, Any] = {"contentType": "application/octet-stream"}
    metadata = {}
    for name, value in request.headers.items():
        if name in _HEADERS:
            attributes[_HEADERS[name]] = value
        elif name.startswith(_METADATA):
            metadata[name.removeprefix(_METADATA)] = value
    if metadata:
        attributes["metadata"] = metadata
    upload = uploads.start(target, attributes)
    return xml_response(
        "InitiateMultipartUploadResult",
        {"Bucket": target.bucket, "Key": target.name, "UploadId": upload.id},
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
        headers={"etag": f'"{blob.md5}"', "x-goog-hash": f"crc32c={blob.crc32c},md5={blob.md5}"}
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
        {
            "Location": f"{base_url(request)}/{target.bucket}/{target.name}",
            "Bucket": target.bucket,
            "Key": target.name,
            "ETag": f'"{stored.blob.crc32c}"',
        },
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
        if number not in received or received[number].md5 != etag:
            raise errors.invalid_argument(f"Part {number} with ETag {etag!r} was not received.")
    return [received[number] for number in numbers]


def _upload(uploads: Uploads, request: Request) -> Upload:
    upload = uploads.get(request.query_params["uploadId"])
    named = (request.path_params["bucket"], request.path_params["object"])
    if named != (upload.target.bucket, upload.target.name):
        raise errors.not_found(f"No such upload of {'/'.join(named)}: {upload.id}.", "NoSuchUpload")
    return upload
