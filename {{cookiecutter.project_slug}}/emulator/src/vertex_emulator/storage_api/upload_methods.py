"""Uploads of the JSON API: simple, multipart and resumable.

Source: https://cloud.google.com/storage/docs/uploads-downloads#uploads
"""

import re
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator import errors
from vertex_emulator.object_store.blobs import Blob
from vertex_emulator.object_store.object_rows import StoredObject
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.object_store.uploads import Upload, Uploads
from vertex_emulator.storage_api.related import read_related
from vertex_emulator.storage_api.requests import (
    conditions,
    large_chunks,
    read_json,
    refuse_not_emulated,
    unpacked,
)
from vertex_emulator.storage_api.resources import base_url, new_object_attributes, object_resource
from vertex_emulator.storage_api.responses import json_response

_HASH_NAMES = {"md5": "md5Hash", "crc32c": "crc32c"}
# `0-*` goes on to the end of the body: what Node's client sends.
_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18}|\*)|\*)/(\d{1,18}|\*)")


async def insert(objects: Objects, uploads: Uploads, request: Request) -> Response:
    """Serves `POST /upload/storage/v1/b/{bucket}/o`, whichever the kind of upload.

    gcsfs also sends the chunks of a resumable upload by POST.

    Raises:
        ApiError: 400 for an unknown kind, a bad name or content that does not match its hash;
            404 for the bucket; 412 when the preconditions do not hold.
    """
    refuse_not_emulated(request)
    if "upload_id" in request.query_params:
        return await resume(objects, uploads, request)
    kind = request.query_params.get("uploadType")
    if kind == "resumable":
        return await _start(uploads, request)
    content_type = request.headers.get("content-type", "")
    if kind == "multipart":
        parts = await read_related(unpacked(request), content_type)
        document, content_type, media = parts.document, parts.content_type, parts.media
    elif kind == "media":
        document, media = {}, unpacked(request)
    else:
        raise errors.invalid_argument(
            f"Expected uploadType to be media, multipart or resumable, got {kind!r}."
        )
    target = _target(request, document)
    attributes = _attributes(request, document, content_type)
    hashes = announced_hashes(request, document)
    blob = await receive(objects, media, hashes)
    stored = await run_in_threadpool(objects.put, target, blob, attributes)
    return json_response(request, object_resource(request, stored))


async def receive(objects: Objects, media: AsyncIterator[bytes], hashes: dict[str, str]) -> Blob:
    """Writes a body to a new blob, which the caller then owns.

    Raises:
        ApiError: 400 when the content does not match the announced hashes.
    """
    chunks = large_chunks(media)
    first = await anext(chunks, b"")
    second = await anext(chunks, b"")
    if not second:  # the small upload: one visit to the thread pool does it all
        return await run_in_threadpool(_write_whole, objects, first, hashes)
    with objects.new_blob() as writer:
        for data in (first, second):
            await run_in_threadpool(writer.write, data)
        async for data in chunks:
            await run_in_threadpool(writer.write, data)
        blob = writer.finish()
        return checked(objects, blob, hashes)


def _write_whole(objects: Objects, data: bytes, hashes: dict[str, str]) -> Blob:
    with objects.new_blob() as writer:
        writer.write(data)
        blob = writer.finish()
    return checked(objects, blob, hashes)


def checked(objects: Objects, blob: Blob, hashes: dict[str, str]) -> Blob:
    """Returns the blob; removes it when its content is not what the client announced.

    Raises:
        ApiError: 400.
    """
    for name, actual in (("md5Hash", blob.md5), ("crc32c", blob.crc32c)):
        if name in hashes and hashes[name] != actual:
            objects.blobs.discard(blob.id)
            raise errors.invalid_argument(
                f"Provided {name} {hashes[name]!r} doesn't match the digest of the content, "
                f"{actual!r}; send it again.",
                "BadDigest",
            )
    return blob


def announced_hashes(request: Request, document: dict[str, Any]) -> dict[str, str]:
    """Returns the hashes that the client wants checked, from metadata and headers."""
    hashes = {name: document[name] for name in _HASH_NAMES.values() if document.get(name)}
    for pair in request.headers.get("x-goog-hash", "").split(","):
        algorithm, _, value = pair.strip().partition("=")
        if algorithm in _HASH_NAMES:
            hashes[_HASH_NAMES[algorithm]] = value
    if "content-md5" in request.headers:
        hashes["md5Hash"] = request.headers["content-md5"]
    return hashes


def _target(request: Request, document: dict[str, Any]) -> Ref:
    name = request.query_params.get("name") or document.get("name")
    if not isinstance(name, str):
        raise errors.invalid_argument("Expected the object's name, in `name` or in the metadata.")
    return Ref(request.path_params["bucket"], name, conditions=conditions(request))


def _attributes(request: Request, document: dict[str, Any], content_type: str) -> dict[str, Any]:
    attributes = new_object_attributes(document)
    if "contentEncoding" in request.query_params:
        attributes["contentEncoding"] = request.query_params["contentEncoding"]
    return {"contentType": content_type or "application/octet-stream"} | attributes


async def _start(uploads: Uploads, request: Request) -> Response:
    document = await read_json(request)
    target = _target(request, document)
    attributes = _attributes(request, document, request.headers.get("x-upload-content-type", ""))
    hashes = announced_hashes(request, document)
    announced = request.headers.get("x-upload-content-length", "")
    size = int(announced) if re.fullmatch(r"[0-9]{1,18}", announced) else None
    upload = await run_in_threadpool(uploads.start, target, attributes, hashes, size)
    return started(request, upload)


def started(request: Request, upload: Upload) -> Response:
    """Answers the beginning of a resumable upload: where its bytes go."""
    location = (
        f"{base_url(request)}/upload/storage/v1/b/{upload.target.bucket}/o"
        f"?uploadType=resumable&upload_id={upload.id}"
    )
    return Response(headers={"location": location, "x-guploader-uploadid": upload.id})


async def resume(objects: Objects, uploads: Uploads, request: Request) -> Response:
    """Serves `PUT /upload/…?upload_id=…`: a chunk, the last chunk or a question about progress.

    Answers 308 with the range received while bytes are missing, and the object at the end.

    Raises:
        ApiError: 400 for a range that does not fit or content that does not match its hash; 404
            for an unknown upload; 412 when the preconditions no longer hold.
    """
    upload = await run_in_threadpool(uploads.get, request.query_params.get("upload_id", ""))
    if upload.generation is not None:
        ref = Ref(upload.target.bucket, upload.target.name, upload.generation)
        stored = await run_in_threadpool(objects.stat, ref)
        return json_response(request, object_resource(request, stored))
    with uploads.only_request(upload):
        start, end, total = _content_range(request)
        if total is not None and upload.size not in {None, total}:
            raise errors.invalid_argument(
                f"Expected {upload.size} bytes as announced at the start, got a total of {total}."
            )
        received = uploads.received(upload)
        if start is not None:
            received = await _append(uploads, upload, request, start, end)
        if start is not None and end is None and total is None:  # the body was all the rest
            total = received if upload.size is None else upload.size
        if total is None or received < total:
            return _incomplete(received)
        if received > total:
            raise errors.invalid_argument(f"Expected {total} bytes in all, got {received}.")
        hashes = upload.hashes | announced_hashes(request, {})
        stored = await run_in_threadpool(_finish, objects, uploads, upload, hashes)
    return json_response(request, object_resource(request, stored))


def cancel(uploads: Uploads, request: Request) -> Response:
    """Serves `DELETE /upload/…?upload_id=…`, which answers 499 where it succeeds.

    Raises:
        ApiError: 404 for an unknown upload.
    """
    upload = uploads.get(request.query_params.get("upload_id", ""))
    with uploads.only_request(upload):
        uploads.cancel(upload)
    return Response(status_code=499)


def _finish(
    objects: Objects, uploads: Uploads, upload: Upload, hashes: dict[str, str]
) -> StoredObject:
    try:
        blob = checked(objects, uploads.measure(upload), hashes)
    except errors.ApiError:
        uploads.cancel(upload)
        raise
    return uploads.finish(upload, blob)


def _content_range(request: Request) -> tuple[int | None, int | None, int | None]:
    """Returns first byte, last byte and total; no first byte means a question about progress.

    Raises:
        ApiError: 400.
    """
    header = request.headers.get("content-range")
    if header is None:
        return 0, None, None
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None:
        raise errors.invalid_argument(
            f"Expected Content-Range: bytes FIRST-LAST/TOTAL, got {header!r}."
        )
    first, last, total = (int(text) if text and text != "*" else None for text in match.groups())
    return first, last, total


async def _append(
    uploads: Uploads, upload: Upload, request: Request, start: int, end: int | None
) -> int:
    """Keeps what is new of a chunk, also when the connection breaks; returns the bytes here."""
    received = uploads.received(upload)
    if start > received:
        raise errors.invalid_argument(
            f"The chunk begins at byte {start}, but only {received} bytes were received before."
        )
    position = start
    async for data in large_chunks(unpacked(request)):
        fresh = data[max(0, received - position) :]
        position += len(data)
        if end is not None and position > end + 1:
            raise errors.invalid_argument(f"The chunk was to end with byte {end}, but continues.")
        if fresh:
            await run_in_threadpool(uploads.append, upload, fresh)
    if end is not None and position != end + 1:
        raise errors.invalid_argument(f"The chunk was to end with byte {end}, not {position - 1}.")
    return uploads.received(upload)


def _incomplete(received: int) -> Response:
    headers = {"range": f"bytes=0-{received - 1}"} if received else {}
    return Response(status_code=308, headers={**headers, "content-length": "0"})
