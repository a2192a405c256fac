"""TensorFlow's requests to Cloud Storage, as requests to this emulator.

TensorFlow makes a connection for each request (curl_http_request.cc). It sends `Transfer-Encoding`
beside `Content-Length`: `chunked`, which then counts alone, or `identity`, which HTTP has no more.
It knows an answer's headers only by the capitals that Google writes.

Source: https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length
"""

import asyncio
import re
from urllib.parse import urlsplit

from vertex_emulator.proxy.hosts import API_HOST
from vertex_emulator.proxy.streams import AT_ONCE, Stream, copy

_LINE = re.IGNORECASE | re.MULTILINE
_HOST = re.compile(rb"^host:[^\r\n]*", _LINE)
_LENGTH = re.compile(rb"^content-length:[^\r\n]*\r\n", _LINE)
_CHUNKED = re.compile(rb"^transfer-encoding:[ \t]*chunked[ \t]*\r\n", _LINE)
_IDENTITY = re.compile(rb"^transfer-encoding:[ \t]*identity[ \t]*\r\n", _LINE)
_NAME = re.compile(rb"^[a-z0-9-]+(?=:)", re.MULTILINE)


async def answer_one(client: Stream, url: str) -> None:
    """Passes one request on to the emulator, and its answer back.

    Args:
        client: TensorFlow, within TLS.
        url: the emulator's address.
    """
    reader, writer = client
    address = urlsplit(url)
    request = await reader.readuntil(b"\r\n\r\n")
    emulator, to_emulator = await asyncio.open_connection(
        address.hostname, address.port, limit=AT_ONCE
    )
    try:
        to_emulator.write(_translated(request, address.netloc))
        body = asyncio.create_task(copy(reader, to_emulator))
        try:
            await _answer(emulator, writer, url)
        finally:
            body.cancel()
    finally:
        to_emulator.close()


def _translated(request: bytes, host: str) -> bytes:
    wrong = _LENGTH if _CHUNKED.search(request) else _IDENTITY
    own = b"Host: %b\r\nConnection: close" % host.encode()
    return _HOST.sub(own, wrong.sub(b"", request), count=1)


async def _answer(emulator: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
    head = await emulator.readuntil(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 1"):  # 100 Continue
        writer.write(head)
        head = await emulator.readuntil(b"\r\n\r\n")
    head = _NAME.sub(lambda name: name[0].title(), head)
    # What goes on with an upload comes this way too.
    writer.write(head.replace(b"\nLocation: " + url.encode(), b"\nLocation: " + API_HOST.encode()))
    await copy(emulator, writer)
