"""Tables of routes whose methods take and return JSON: of Vertex AI, Logging and Monitoring.

A method names the arguments that it wants:

- `name`: the resource's name, the path without the API's version and without `:verb`;
- `location`, `parent`, `project`: what the collection in the path belongs to;
- `query`: the query's parameters that its row names, in camel case;
- `repeated`: the same, each with the list of its values;
- `mask`, `timeout`: the parameters `updateMask` and `timeout`, or None;
- `body`: the decoded JSON body;
- `api`: the version of the API, such as `v1beta1`.

What a request gives beside that is refused. Every method has Google's parameters
(https://cloud.google.com/apis/docs/system-parameters); of these, `fields` cuts the answer down.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vertex_emulator.errors import invalid_argument, not_emulated
from vertex_emulator.field_masks import select
from vertex_emulator.names import camel
from vertex_emulator.requests import json_body

# HTTP method, path, method that answers, names of the query's parameters that it has.
Row = tuple[str, str, Callable[..., Any], *tuple[str, ...]]
WITHOUT_EFFECT = (
    "accessToken", "key", "oauthToken", "prettyPrint", "quotaUser", "trace", "uploadProtocol",
    "uploadType", "userProject", ".xgafv",
)  # fmt: skip
WITH_EFFECT = ("alt", "callback", "fields")
OF_ARGUMENTS = {"mask": "updateMask", "timeout": "timeout"}


def json_routes(*table: Row) -> list[BaseRoute]:
    """Returns the routes of a table.

    Raises:
        TypeError: a method wants an argument that no request has.
    """
    return [
        Route(path, _served(call, parameters), methods=[method])
        for method, path, call, *parameters in table
    ]


def _served(
    call: Callable[..., Any], parameters: list[str]
) -> Callable[[Request], Awaitable[Response]]:
    wanted = list(inspect.signature(call).parameters)
    unknown = set(wanted) - _ARGUMENTS.keys() - {"body"}
    if unknown:
        raise TypeError(f"{call} wants {unknown}; a request has {', '.join(_ARGUMENTS)} and body.")
    known = (*parameters, *(name for key, name in OF_ARGUMENTS.items() if key in wanted))

    async def handle(request: Request) -> Response:
        fields = _check_query(request, known)
        given = {name: _ARGUMENTS[name](request) for name in wanted if name != "body"}
        if "body" in wanted:
            given["body"] = await json_body(request)
        elif await json_body(request):
            raise invalid_argument(f"{request.method} {request.url.path} takes an empty body.")
        # A method reads and writes the disk, so beside the event loop.
        answer = await run_in_threadpool(call, **given)
        return JSONResponse(select(answer, fields) if fields else answer)

    return handle


def _check_query(request: Request, known: Collection[str]) -> str:
    """Refuses a parameter that the method does not have; returns `fields`, or "".

    Raises:
        ApiError: 400 INVALID_ARGUMENT; 400 UNIMPLEMENTED for another form of the answer.
    """
    fields = request.headers.get("x-goog-fieldmask", "")
    for name, value in request.query_params.items():
        common = camel(name.removeprefix("$"))
        if camel(name) in known or common in WITHOUT_EFFECT:
            continue
        if common not in WITH_EFFECT:
            raise invalid_argument(
                f"{name}: {request.method} {request.url.path} has no such parameter; it has"
                f" {', '.join(known) or 'none'}, and fields."
            )
        if common == "callback" or (common == "alt" and value.partition(";")[0] != "json"):
            raise not_emulated(f"{name}={value}: the emulator answers in JSON; leave it out.")
        if common == "fields":
            fields = value
    return fields.replace(".", "/")  # both are taken; names here have no dots


def _query(request: Request) -> dict[str, str]:
    """The query's parameters, whose names may be in camel or snake case."""
    return {camel(name): value for name, value in request.query_params.items()}


def _repeated(request: Request) -> dict[str, list[str]]:
    """The query's parameters, each with all its values."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(camel(name), []).append(value)
    return found


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
    "repeated": _repeated,
    "mask": lambda request: _query(request).get("updateMask"),
    "timeout": lambda request: _query(request).get("timeout"),
    "api": lambda request: request.path_params["api"],
}
