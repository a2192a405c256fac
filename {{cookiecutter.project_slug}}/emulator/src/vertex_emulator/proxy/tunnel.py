"""A connection that begins with CONNECT: served here, or passed on.

Source: https://www.rfc-editor.org/rfc/rfc9110#name-connect
"""

import asyncio
import re
import ssl
from collections.abc import MutableSet
from dataclasses import dataclass
from typing import Any

from vertex_emulator.proxy import onward, storage
from vertex_emulator.proxy.hosts import is_tensorflows_storage
from vertex_emulator.proxy.streams import AT_ONCE, Stream, copy

BEGINNING = b"CONNECT "
HEAD_SECONDS = 60.0  # for the whole of the request to arrive
MAX_HEAD = 64 * 1024

_REQUEST = re.compile(rb"CONNECT ((?:[^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}) HTTP/1\.[01]\r\n")


@dataclass(frozen=True)
class Proxy:
    """The emulator as the proxy of its jobs.

    Attributes:
        context: for the TLS of their TensorFlow.
        url: the emulator's address.
    """

    context: ssl.SSLContext
    url: str


class Tunnel(asyncio.Protocol):
    """Reads the request, and leaves the connection to what it asks for.

    Args:
        proxy: what the emulator is to its jobs.
        tunnels: those that are open; this is one until it has ended.
    """

    def __init__(self, proxy: Proxy, tunnels: MutableSet[Any]) -> None:
        self._proxy = proxy
        self._tunnels = tunnels
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        self._timeout = self._loop.call_later(HEAD_SECONDS, transport.abort)
        self._tunnels.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._timeout.cancel()
        self._tunnels.discard(self)

    def shutdown(self) -> None:
        """Ends at once (uvicorn asks for this when it ends)."""
        if self._task is None:
            self._transport.abort()
        else:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Decides once the request is whole."""
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end and len(head) < MAX_HEAD:
            return
        found = _REQUEST.match(head + b"\r\n")
        if not end or found is None:
            self._refuse(400, "expected CONNECT HOST:PORT HTTP/1.1 and less than 64 KiB of headers")
            return
        self._timeout.cancel()
        if is_tensorflows_storage(found[1], head + end):
            going_on = self._serve_here()
        else:
            host, _, port = found[1].decode("latin-1").rpartition(":")
            going_on = self._pass_on(host.strip("[]"), int(port), rest)
        self._task = self._loop.create_task(going_on)
        self._task.add_done_callback(self._done)

    async def _serve_here(self) -> None:
        self._agree()
        reader, protocol = self._streaming()
        transport = await self._loop.start_tls(
            self._transport, protocol, self._proxy.context, server_side=True
        )
        if transport is None:  # it is lost already
            return
        protocol.connection_made(transport)
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        try:
            await storage.answer_one((reader, writer), self._proxy.url)
        finally:
            writer.close()

    async def _pass_on(self, host: str, port: int, first: bytes) -> None:
        reader, protocol = self._streaming()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(first)
        writer = asyncio.StreamWriter(self._transport, protocol, reader, self._loop)
        try:
            await self._pass_on_between((reader, writer), host, port)
        finally:
            writer.close()

    async def _pass_on_between(self, client: Stream, host: str, port: int) -> None:
        try:
            server = await onward.connect(host, port)
        except (OSError, OverflowError, UnicodeError) as error:
            self._refuse(502, f"the emulator cannot reach {host}:{port} ({error})")
            return
        self._agree()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(copy(client[0], server[1]))
                both.create_task(copy(server[0], client[1]))
        finally:
            server[1].close()

    def _streaming(self) -> tuple[asyncio.StreamReader, asyncio.StreamReaderProtocol]:
        reader = asyncio.StreamReader(AT_ONCE, self._loop)
        return reader, asyncio.StreamReaderProtocol(reader, loop=self._loop)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tunnels.discard(self)
        # A side that goes away, or speaks no TLS, is told nothing; a fault of ours is seen.
        if not task.cancelled() and (error := task.exception()) is not None:
            only = error.exceptions if isinstance(error, ExceptionGroup) else [error]
            gone = (OSError, asyncio.IncompleteReadError)
            if not all(isinstance(each, gone) for each in only):
                self._loop.call_exception_handler({"message": "tunnel", "exception": error})

    def _agree(self) -> None:
        self._transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

    def _refuse(self, status: int, reason: str) -> None:
        """Says why in the status line, the one part of such an answer that clients show."""
        line = re.sub(r"[\r\n]+", " ", reason).encode("latin-1", "replace")
        self._transport.write(b"HTTP/1.1 %d %b\r\nContent-Length: 0\r\n\r\n" % (status, line))
        self._transport.close()
