"""The first reader of every connection to the emulator.

Predictions are answered from here. Any other request goes, with its connection, to uvicorn and the
ASGI application; a prediction that comes later on such a connection reaches the gateway through a
route of the application.
"""

import asyncio
import re
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from emulator.model_server.connection import MAX_HEAD, Connection

_PART = rb"[^/:?#%\x00-\x20]+"
_PREDICTION = re.compile(
    rb"POST /(?:v1|v1beta1|ui)/projects/%b/locations/%b/endpoints/%b:(?:predict|rawPredict)"
    rb"(?:\?[^ \r\n]*)? HTTP/1\.[01]\r?\n" % (_PART, _PART, _PART)
)


class Front(Connection):
    """What uvicorn makes for each connection, in the place of its own protocol.

    The application's `state.gateway` takes the predictions.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        assert isinstance(config.app, Starlette)  # noqa: S101
        super().__init__(config.app.state.gateway)
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._held = b""  # the beginning of a first line that is not whole yet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Registers with both servers."""
        super().connection_made(transport)
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # one of its own types

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the client."""
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
            if not _PREDICTION.match(data) and not self._refused:
                self._hand_over(data)
                return
        super().data_received(data)

    def _hand_over(self, data: bytes) -> None:
        self._service.connections.discard(self)
        self._server_state.connections.discard(self)
        successor = HttpToolsProtocol(self._config, self._server_state, self._app_state)
        successor.connection_made(self._transport)
        self._transport.set_protocol(successor)
        successor.data_received(data)
