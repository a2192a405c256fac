"""Reads a `multipart/related` upload: a JSON part, then the media, which is streamed through.

Source: RFC 2387 and https://cloud.google.com/storage/docs/uploading-objects (multipart uploads).
Lines end with CRLF, or with LF as gcsfs and gcloud write them.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

from vertex_emulator import errors
from vertex_emulator.storage_api.requests import parse_json

_HEAD_LIMIT = 1 << 20  # bytes before the media


@dataclass(frozen=True)
class Related:
    """Both parts of an upload.

    Attributes:
        document: what the JSON part says.
        content_type: of the media part, or "".
        media: the bytes, which end where the closing boundary begins.
    """

    document: dict[str, Any]
    content_type: str
    media: AsyncIterator[bytes]


def boundary_of(content_type: str) -> bytes:
    """Returns the boundary that a `multipart/…` content type names.

    gcloud puts it in single quotes, which are not part of it.

    Raises:
        ApiError: 400 when there is none.
    """
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_maintype() != "multipart" or not boundary:
        raise errors.invalid_argument(
            f"Expected a multipart content type with a boundary, got {content_type!r}."
        )
    if boundary.startswith("'") and boundary.endswith("'"):
        boundary = boundary[1:-1]
    return boundary.encode()


async def read_related(stream: AsyncIterator[bytes], content_type: str) -> Related:
    """Reads up to the first byte of the media.

    Args:
        stream: the request's body.
        content_type: of the request.

    Raises:
        ApiError: 400 for a malformed body; 413 when the JSON part is too large.
    """
    delimiter = b"--" + boundary_of(content_type)
    buffer = bytearray()

    async def read_until(mark: bytes) -> bytes:
        while (end := buffer.find(mark)) < 0:
            data = await anext(stream, None)
            if data is None:
                raise _malformed("the body ends before the media")
            buffer.extend(data)
            if len(buffer) > _HEAD_LIMIT + len(data):
                raise errors.too_large(f"Expected at most {_HEAD_LIMIT} bytes before the media.")
        found = bytes(buffer[:end])
        del buffer[: end + len(mark)]
        return found

    await read_until(delimiter)
    line_end = b"\n"
    padding = await read_until(b"\n")
    if padding.endswith(b"\r"):
        line_end = b"\r\n"
    await _read_headers(read_until, line_end)
    document = parse_json(await read_until(line_end + delimiter))
    await read_until(line_end)
    headers = await _read_headers(read_until, line_end)
    return Related(
        document,
        headers.get("content-type", ""),
        _until_boundary(bytes(buffer), stream, line_end + delimiter),
    )


async def _read_headers(read_until: Any, line_end: bytes) -> Message:
    """Reads the headers of a part, which may have none, and the blank line after them."""
    lines = []
    while line := await read_until(line_end):
        lines.append(line)
    return BytesHeaderParser().parsebytes(b"\n".join(lines) + b"\n\n")


async def _until_boundary(
    first: bytes, stream: AsyncIterator[bytes], mark: bytes
) -> AsyncIterator[bytes]:
    """Yields what lies before the mark, holding back what may be the beginning of it."""
    held = first
    while (end := held.find(mark)) < 0:
        safe = max(0, len(held) - len(mark) + 1)
        if safe:
            yield held[:safe]
        data = await anext(stream, None)
        if data is None:
            raise _malformed("the body ends before the closing boundary")
        held = held[safe:] + data
    if end:
        yield held[:end]
    async for _ in stream:  # whatever follows the boundary belongs to no part
        pass


def _malformed(why: str) -> errors.ApiError:
    return errors.invalid_argument(f"Expected a multipart/related body of two parts: {why}.")
