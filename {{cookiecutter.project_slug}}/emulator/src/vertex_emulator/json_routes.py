"""Tables of routes whose methods take and return JSON: of Vertex AI, Logging and Monitoring.

A method names the arguments that it wants:

- `name`: the resource's name, the path without the API's version and without `:verb`;
- `location`, `parent`, `project`: what the collection in the path belongs to;
- `query`: the query's parameters, in camel case;
- `mask`, `timeout`: the parameters `updateMask` and `timeout`, or None;
- `body`: the decoded JSON body;
- `api`: the version of the API, such as `v1beta1`.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vertex_emulator.names import camel
from vertex_emulator.requests import json_body

Row = tuple[str, str, Callable[..., Any]]  # HTTP method, path, method that answers


def json_routes(*table: Row) -> list[BaseRoute]:
    """Returns the routes of a table.

    Raises:
        TypeError: a method wants an argument that no request has.
    """
    return [Route(path, _served(call), methods=[method]) for method, path, call in table]


def _served(call: Callable[..., Any]) -> Callable[[Request], Awaitable[Response]]:
    wanted = list(inspect.signature(call).parameters)
    unknown = set(wanted) - _ARGUMENTS.keys() - {"body"}
    if unknown:
        raise TypeError(f"{call} wants {unknown}; a request has {', '.join(_ARGUMENTS)} and body.")

    async def handle(request: Request) -> Response:
        given = {name: _ARGUMENTS[name](request) for name in wanted if name != "body"}
        if "body" in wanted:
            given["body"] = await json_body(request)
        # A method reads and writes the disk, so beside the event loop.
        return JSONResponse(await run_in_threadpool(call, **given))

    return handle


def _query(request: Request) -> dict[str, str]:
    """The query's parameters, whose names may be in camel or snake case."""
    return {camel(name): value for name, value in request.query_params.items()}


def _name(request: Request) -> str:
    path = request.scope["path"].removeprefix(f"/{request.path_params['api']}/")
    parent, _, last = path.rpartition("/")  # a project's id may hold a colon
    return f"{parent}/{last.partition(':')[0]}"


def _parent(request: Request) -> str:
    return _name(request).rpartition("/")[0]


_ARGUMENTS: dict[str, Callable[[Request], Any]] = {
    "name": _name,
    "location": _parent,
    "parent": _parent,
    "project": lambda request: request.path_params["project"],
    "query": _query,
    "mask": lambda request: _query(request).get("updateMask"),
    "timeout": lambda request: _query(request).get("timeout"),
    "api": lambda request: request.path_params["api"],
}
