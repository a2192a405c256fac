"""Kept-alive HTTP/1.1 connections to one replica, one request at a time on each."""

import asyncio
from typing import Protocol

import httptools

from vertex_emulator.gateway.call import Call


class Owner(Protocol):
    """Whom a replica tells what became of its calls."""

    def answered(
        self, upstream: "Upstream", call: Call, status: int, body: bytes, content_type: str
    ) -> None:
        """The whole answer is here."""

    def lost(self, upstream: "Upstream", call: Call, *, partly_answered: bool) -> None:
        """The connection broke before the whole answer was here."""

    def unreachable(self, upstream: "Upstream", call: Call) -> None:
        """No connection could be made; the replica has seen nothing of the call."""


class Upstream:
    """One process that serves a deployed model, as the gateway sees it.

    Args:
        owner: is told what became of each call.
        port: on loopback.
        path: that takes predictions.

    Attributes:
        calls: those that are with the replica.
        reachable: False from the first connection that is refused.
    """

    def __init__(self, owner: Owner, port: int, path: str) -> None:
        self.calls: dict[Call, _Line | None] = {}
        self.reachable = True
        self.owner = owner
        self._loop = asyncio.get_running_loop()
        self._port = port
        self._idle: list[_Line] = []
        self._head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: ".encode()
        self._opening: set[asyncio.Task[None]] = set()

    def send(self, call: Call) -> None:
        """Passes a call on; the owner hears of its end, in a later turn of the loop."""
        while self._idle:
            line = self._idle.pop()
            if not line.transport.is_closing():
                self._write(line, call)
                return
        self.calls[call] = None
        task = self._loop.create_task(self._open(call))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def abandon(self, call: Call) -> None:
        """Drops a call that has waited too long, with its connection."""
        line = self.calls.pop(call, None)
        if line is not None:
            line.call = None
            line.transport.abort()

    def close(self) -> None:
        """Closes the connections that nothing waits on."""
        for line in self._idle:
            line.transport.close()
        self._idle.clear()

    async def _open(self, call: Call) -> None:
        try:
            _transport, line = await self._loop.create_connection(
                lambda: _Line(self), "127.0.0.1", self._port
            )
        except OSError:
            if self.calls.pop(call, self) is not self:
                self.reachable = False
                self.owner.unreachable(self, call)
            return
        if call in self.calls:
            self._write(line, call)
        else:
            self._idle.append(line)

    def _write(self, line: "_Line", call: Call) -> None:
        self.calls[call] = line
        line.call = call
        line.transport.write(
            b"%b%b\r\nContent-Length: %d\r\n\r\n%b"
            % (self._head, call.content_type, len(call.body), call.body)
        )

    def finish(self, line: "_Line", status: int, body: bytes, content_type: str) -> None:
        """Takes the answer to the call on a line, which is free again."""
        call, line.call = line.call, None
        if line.keeps_alive:
            self._idle.append(line)
        else:
            line.transport.close()
        if call is not None:
            del self.calls[call]
            self.owner.answered(self, call, status, body, content_type)

    def drop(self, line: "_Line", *, partly_answered: bool) -> None:
        """Takes note that a line broke."""
        call, line.call = line.call, None
        if call is None:
            if line in self._idle:
                self._idle.remove(line)
        else:
            del self.calls[call]
            self.owner.lost(self, call, partly_answered=partly_answered)


class _Line(asyncio.Protocol):
    """One connection to a replica."""

    transport: asyncio.Transport

    def __init__(self, upstream: Upstream) -> None:
        self.call: Call | None = None
        self.keeps_alive = True
        self._upstream = upstream
        self._parser = httptools.HttpResponseParser(self)
        self._answering = False
        self._body: list[bytes] = []
        self._content_type = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, which calls the `on_` methods below."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The replica has closed, or is gone."""
        self._upstream.drop(self, partly_answered=self._answering)

    def on_message_begin(self) -> None:
        """The answer's first byte is here."""
        self._answering = True
        self._body = []
        self._content_type = "application/json"

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps the type of the answer."""
        if name.lower() == b"content-type":
            self._content_type = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The whole answer is here."""
        self._answering = False
        self.keeps_alive = self._parser.should_keep_alive()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._upstream.finish(self, self._parser.get_status_code(), body, self._content_type)
