"""Downloads: the bytes of an object, whole or in part, with the headers that clients check."""

import gzip
import re
from collections.abc import Mapping
from email.utils import formatdate
from io import BufferedReader
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vertex_emulator import errors
from vertex_emulator.object_store.blobs import CHUNK
from vertex_emulator.object_store.object_rows import StoredObject
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.storage_api.requests import object_ref, refuse_not_emulated
from vertex_emulator.storage_api.resources import etag

# An HTML object opened from the address bar has the emulator's origin, and could ask it to run
# code; in a sandbox it has none. Google needs neither header: its API has an origin of its own.
_HARMLESS = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
# Byte positions past 18 digits are past any object, and refused as malformed ranges are: ignored.
_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, 2.3.1
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def download(objects: Objects, request: Request) -> Response:
    """Serves `GET …/o/{object}?alt=media` and `/download/…`.

    Raises:
        ApiError: 404, 412, 304; 416 for a range past the end.
    """
    refuse_not_emulated(request)
    stored, file = objects.open(object_ref(request))
    return respond(request, stored, file, etag(stored.generation, stored.metageneration), {})


def respond(
    request: Request,
    stored: StoredObject,
    file: BufferedReader,
    current: str,
    replaced: Mapping[str, str],
) -> Response:
    """Answers with the bytes of an object, or the part asked for, and closes the file.

    Args:
        request: of which `Range`, `Accept-Encoding` and conditions on entity tags are served.
        stored: the object.
        file: its bytes.
        current: its entity tag.
        replaced: headers to send in place of the object's own.

    Raises:
        ApiError: as `download`.
    """
    try:
        check_etags(request, current.strip('"'))
        headers = {"etag": current, **_headers(stored), **replaced}
        return _respond(request, stored, file, headers)
    except BaseException:
        file.close()
        raise


def check_etags(request: Request, current: str) -> None:
    """Serves `If-Match` and `If-None-Match` of a read.

    Raises:
        ApiError: 412 or 304.
    """
    wanted = request.headers.get("if-match")
    if wanted and current not in _etags(wanted):
        raise errors.precondition_failed(f"If-Match: {wanted} does not hold: it is {current}.")
    unwanted = request.headers.get("if-none-match")
    if unwanted and current in _etags(unwanted):
        raise errors.not_modified(f"If-None-Match: {unwanted} does not hold.")


def _etags(header: str) -> set[str]:
    return {text.strip().removeprefix("W/").strip('"') for text in header.split(",")}


def _respond(
    request: Request, stored: StoredObject, file: BufferedReader, headers: dict[str, str]
) -> Response:
    if _is_to_be_unpacked(request, stored, file):
        # Neither length nor ranges of the unpacked form are known: it is sent whole.
        return _FileSlice(gzip.GzipFile(fileobj=file), None, headers, owner=file)
    if stored.attributes.get("contentEncoding"):
        headers["content-encoding"] = header_text(stored.attributes["contentEncoding"])
    headers["accept-ranges"] = "bytes"
    span = _requested_range(request.headers.get("range"), stored.size)
    if span is None:
        start, length, status = 0, stored.size, 200
    else:
        start, length, status = span[0], span[1] - span[0] + 1, 206
        headers["content-range"] = f"bytes {span[0]}-{span[1]}/{stored.size}"
    if request.method == "HEAD":
        file.close()
        headers["content-length"] = str(length)
        return Response(status_code=status, headers=headers)
    file.seek(start)
    if length <= CHUNK:
        with file:
            return Response(file.read(length), status_code=status, headers=headers)
    return _FileSlice(file, length, headers, owner=file, status=status)


def _headers(stored: StoredObject) -> dict[str, str]:
    attributes = stored.attributes
    hashes = [f"crc32c={stored.blob.crc32c}"]
    if stored.blob.md5:
        hashes.append(f"md5={stored.blob.md5}")
    headers = {
        "content-type": attributes.get("contentType", "application/octet-stream"),
        "cache-control": attributes.get("cacheControl", "no-cache"),
        "last-modified": formatdate(stored.updated // 1_000_000, usegmt=True),
        **_HARMLESS,
        "x-goog-generation": str(stored.generation),
        "x-goog-metageneration": str(stored.metageneration),
        "x-goog-hash": ",".join(hashes),
        "x-goog-storage-class": attributes.get("storageClass", "STANDARD"),
        "x-goog-stored-content-encoding": attributes.get("contentEncoding", "identity"),
        "x-goog-stored-content-length": str(stored.size),
    }
    for header, field in (
        ("content-disposition", "contentDisposition"),
        ("content-language", "contentLanguage"),
        ("x-goog-custom-time", "customTime"),
    ):
        if attributes.get(field):
            headers[header] = attributes[field]
    for key, value in attributes.get("metadata", {}).items():
        if _TOKEN.fullmatch(key):
            headers[f"x-goog-meta-{key.lower()}"] = value
    return {name: header_text(value) for name, value in headers.items()}


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if code != ord("%"))


def header_text(value: str) -> str:
    """A value that HTTP can carry: what is not printable ASCII is percent-encoded."""
    return value if value.isascii() and value.isprintable() else quote(value, safe=_PRINTABLE)


def _is_to_be_unpacked(request: Request, stored: StoredObject, file: BufferedReader) -> bool:
    """Whether the client gets the plain form of what is stored gzipped.

    Source: https://cloud.google.com/storage/docs/transcoding
    """
    return (
        stored.attributes.get("contentEncoding") == "gzip"
        and "gzip" not in request.headers.get("accept-encoding", "")
        and "no-transform" not in stored.attributes.get("cacheControl", "")
        and request.method != "HEAD"
        and file.peek(2)[:2] == _GZIP_MAGIC
    )


def _requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Returns the first and last byte asked for, or None for all of them.

    Raises:
        ApiError: 416 for a range that begins past the end.
    """
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last) if last else size - 1, size - 1)
        if last and int(last) < start:
            return None
    if start >= size:
        raise errors.out_of_range(
            f"The range {header} cannot be served: there are {size} bytes.", size
        )
    return start, end


class _FileSlice(Response):
    """Sends a file from where it stands, a mebibyte at a time, and closes it whatever happens."""

    def __init__(
        self,
        file: BufferedReader | gzip.GzipFile,
        length: int | None,
        headers: dict[str, str],
        *,
        owner: BufferedReader,
        status: int = 200,
    ) -> None:
        self._file = file
        self._left = length
        self._owner = owner
        self.status_code = status
        self.background = None
        if length is not None:
            headers = {**headers, "content-length": str(length)}
        self.init_headers(headers)

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        with self._owner:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            while data := await run_in_threadpool(self._read):
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _read(self) -> bytes:
        if self._left is None:
            return self._file.read(CHUNK)
        data = self._file.read(min(CHUNK, self._left))
        self._left -= len(data)
        return data
