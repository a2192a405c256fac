"""The first reader of every connection to the emulator.

Predictions go to the gateway from here, and CONNECT to `proxy.tunnel`. Any other request goes, with
its connection, to uvicorn and the ASGI application; a prediction that comes later on such a
connection reaches the gateway through the application's route `gateway.routes`.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from vertex_emulator.errors import ApiError
from vertex_emulator.gateway import endpoint_path
from vertex_emulator.gateway.gateway import Gateway
from vertex_emulator.http.connection import LINGER_SECONDS, MAX_HEAD, Connection
from vertex_emulator.proxy import tunnel


class Front(Connection):
    """What uvicorn makes for each connection, in the place of its own protocol.

    Args:
        gateway: takes the predictions.
        proxy: what the emulator is as the proxy of its jobs.
        config: uvicorn's, as the rest.
        server_state: the connections that uvicorn knows of.
        app_state: of the application's lifespan.
    """

    def __init__(
        self,
        gateway: Gateway,
        proxy: tunnel.Proxy,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(gateway)
        self._proxy = proxy
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._held = b""  # the beginning of a first line that is not whole yet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # one of its own types

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server_state.connections.discard(self)

    def shutdown(self) -> None:
        """Ends with what is owed (uvicorn asks for this when it ends)."""
        self._service.draining = True
        self.close_if_idle()

    def data_received(self, data: bytes) -> None:
        """Looks at the first line of a request, and leaves what is no prediction to uvicorn."""
        if self._held or not self.busy:
            data = self._held + data
            if b"\n" not in data and len(data) < MAX_HEAD and not self._refused:
                self._held = data
                self.begin_request()
                return
            self._held = b""
            if not endpoint_path.begins_prediction(data) and not self._refused:
                self._hand_over(self._successor(data), data)
                return
        super().data_received(data)

    def _successor(self, data: bytes) -> "tunnel.Tunnel | _Successor":
        if data.startswith(tunnel.BEGINNING):
            return tunnel.Tunnel(self._proxy, self._server_state.connections)
        return _Successor(self._config, self._server_state, self._app_state)

    def _hand_over(self, successor: "tunnel.Tunnel | _Successor", data: bytes) -> None:
        self._service.connections.discard(self)
        self._server_state.connections.discard(self)
        successor.connection_made(self._transport)
        self._transport.set_protocol(successor)
        successor.data_received(data)


class _Successor(HttpToolsProtocol):
    """uvicorn's own protocol, with a bound for heads, and Google's error for what is no HTTP."""

    _refused = False  # nothing that the client still sends is read
    _bodiless = 0  # bytes since the last of a body, or since the last whole request

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._bodiless += len(data)
        super().data_received(data)
        if self._bodiless > MAX_HEAD:
            self._refuse(431, f"The request's head exceeds {MAX_HEAD} bytes; send fewer headers.")

    def on_body(self, body: bytes) -> None:
        self._bodiless = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._bodiless = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP."""
        self._refuse(400, f"{msg} Send HTTP/1.1 without TLS.")

    def _refuse(self, status: int, message: str) -> None:
        if self._refused:
            return
        self._refused = True
        owed = self.cycle is not None and not self.cycle.response_complete
        if owed and self.cycle.response_started:
            self.transport.close()  # what followed would be read as a part of that answer
            return
        body = orjson.dumps(ApiError(status, "INVALID_ARGUMENT", message).body())
        self.transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%b"
            % (status, HTTPStatus(status).phrase.encode(), len(body), body)
        )
        if owed:
            self.transport.close()  # the application must not write any more
        else:
            # Closed at once, with input unread, TCP would take the answer back with a reset.
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)
