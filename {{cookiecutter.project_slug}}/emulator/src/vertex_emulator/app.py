"""The emulator as one ASGI application: its services, and the guard before them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from vertex_emulator.console import routes as console_routes
from vertex_emulator.console.console import Console
from vertex_emulator.data_folder import DATABASE
from vertex_emulator.errors import ApiError, internal, not_emulated
from vertex_emulator.gateway import routes as gateway_routes
from vertex_emulator.gateway.gateway import Gateway
from vertex_emulator.guard import Guard
from vertex_emulator.logs import routes as logs_routes
from vertex_emulator.metadata import routes as metadata_routes
from vertex_emulator.metadata.contexts import Contexts
from vertex_emulator.metadata.job_runs import JobRuns
from vertex_emulator.monitoring import routes as monitoring_routes
from vertex_emulator.monitoring.sampler import Sampler
from vertex_emulator.monitoring.series import Series
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.pace import Pace
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Documents
from vertex_emulator.state.log_entries import Entries
from vertex_emulator.storage_api import routes as storage_routes
from vertex_emulator.tensorboards import routes as tensorboards_routes
from vertex_emulator.vertex import routes as vertex_routes
from vertex_emulator.vertex.batch_execution import BatchRunner
from vertex_emulator.vertex.batch_jobs import BatchJobs
from vertex_emulator.vertex.dataset_export import DatasetExports
from vertex_emulator.vertex.datasets import Datasets
from vertex_emulator.vertex.endpoints import Endpoints
from vertex_emulator.vertex.execution import JobRunner
from vertex_emulator.vertex.fleet import Fleet
from vertex_emulator.vertex.jobs import Jobs
from vertex_emulator.vertex.models import Models
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.pipeline_execution import PipelineRunner
from vertex_emulator.vertex.pipelines import Pipelines
from vertex_emulator.vertex.request_log import RequestLogs
from vertex_emulator.vertex.serving import ModelServers
from vertex_emulator.vertex.trials import Trials
from vertex_emulator.vertex.tuning_execution import Tuner
from vertex_emulator.vertex.tuning_jobs import TuningJobs

# First parts of paths whose rest no bucket's object is: /v1beta1/… could be one, by its form.
VERSIONS = ("v1", "v1beta1", "ui", "v2", "v3")


class _Anything(PathConvertor):
    regex = r"[\s\S]*"  # line breaks too, which PathConvertor's own does not match


register_url_convertor("anything", _Anything())


def create_app(
    data_dir: Path,
    url: str,
    guard: Guard,
    gateway: Gateway,
    pace: Pace | None = None,
    *,
    roots: Path,
    identity: str = "",
    commands: Mapping[str, str] | None = None,
) -> Starlette:
    """Builds the application.

    Args:
        data_dir: everything that the emulator remembers is in here; made when missing.
        url: the address that the application is served at, such as `http://127.0.0.1:8085`, for
            jobs and model servers.
        guard: admits requests.
        gateway: takes predictions, here and from `gateway.front`.
        pace: how soon the replicas of deployed models become more and fewer.
        roots: the certificates that jobs trust (`proxy.certificate`).
        identity: what `GET /` answers with, so that an address file can be told from one that
            another emulator left behind.
        commands: that the console names for the steps from data to a prediction.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(data_dir / DATABASE)
    documents, entries = Documents(database), Entries(database)
    objects = Objects(database, data_dir / "blobs")
    trials = Trials(database, documents)
    runner = JobRunner(documents, entries, objects, trials, data_dir / "jobs", url=url, roots=roots)
    operations = Operations(documents)
    models = Models(database, documents, objects, operations)
    jobs = Jobs(documents, entries, operations, runner, JobRuns(database, documents, operations))
    exports = DatasetExports(documents, objects)
    pipeline_runner = PipelineRunner(database, documents, jobs=jobs, models=models, exports=exports)
    servers = ModelServers(data_dir / "servers", url)
    batch_runner = BatchRunner(documents, objects, models, servers, data_dir / "batches")
    batch_jobs = BatchJobs(documents, objects, models, operations, batch_runner)
    request_logs = RequestLogs(objects)
    fleet = Fleet(servers, gateway, pace or Pace())
    endpoints = Endpoints(
        documents, models, operations, fleet=fleet, gateway=gateway, request_logs=request_logs
    )
    tuner = Tuner(documents, entries, trials, runner)
    tuning_jobs = TuningJobs(database, documents, entries, operations, trials=trials, tuner=tuner)
    series = Series(database)
    sampler = Sampler(series, runner, fleet)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:  # what raises does not keep the rest from closing

            def close_at_end(close: Callable[[], None]) -> None:
                stack.push_async_callback(run_in_threadpool, close)

            stack.callback(database.close)
            servers.recover()
            close_at_end(servers.close)
            request_logs.start()
            close_at_end(request_logs.close)
            fleet.start()
            close_at_end(fleet.close)
            endpoints.recover()
            batch_runner.recover()
            close_at_end(batch_runner.close)
            runner.recover()
            close_at_end(runner.close)
            pipeline_runner.start()
            close_at_end(pipeline_runner.close)
            tuner.start()
            close_at_end(tuner.close)
            sampler.start()
            close_at_end(sampler.close)
            stack.callback(asyncio.create_task(gateway.run()).cancel)
            yield

    console = Console(
        jobs=jobs,
        batch_jobs=batch_jobs,
        tuning_jobs=tuning_jobs,
        pipelines=Pipelines(
            database,
            documents,
            operations,
            jobs=jobs,
            models=models,
            exports=exports,
            runner=pipeline_runner,
        ),
        datasets=Datasets(documents, operations),
        contexts=Contexts(database, documents, operations),
        models=models,
        endpoints=endpoints,
        operations=operations,
        entries=entries,
        series=series,
        objects=objects,
        documents=documents,
        gateway=gateway,
        url=url,
        commands=commands or {},
    )
    app = Starlette(
        routes=[
            *console_routes.routes(console, {"emulator": "ready", "identity": identity}),
            *vertex_routes.routes(
                jobs=jobs,
                batch_jobs=batch_jobs,
                pipelines=console.pipelines,
                datasets=console.datasets,
                tuning_jobs=tuning_jobs,
                models=models,
                endpoints=endpoints,
                operations=operations,
            ),
            *metadata_routes.routes(database, documents, operations),
            *tensorboards_routes.routes(database, documents, objects, operations),
            *gateway_routes.routes(gateway),
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
    app.add_middleware(LoopbackOnly, guard=guard)
    return app


class LoopbackOnly:
    """Passes on what the guard admits."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what is addressed to loopback; answers 403 to the rest."""
        error = self._guard.refusal(dict(scope["headers"])) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
        else:
            await JSONResponse(error.body(), error.code)(scope, receive, send)


class NotEmulated(HTTPEndpoint):
    """Knows no method, so that `_no_route` answers."""


async def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101, registered for this type
    return JSONResponse(error.body(), error.code)


async def _no_route(request: Request, error: Exception) -> Response:
    """Says of what no route serves that it is not emulated, rather than that it does not exist."""
    refused = not_emulated(
        f"{request.method} {request.url.path} is not emulated; emulator/README.md lists what is."
    )
    assert isinstance(error, HTTPException)  # noqa: S101, registered for this type
    return JSONResponse(refused.body(), refused.code)


async def _internal_error(_request: Request, error: Exception) -> Response:
    """Tells the client of a fault of ours; the server prints its traceback."""
    name = type(error).__name__
    refused = internal(f"Internal error of the emulator: {name}. Its output says more.")
    return JSONResponse(refused.body(), refused.code)
