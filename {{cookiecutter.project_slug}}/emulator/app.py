"""The emulator as one ASGI application: its services, and the guard before them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.errors import ApiError, internal, unimplemented
from emulator.logs import routes as logs_routes
from emulator.monitoring import routes as monitoring_routes
from emulator.monitoring.sampler import Sampler
from emulator.monitoring.series import Series
from emulator.storage import routes as storage_routes
from emulator.store.database import Database
from emulator.store.documents import Documents
from emulator.store.entries import Entries
from emulator.store.objects import Objects
from emulator.vertex import routes as vertex_routes
from emulator.vertex.batch_execution import BatchRunner
from emulator.vertex.batch_jobs import BatchJobs
from emulator.vertex.endpoints import Endpoints
from emulator.vertex.execution import JobRunner
from emulator.vertex.jobs import Jobs
from emulator.vertex.models import Models
from emulator.vertex.operations import Operations
from emulator.vertex.prediction import Predictions
from emulator.vertex.serving import ModelServers

# First parts of paths whose rest no bucket's object is: /v1beta1/… could be one, by its form.
VERSIONS = ("v1", "v1beta1", "ui", "v2", "v3")


class _Anything(PathConvertor):
    regex = r"[\s\S]*"  # line breaks too, which PathConvertor's own does not match


register_url_convertor("anything", _Anything())


def create_app(data_dir: Path, url: str) -> Starlette:
    """Builds the application.

    Args:
        data_dir: everything the emulator remembers lies in here; made when missing.
        url: the address the application is served at, such as `http://127.0.0.1:8085`; jobs and
            model servers are told it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(data_dir / "emulator.sqlite")
    documents, entries = Documents(database), Entries(database)
    objects = Objects(database, data_dir / "blobs")
    runner = JobRunner(documents, entries, objects, data_dir / "jobs", url)
    operations = Operations(documents)
    models = Models(database, documents, objects, operations)
    servers = ModelServers(data_dir / "servers", url)
    batch_runner = BatchRunner(documents, objects, models, servers, data_dir / "batches")
    batch_jobs = BatchJobs(documents, objects, models, operations, batch_runner)
    endpoints = Endpoints(documents, models, operations, servers)
    predictions = Predictions(endpoints, servers)
    series = Series(database)
    sampler = Sampler(series, documents, runner, servers)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        runner.recover()
        endpoints.recover()
        batch_runner.recover()
        sampler.start()
        await predictions.start()
        yield
        await predictions.close()
        await run_in_threadpool(sampler.close)
        await run_in_threadpool(runner.close)
        await run_in_threadpool(batch_runner.close)
        await run_in_threadpool(servers.close)
        database.close()

    jobs = Jobs(documents, entries, operations, runner)
    app = Starlette(
        routes=[
            Route("/", _ready),
            *vertex_routes.routes(
                jobs=jobs,
                batch_jobs=batch_jobs,
                models=models,
                endpoints=endpoints,
                operations=operations,
                predictions=predictions,
            ),
            *logs_routes.routes(entries),
            *monitoring_routes.routes(series),
            *(Route(f"/{version}/{{rest:anything}}", NotEmulated) for version in VERSIONS),
            *storage_routes.routes(objects),
        ],
        exception_handlers={
            ApiError: _api_error,
            HTTPException: _no_route,
            Exception: _internal_error,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # Google's paths have one form
    app.add_middleware(LoopbackOnly, port=urlsplit(url).port)
    return app


class LoopbackOnly:
    """Refuses what a web page in the user's browser could send.

    The emulator runs code on request. A page of another site reaches loopback through a name of
    its own (seen in `Host`) or across origins (seen in `Origin`, or in `Sec-Fetch-Site` where a
    browser sends no `Origin`, as for an image).
    """

    def __init__(self, app: ASGIApp, port: int | None) -> None:
        self._app = app
        names = ("127.0.0.1", "localhost", "[::1]")
        self._hosts = {f"{name}:{port}" for name in names} | ({*names} if port == 80 else set())
        self._origins = {f"http://{host}" for host in self._hosts} | {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what is addressed to loopback; answers 403 to the rest."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin", b"").decode("latin-1")
        site = headers.get(b"sec-fetch-site", b"none").decode("latin-1")
        if host in self._hosts and origin in self._origins and site in ("none", "same-origin"):
            await self._app(scope, receive, send)
            return
        error = ApiError(
            403,
            "PERMISSION_DENIED",
            f"Expected a request to one of {', '.join(sorted(self._hosts))} from no other site;"
            f" got Host {host!r}, Origin {origin!r}, Sec-Fetch-Site {site!r}.",
        )
        await JSONResponse(error.body(), error.code)(scope, receive, send)


class NotEmulated(HTTPEndpoint):
    """Knows no method, so that `_no_route` answers."""


async def _ready(_request: Request) -> Response:
    return JSONResponse({"emulator": "ready"})


async def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101, registered for this type
    return JSONResponse(error.body(), error.code)


async def _no_route(request: Request, error: Exception) -> Response:
    """Says of what no route serves that it is not emulated, rather than that it does not exist."""
    refused = unimplemented(
        f"{request.method} {request.url.path} is not emulated; emulator/README.md lists what is."
    )
    assert isinstance(error, HTTPException)  # noqa: S101, registered for this type
    return JSONResponse(refused.body(), refused.code)


async def _internal_error(_request: Request, error: Exception) -> Response:
    """Tells the client of a fault of ours; the server prints its traceback."""
    name = type(error).__name__
    refused = internal(f"Internal error of the emulator: {name}. Its output says more.")
    return JSONResponse(refused.body(), refused.code)
