"""Predictions that come on a connection of other requests; `gateway.front` takes the rest."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.gateway.gateway import Gateway
from vertex_emulator.requests import limited_body


class Predictions:
    """Hands predictions to the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def predict(self, name: str, request: Request) -> Response:
        """Answers `:predict`. Raises ApiError 413 for a request that is too large."""
        return await self._answer(name, request, raw=False)

    async def raw_predict(self, name: str, request: Request) -> Response:
        """Answers `:rawPredict`. Raises ApiError 413 for a request that is too large."""
        return await self._answer(name, request, raw=True)

    async def _answer(self, name: str, request: Request, *, raw: bool) -> Response:
        remedy = "send fewer instances at a time, or use a batch prediction job"
        body = await limited_body(request, self._gateway.max_body, remedy)
        content_type = request.headers.get("content-type", "application/json").encode("latin-1")
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def respond(status: int, content: bytes, media_type: str, headers: bytes = b"") -> None:
            if not answer.done():  # the client may be gone
                response = Response(content, status, media_type=media_type)
                for line in headers.splitlines():
                    key, _, value = line.decode("latin-1").partition(": ")
                    response.headers[key] = value
                answer.set_result(response)

        self._gateway.predict(name, raw, body, content_type, respond)
        return await answer
