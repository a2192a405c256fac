"""Predictions that come on a connection of other requests; `gateway.front` takes the rest."""

import asyncio

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vertex_emulator.gateway import endpoint_path
from vertex_emulator.gateway.gateway import Gateway, too_large
from vertex_emulator.requests import limited_body


class _Prediction(PathConvertor):
    regex = rf"(?:{endpoint_path.API})/{endpoint_path.ENDPOINT}:(?:{endpoint_path.METHOD})"


register_url_convertor("prediction", _Prediction())


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Returns the route that hands predictions to the gateway."""

    async def predict(request: Request) -> Response:
        target = endpoint_path.parse(request.scope["path"])
        assert target is not None  # noqa: S101, the route's path says it
        body = await limited_body(request, gateway.max_body, too_large)
        content_type = request.headers.get("content-type", "application/json").encode("latin-1")
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def respond(status: int, content: bytes, media_type: str, headers: bytes = b"") -> None:
            if not answer.done():  # the client may be gone
                response = Response(content, status, media_type=media_type)
                for line in headers.splitlines():
                    key, _, value = line.decode("latin-1").partition(": ")
                    response.headers[key] = value
                answer.set_result(response)

        gateway.predict(target, body, content_type, respond)
        return await answer

    return [Route("/{path:prediction}", predict, methods=["POST"])]
