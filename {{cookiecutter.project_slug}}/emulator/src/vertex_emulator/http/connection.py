"""HTTP/1.1 on one connection.

A protocol of its own on httptools' parser: at 64 connections it answers twice as many requests
as uvicorn does with an empty ASGI application, and the server's time is spent mostly on HTTP.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import httptools

from vertex_emulator.http import encoding
from vertex_emulator.http.errors import RequestError

MAX_HEAD = 64 * 1024  # bytes of request line and headers
MAX_RECEIVING = 256_000_000  # bytes of bodies, of all connections, that are not whole yet
REQUEST_SECONDS = 60.0  # for the whole of a request to arrive, Vertex AI's own limit
IDLE_SECONDS = 600.0  # between requests
LINGER_SECONDS = 10.0  # for a refused client to read why, and close

_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request.

    Attributes:
        method: such as `POST`.
        path: the request's target as it came.
        headers: by name in lower case; of a name that came twice, the last.
        body: unpacked, where it came compressed.
    """

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes


class Respond(Protocol):
    """Answers one request."""

    def __call__(
        self, status: int, body: bytes, content_type: str, headers: bytes = b"", /
    ) -> None:
        """Sends status, body and its type; `headers` are further lines, each with its end."""


class Service(Protocol):
    """What a connection needs of its server."""

    max_body: int
    connections: "set[Connection]"
    draining: bool
    receiving: int  # bytes of bodies that are not whole yet

    def admit(self, headers: dict[bytes, bytes]) -> RequestError | None:
        """Says why a request with these headers is not taken, if so."""

    def too_large(self, size: int) -> RequestError:
        """Returns the error for a body of `size` bytes so far, more than `max_body`."""

    def refusal(self, error: RequestError) -> bytes:
        """Returns the JSON document that tells a client of an error."""

    def handle(self, request: Request, respond: Respond) -> None:
        """Answers a request by calling `respond` once, now or later, from the loop's thread."""


class Connection(asyncio.Protocol):
    """Reads requests one after the other and writes their answers in the same order."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[tuple[Request | RequestError, bool]] = deque()  # with keep-alive
        self._answering = False
        self._advancing = False
        self._keep_alive = True
        self._refused = False  # nothing that the client still sends is read
        self._ended = False  # the client sends nothing more
        self._writable = True
        self._reset()
        self._in_request = False
        self._counted = 0  # bytes of the body that the service's sum has
        self._deadline = self._loop.time() + IDLE_SECONDS

    def _reset(self) -> None:
        self._url = b""
        self._body: bytes | bytearray = b""
        self._size = 0
        self._head_size = 0  # bytes of the target and the headers
        self._unparsed = 0  # bytes received since the data in which the head began
        self._in_body = False
        self._expects_continue = False
        self._is_plain = True  # whether the body is not compressed
        self._headers: dict[bytes, bytes] = {}

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        self._service.connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forgets the client, with what it still waits for."""
        self._service.connections.discard(self)
        self._queue.clear()
        self._count(0)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, which calls the `on_` methods below."""
        if self._refused:
            return
        self._unparsed += len(data)  # a head that begins in this data starts again from 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            if not self._refused:
                self._read_without_upgrade(data[stopped.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(RequestError(400, f"Malformed HTTP request: {error}"))
        if self._in_request:
            self._check_part()

    def eof_received(self) -> bool:
        """Keeps the connection open for the answers that a half-closed client still reads."""
        self._ended = True
        if self._in_request:
            self._refuse(RequestError(400, "The request ended before all of it had come"))
        return self._answering or bool(self._queue)

    def pause_writing(self) -> None:
        """Takes no further request from a client that does not read its answers."""
        self._writable = False

    def resume_writing(self) -> None:
        """Goes on once the client has read."""
        self._writable = True
        self._next()

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Reads a request that offers another protocol, as Java's client does, as one of HTTP/1.1.

        A server may ignore the offer (RFC 9110, 7.8), but the parser passes over the body of such
        a request. So another one reads the head again, without the offer, and all that follows.
        """
        lines = [b"%s %s HTTP/1.1" % (self._parser.get_method(), self._url)]
        offer = (b"upgrade", b"connection", b"http2-settings")
        lines += [b"%s: %s" % each for each in self._headers.items() if each[0] not in offer]
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    # httptools' side

    def on_message_begin(self) -> None:
        """A request's first byte has come."""
        self._reset()
        self.begin_request()

    def begin_request(self) -> None:
        """Sets the time by which the rest of a request must be here."""
        if not self._in_request:
            self._in_request = True
            self._deadline = self._loop.time() + REQUEST_SECONDS

    def on_url(self, url: bytes) -> None:
        """Collects the request's target, which may come in parts."""
        self._url += url
        self._head_size += len(url)
        self._check_head(self._head_size)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header, and looks at those that decide whether to read on."""
        self._head_size += len(name) + len(value) + len(b": \r\n")
        self._check_head(self._head_size)
        name = name.lower()
        self._headers[name] = value
        if name == b"expect":
            self._expects_continue = value.lower() == b"100-continue"
        elif name == b"content-length":
            if int(value) > self._service.max_body:
                self._refuse(self._service.too_large(int(value)))
        elif name == b"content-encoding":
            try:
                self._is_plain = encoding.is_plain(value.decode("latin-1"))
            except RequestError as error:
                self._refuse(error)

    def on_headers_complete(self) -> None:
        """Decides whether to take the body."""
        self._in_body = True
        error = self._service.admit(self._headers)
        if error is not None:
            self._refuse(error)
        if self._parser.should_upgrade():
            if self._parser.get_method() == b"CONNECT":
                self._refuse(RequestError(400, "This server is no proxy"))
            return
        if self._expects_continue and not (self._refused or self._answering or self._queue):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Collects the body up to the limit."""
        self._size += len(body)
        if self._size > self._service.max_body:
            self._refuse(self._service.too_large(self._size))
        if self._refused:
            return
        if self._size == len(body):
            self._body = body
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body

    def on_message_complete(self) -> None:
        """Queues the request behind those of the same connection."""
        if self._parser.should_upgrade():
            return  # only its head has been read
        self._in_request = False
        self._deadline = self._loop.time() + IDLE_SECONDS
        if self._refused:
            return
        if self._counted:
            self._count(0)
        try:
            body = self._unpacked()
        except RequestError as error:
            self._refuse(error)
            return
        method = self._parser.get_method().decode("ascii")
        request = Request(method, self._url.decode("latin-1"), self._headers, body)
        # The answer to HEAD has its body all the same; closed behind it, no client misreads it.
        keep_alive = self._parser.should_keep_alive() and method != "HEAD"
        self._queue.append((request, keep_alive))
        if self._answering or not self._writable:
            self._transport.pause_reading()
        else:
            self._next()

    # Answers

    @property
    def busy(self) -> bool:
        """Whether an answer is owed, or a request on its way in."""
        return self._answering or self._in_request or bool(self._queue)

    def close_if_overdue(self, now: float) -> None:
        """Ends a connection whose client is too slow, or has been silent for long."""
        if self._answering or now < self._deadline:
            return
        if self._in_request and not self._refused:
            self._refuse(
                RequestError(408, f"The request did not arrive within {REQUEST_SECONDS:.0f} s")
            )
        else:
            self._transport.abort()

    def close_if_idle(self) -> None:
        """Closes, where no answer is owed; otherwise the answer closes, as the server drains."""
        if not self.busy:
            self._transport.close()

    def _check_head(self, size: int) -> None:
        if size > MAX_HEAD:
            self._refuse(
                RequestError(
                    431, f"The request's head exceeds {MAX_HEAD} bytes; send fewer headers"
                )
            )

    def _check_part(self) -> None:
        """Bounds what is kept of a request that is not whole yet."""
        if not self._in_body:
            self._check_head(self._unparsed)
            return
        if self._unparsed - self._size > MAX_HEAD + self._service.max_body:
            self._refuse(
                RequestError(
                    400,
                    "The body's chunks come with too many bytes around them; send larger chunks",
                )
            )
        self._count(0 if self._refused else self._size)
        if self._service.receiving > MAX_RECEIVING:
            self._refuse(
                RequestError(
                    503,
                    f"More than {MAX_RECEIVING} bytes of requests are on their way; send this one "
                    "again later",
                )
            )

    def _count(self, size: int) -> None:
        self._service.receiving += size - self._counted
        self._counted = size

    def _unpacked(self) -> bytes:
        body = bytes(self._body)
        if self._is_plain or not body:
            return body
        unpacked = encoding.unpack(body, self._service.max_body)
        if unpacked is None:
            raise self._service.too_large(self._service.max_body + 1)
        return unpacked

    def _refuse(self, error: RequestError) -> None:
        """Answers what cannot be read to its end, and reads nothing more."""
        if not self._refused:
            self._refused = True
            self._in_request = False
            self._body = b""
            self._count(0)
            self._queue.append((error, False))
            self._next()

    def _next(self) -> None:
        if self._advancing:
            return  # an answer came at once; the loop below goes on by itself
        self._advancing = True
        while self._queue and self._writable and not self._answering:
            item, self._keep_alive = self._queue.popleft()
            self._answering = True
            if not self._queue:
                self._transport.resume_reading()
            if isinstance(item, RequestError):
                self._respond(item.status, self._service.refusal(item), "application/json")
            else:
                self._service.handle(item, self._respond)
        self._advancing = False

    def _respond(self, status: int, body: bytes, content_type: str, headers: bytes = b"") -> None:
        self._answering = False
        if self._transport.is_closing():
            return
        last = (self._ended or self._service.draining) and not self._queue
        keep_alive = self._keep_alive and not last
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
            f"Content-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n"
        )
        self._transport.write(head.encode() + headers + b"\r\n" + body)
        if keep_alive:
            self._deadline = self._loop.time() + IDLE_SECONDS
            self._next()
        elif self._refused and self._transport.can_write_eof():
            # Closed at once, with input unread, TCP would take the answer back with a reset.
            self._transport.write_eof()
            self._deadline = self._loop.time() + LINGER_SECONDS
        else:
            self._transport.close()
