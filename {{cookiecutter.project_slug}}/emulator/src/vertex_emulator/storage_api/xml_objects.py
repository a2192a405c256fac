"""Objects in the XML API: reading, writing, copying and removing them by their path."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator import errors
from vertex_emulator.object_store.blobs import Blob
from vertex_emulator.object_store.object_rows import StoredObject
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.object_store.uploads import Uploads
from vertex_emulator.storage_api import media
from vertex_emulator.storage_api.requests import header_conditions, integer, number
from vertex_emulator.storage_api.resources import moment
from vertex_emulator.storage_api.responses import xml_response
from vertex_emulator.storage_api.upload_methods import announced_hashes, receive, started
from vertex_emulator.storage_api.xml_headers import attributes_of, entity_tag

_REPLACED = ("response-content-disposition", "response-content-type")
_LENGTH_RANGE = re.compile(r"(\d{1,18}),(\d{1,18})")


def get(objects: Objects, request: Request) -> Response:
    """Serves `GET` and `HEAD /{bucket}/{object}`.

    Raises:
        ApiError: 404, 412, 304; 416 for a range past the end.
    """
    stored, file = objects.open(_ref(request))
    replaced = {
        name.removeprefix("response-"): media.header_text(request.query_params[name])
        for name in _REPLACED
        if name in request.query_params
    }
    try:
        _check_dates(request, stored)
    except BaseException:
        file.close()
        raise
    return media.respond(request, stored, file, entity_tag(stored), replaced)


async def put(objects: Objects, request: Request) -> Response:
    """Serves `PUT /{bucket}/{object}`, with a signed URL too: signatures are not checked.

    Raises:
        ApiError: 404 for the bucket; 412; 400 for attributes, hashes or a length that do not hold.
    """
    target, attributes = _ref(request), attributes_of(request)
    await run_in_threadpool(objects.check_target, target)
    blob = await receive(objects, request.stream(), announced_hashes(request, {}))
    _check_length(objects, request, blob)
    stored = await run_in_threadpool(objects.put, target, blob, attributes)
    return Response(headers=_made(stored))


def copy(objects: Objects, request: Request) -> Response:
    """Serves `PUT /{bucket}/{object}` with `x-goog-copy-source: BUCKET/OBJECT`.

    Raises:
        ApiError: 400 for a malformed source or directive; 404; 412.
    """
    named = unquote(request.headers["x-goog-copy-source"]).removeprefix("/")
    bucket, slash, name = named.partition("/")
    if not slash:
        raise errors.invalid_argument(
            f"Expected x-goog-copy-source to be BUCKET/OBJECT, got {named[:80]!r}."
        )
    directive = request.headers.get("x-goog-metadata-directive", "COPY")
    if directive not in {"COPY", "REPLACE"}:
        raise errors.invalid_argument(
            f"Expected x-goog-metadata-directive to be COPY or REPLACE, got {directive[:80]!r}."
        )
    source = "x-goog-copy-source-generation"
    generation = request.headers.get(source)
    stored = objects.copy(
        Ref(
            bucket,
            name,
            None if generation is None else number(source, generation),
            header_conditions(request, "x-goog-copy-source-if-"),
        ),
        _ref(request),
        attributes_of(request) if directive == "REPLACE" else None,
    )
    tree = [("LastModified", moment(stored.updated)), ("ETag", entity_tag(stored))]
    response = xml_response("CopyObjectResult", tree)
    response.headers.update(_made(stored))
    return response


def delete(objects: Objects, request: Request) -> Response:
    """Serves `DELETE /{bucket}/{object}`."""
    objects.delete(_ref(request))
    return Response(status_code=204)


def start_resumable(uploads: Uploads, request: Request) -> Response:
    """Serves `POST /{bucket}/{object}` with `x-goog-resumable: start`.

    The upload goes on as one of the JSON API, at the address in `Location`.
    """
    upload = uploads.start(_ref(request), attributes_of(request), announced_hashes(request, {}))
    response = started(request, upload)
    response.status_code = 201
    return response


def _ref(request: Request) -> Ref:
    parameters = request.path_params
    generation = integer(request, "generation")
    return Ref(parameters["bucket"], parameters["object"], generation, header_conditions(request))


def _check_dates(request: Request, stored: StoredObject) -> None:
    """Serves `If-Modified-Since` and `If-Unmodified-Since`, which count seconds (RFC 9110, 13)."""
    changed = datetime.fromtimestamp(stored.updated // 1_000_000, UTC)
    since = _date(request, "if-modified-since")
    if since and changed <= since and "if-none-match" not in request.headers:
        raise errors.not_modified(f"The object was not modified since {since}.")
    until = _date(request, "if-unmodified-since")
    if until and changed > until and "if-match" not in request.headers:
        raise errors.precondition_failed(f"The object was modified at {changed}.")


def _date(request: Request, name: str) -> datetime | None:
    """Reads a header; a date that is none is ignored, as HTTP has it."""
    try:
        when = parsedate_to_datetime(request.headers.get(name, ""))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _check_length(objects: Objects, request: Request, blob: Blob) -> None:
    """Serves `x-goog-content-length-range: MIN,MAX`, which a signed URL may demand."""
    text = request.headers.get("x-goog-content-length-range")
    if text is None:
        return
    match = _LENGTH_RANGE.fullmatch(text)
    if match and int(match[1]) <= blob.size <= int(match[2]):
        return
    objects.blobs.discard(blob.id)
    if match is None:
        raise errors.invalid_argument(
            f"Expected x-goog-content-length-range to be MIN,MAX, got {text[:80]!r}."
        )
    reason = "EntityTooSmall" if blob.size < int(match[1]) else "EntityTooLarge"
    raise errors.invalid_argument(f"Expected {text} bytes, got {blob.size}.", reason)


def _made(stored: StoredObject) -> dict[str, str]:
    hashes = [f"crc32c={stored.blob.crc32c}"]
    if stored.blob.md5:
        hashes.append(f"md5={stored.blob.md5}")
    return {
        "etag": entity_tag(stored),
        "x-goog-generation": str(stored.generation),
        "x-goog-metageneration": str(stored.metageneration),
        "x-goog-hash": ",".join(hashes),
        "x-goog-stored-content-length": str(stored.size),
    }
