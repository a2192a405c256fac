"""Bodies that a client has compressed."""

import zlib

from vertex_emulator.http.errors import RequestError

CODINGS = ("gzip", "x-gzip")  # the latter is its old name, RFC 9110, section 8.4.1.3
_GZIP_ONLY = 16 + zlib.MAX_WBITS


def is_plain(coding: str) -> bool:
    """Whether a body with this Content-Encoding is as it is.

    Raises:
        RequestError: 415, it is neither plain nor gzip.
    """
    if coding.lower() in CODINGS:
        return False
    if coding.lower() in ("", "identity"):
        return True
    raise RequestError(415, f"Content-Encoding {coding!r} is not read; send plain JSON, or gzip")


def unpack(body: bytes, max_bytes: int) -> bytes | None:
    """Returns what a gzip body unpacks to, None where that is more than `max_bytes`.

    Raises:
        RequestError: 400, it is no whole gzip body.
    """
    parts, size = [], 0
    while body:  # one member after the other, as the format allows
        unpacker = zlib.decompressobj(_GZIP_ONLY)
        try:
            part = unpacker.decompress(body, max_bytes + 1 - size)
        except zlib.error as error:
            raise RequestError(400, f"The body does not unpack as gzip: {error}") from None
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            return None
        if not unpacker.eof:
            raise RequestError(400, "The body does not unpack as gzip: it ends too soon")
        body = unpacker.unused_data
    return b"".join(parts)
