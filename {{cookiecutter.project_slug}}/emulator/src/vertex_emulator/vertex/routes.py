"""The paths of Vertex AI's REST API and the methods they call.

`/v1beta1/` (the gcloud CLI) and `/ui/` (the SDK's polls of operations) are the same as `/v1/`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vertex_emulator.names import camel
from vertex_emulator.requests import json_body
from vertex_emulator.vertex.batch_jobs import BatchJobs
from vertex_emulator.vertex.endpoints import Endpoints
from vertex_emulator.vertex.jobs import Jobs
from vertex_emulator.vertex.models import Models
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.prediction import Predictions

Handler = Callable[[Request], Awaitable[Response]]
Query = dict[str, str]


class _Api(PathConvertor):
    regex = "v1|v1beta1|ui"


class _Location(PathConvertor):
    regex = r"projects/[^/\x00-\x1f]+/locations/[^/\x00-\x1f]+"


class _Id(PathConvertor):
    regex = r"[^/:\x00-\x1f]+"


class _Nesting(PathConvertor):
    regex = r"(?:[^/:\x00-\x1f]+/[^/:\x00-\x1f]+/)?"


for _key, _convertor in {
    "api": _Api,
    "location": _Location,
    "id": _Id,
    "nesting": _Nesting,
}.items():
    register_url_convertor(_key, _convertor())


def routes(
    *,
    jobs: Jobs,
    batch_jobs: BatchJobs,
    models: Models,
    endpoints: Endpoints,
    operations: Operations,
    predictions: Predictions,
) -> list[BaseRoute]:
    """Returns the routes of all collections."""
    return [
        *_collection("customJobs", jobs.list_page, lambda at, _query, body: jobs.create(at, body)),
        _item("GET", "customJobs", "", lambda name, _query: jobs.get(name)),
        _item("DELETE", "customJobs", "", lambda name, _query: jobs.delete(name)),
        _item("POST", "customJobs", ":cancel", lambda name, _query: jobs.cancel(name)),
        *_collection(
            "batchPredictionJobs",
            batch_jobs.list_page,
            lambda at, _query, body: batch_jobs.create(at, body),
        ),
        _item("GET", "batchPredictionJobs", "", lambda name, _query: batch_jobs.get(name)),
        _item("DELETE", "batchPredictionJobs", "", lambda name, _query: batch_jobs.delete(name)),
        _item(
            "POST", "batchPredictionJobs", ":cancel", lambda name, _query: batch_jobs.cancel(name)
        ),
        *_collection("models", models.list_page),
        _post_to_location("models:upload", models.upload),
        _item("GET", "models", "", lambda name, _query: models.get(name)),
        _item("GET", "models", ":listVersions", models.list_versions),
        _item("DELETE", "models", "", lambda name, _query: models.delete(name)),
        _item(
            "DELETE", "models", ":deleteVersion", lambda name, _query: models.delete_version(name)
        ),
        _item_with_body(
            "POST",
            "models",
            ":mergeVersionAliases",
            lambda name, _query, body: models.merge_version_aliases(name, body),
        ),
        _item_with_body(
            "PATCH",
            "models",
            "",
            lambda name, query, body: models.patch(name, query.get("updateMask"), body),
        ),
        *_collection("endpoints", endpoints.list_page, endpoints.create),
        _item("GET", "endpoints", "", lambda name, _query: endpoints.get(name)),
        _item("DELETE", "endpoints", "", lambda name, _query: endpoints.delete(name)),
        _item_with_body(
            "PATCH",
            "endpoints",
            "",
            lambda name, query, body: endpoints.patch(name, query.get("updateMask"), body),
        ),
        _item_of_version("endpoints", ":deployModel", endpoints.deploy),
        _item_with_body(
            "POST",
            "endpoints",
            ":undeployModel",
            lambda name, _query, body: endpoints.undeploy(name, body),
        ),
        _item_of_version("endpoints", ":mutateDeployedModel", endpoints.mutate),
        _streamed("endpoints", ":predict", predictions.predict),
        _streamed("endpoints", ":rawPredict", predictions.raw_predict),
        *_operations(operations),
    ]


def _collection(
    kind: str,
    find: Callable[[str, Query], Any],
    create: Callable[[str, Query, Any], Any] | None = None,
) -> list[BaseRoute]:
    path = "/{api:api}/{location:location}/" + kind

    async def get(request: Request) -> Response:
        return await _answer(find, request.path_params["location"], _query(request))

    found: list[BaseRoute] = [Route(path, get, methods=["GET"])]
    if create is not None:

        async def post(request: Request) -> Response:
            body = await json_body(request)
            return await _answer(create, request.path_params["location"], _query(request), body)

        found.append(Route(path, post, methods=["POST"]))
    return found


def _post_to_location(path: str, call: Callable[[str, Any], Any]) -> Route:
    async def post(request: Request) -> Response:
        return await _answer(call, request.path_params["location"], await json_body(request))

    return Route("/{api:api}/{location:location}/" + path, post, methods=["POST"])


def _item(method: str, kind: str, verb: str, call: Callable[[str, Query], Any]) -> Route:
    async def handle(request: Request) -> Response:
        return await _answer(call, _name(request, kind), _query(request))

    return Route(_item_path(kind, verb), handle, methods=[method])


def _item_with_body(
    method: str, kind: str, verb: str, call: Callable[[str, Query, Any], Any]
) -> Route:
    async def handle(request: Request) -> Response:
        body = await json_body(request)
        return await _answer(call, _name(request, kind), _query(request), body)

    return Route(_item_path(kind, verb), handle, methods=[method])


def _item_of_version(kind: str, verb: str, call: Callable[[str, Any, str], Any]) -> Route:
    """A method whose body has fields that some versions of the API have not."""

    async def handle(request: Request) -> Response:
        body = await json_body(request)
        return await _answer(call, _name(request, kind), body, request.path_params["api"])

    return Route(_item_path(kind, verb), handle, methods=["POST"])


def _streamed(kind: str, verb: str, call: Callable[[str, Request], Awaitable[Response]]) -> Route:
    async def handle(request: Request) -> Response:
        return await call(_name(request, kind), request)

    return Route(_item_path(kind, verb), handle, methods=["POST"])


def _operations(operations: Operations) -> list[BaseRoute]:
    path = "/{api:api}/{location:location}/{parent:nesting}operations/{id:id}"

    def name(request: Request) -> str:
        values = request.path_params
        return f"{values['location']}/{values['parent']}operations/{values['id']}"

    async def get(request: Request) -> Response:
        return await _answer(operations.get, name(request))

    async def wait(request: Request) -> Response:
        timeout = request.query_params.get("timeout")
        return await _answer(operations.wait, name(request), timeout)

    async def list_(request: Request) -> Response:
        values = request.path_params
        parent = f"{values['location']}/{values['parent']}".rstrip("/")
        return await _answer(operations.list_page, parent, _query(request))

    return [
        Route("/{api:api}/{location:location}/{parent:nesting}operations", list_, methods=["GET"]),
        Route(path, get, methods=["GET"]),
        Route(path + ":wait", wait, methods=["POST"]),
    ]


def _item_path(kind: str, verb: str) -> str:
    return "/{api:api}/{location:location}/" + kind + "/{id:id}" + verb


def _name(request: Request, kind: str) -> str:
    return f"{request.path_params['location']}/{kind}/{request.path_params['id']}"


def _query(request: Request) -> Query:
    """The query's parameters, whose names may be in camel or snake case."""
    return {camel(name): value for name, value in request.query_params.items()}


async def _answer(call: Callable[..., Any], *arguments: Any) -> Response:
    """Calls a method of a resource, which reads and writes the disk, beside the event loop."""
    return JSONResponse(await run_in_threadpool(call, *arguments))
