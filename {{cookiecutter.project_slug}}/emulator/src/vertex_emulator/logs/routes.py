"""The paths of Cloud Logging's REST API."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vertex_emulator.logs.entries import list_entries
from vertex_emulator.requests import json_body
from vertex_emulator.state.log_entries import Entries


def routes(entries: Entries) -> list[BaseRoute]:
    """Returns the routes of the `entries` collection."""

    async def list_(request: Request) -> Response:
        body = await json_body(request)
        return JSONResponse(await run_in_threadpool(list_entries, entries, body))

    return [Route("/v2/entries:list", list_, methods=["POST"])]
