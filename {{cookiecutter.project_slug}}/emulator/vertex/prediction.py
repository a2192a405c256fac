"""Online prediction: from an endpoint to the server of one of its deployed models, and back.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/predict
and `…/rawPredict` of the same collection.
"""

import random

import aiohttp
import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from emulator.errors import ApiError, failed_precondition, internal, unavailable
from emulator.store.documents import Document
from emulator.vertex.endpoints import Endpoints
from emulator.vertex.serving import ModelServer, ModelServers

MOST_BYTES = 1_500_000  # of a request to a shared endpoint
TIMEOUT = aiohttp.ClientTimeout(total=60)


class Predictions:
    """Forwards predictions. Its `session` is open between `start` and `close`."""

    def __init__(self, endpoints: Endpoints, servers: ModelServers) -> None:
        self._endpoints = endpoints
        self._servers = servers
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Opens the connections to the servers."""
        self._session = aiohttp.ClientSession(
            timeout=TIMEOUT, connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
        )

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    async def predict(self, name: str, request: Request) -> Response:
        """Answers `:predict`: the container's `predictions`, and which version gave them.

        Raises:
            ApiError: 404 NOT_FOUND for the endpoint; 400 FAILED_PRECONDITION where nothing is
                deployed; 413 for a request that is too large; the container's own error.
        """
        deployed, status, content, _type = await self._forward(name, request)
        if status != 200:
            raise _container_error(status, content)
        try:
            answer = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise internal(f"The model server's answer is no JSON: {error}.") from error
        if not isinstance(answer, dict):
            raise internal(f"{name}: the model server's answer is no JSON object.")
        answer |= {
            "deployedModelId": deployed["id"],
            "model": deployed["model"],
            "modelVersionId": deployed["modelVersionId"],
            "modelDisplayName": deployed["displayName"],
        }
        return Response(orjson.dumps(answer), media_type="application/json")

    async def raw_predict(self, name: str, request: Request) -> Response:
        """Answers `:rawPredict`: the container's answer as it is. Raises ApiError as `predict`."""
        deployed, status, content, media_type = await self._forward(name, request)
        headers = {
            "X-Vertex-AI-Endpoint-Id": name.rpartition("/")[2],
            "X-Vertex-AI-Deployed-Model-Id": deployed["id"],
            "X-Vertex-AI-Model": deployed["model"],
            "X-Vertex-AI-Model-Version-Id": deployed["modelVersionId"],
        }
        return Response(content, status, headers, media_type)

    async def _forward(self, name: str, request: Request) -> tuple[Document, int, bytes, str]:
        body = await _limited(request)
        deployed = _choose(name, await run_in_threadpool(self._endpoints.get, name))
        server = await self._ready(deployed["id"])
        media_type = request.headers.get("content-type", "application/json")
        if self._session is None:
            raise unavailable("The emulator is closing.")
        try:
            async with self._session.post(
                server.url + server.predict_route, data=body, headers={"content-type": media_type}
            ) as answer:
                content = await answer.read()
                return deployed, answer.status, content, answer.content_type
        except TimeoutError as error:
            raise ApiError(504, "DEADLINE_EXCEEDED", "The model took longer than 60 s.") from error
        except aiohttp.ClientError as error:
            raise unavailable(f"The model server did not answer: {error}") from error

    async def _ready(self, deployed_id: str) -> ModelServer:
        server = self._servers.find(deployed_id)
        if not server.ready.is_set() or server.failure is not None:
            return await run_in_threadpool(self._servers.wait, deployed_id)
        return server


def _choose(name: str, endpoint: Document) -> Document:
    split = endpoint.get("trafficSplit", {})
    deployed: list[Document] = [
        each for each in endpoint.get("deployedModels", []) if split.get(each["id"])
    ]
    if not deployed:
        raise failed_precondition(
            f"{name} has no deployed model with traffic; deploy a model version to it first."
        )
    [chosen] = random.choices(deployed, [split[each["id"]] for each in deployed])  # noqa: S311
    return chosen


async def _limited(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise ApiError(
                413,
                "INVALID_ARGUMENT",
                f"Expected a request of at most {MOST_BYTES} bytes; send fewer instances at a time,"
                " or use a batch prediction job.",
            )
    return b"".join(parts)


def _container_error(status: int, content: bytes) -> ApiError:
    text = content.decode("utf-8", "replace")
    statuses = {
        400: "INVALID_ARGUMENT",
        404: "NOT_FOUND",
        413: "INVALID_ARGUMENT",
        429: "RESOURCE_EXHAUSTED",
        503: "UNAVAILABLE",
    }
    return ApiError(status, statuses.get(status, "INTERNAL"), text)
