"""The addresses of the pages, and the functions that answer them.

A page's address is `/-/` and the name of the resource that it shows.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vertex_emulator.console import (
    application,
    batch_jobs,
    buckets,
    comparison,
    datasets,
    deployment,
    endpoints,
    experiments,
    jobs,
    logged_requests,
    logs,
    models,
    overview,
    pipelines,
    rendering,
    trial,
    tuning,
)
from vertex_emulator.console.console import Console
from vertex_emulator.errors import ApiError, from_http_status, not_found
from vertex_emulator.requests import limited_body

Page = Callable[[Console, Request], Response]
# Does what a form asks for, and returns the address of the page that shows it.
Action = Callable[[Console, str, Mapping[str, str]], str]

MAX_FORM_BYTES = 1024 * 1024
_LOCATION = rendering.ROOT + "/{location:location}"
_JOB = _LOCATION + "/customJobs/{id:id}"
_TUNING = _LOCATION + "/hyperparameterTuningJobs/{id:id}"
_PIPELINE = _LOCATION + "/trainingPipelines/{id:id}"
_CONTEXTS = _LOCATION + "/metadataStores/{store:id}/contexts"
_CONTEXT = _CONTEXTS + "/{id:id}"
_BATCH_JOB = _LOCATION + "/batchPredictionJobs/{id:id}"
_MODEL = _LOCATION + "/models/{id:id}"
_ENDPOINT = _LOCATION + "/endpoints/{id:id}"
_BUCKETS = _LOCATION + "/buckets"


def routes(console: Console, ready: Mapping[str, str]) -> list[BaseRoute]:
    """Returns the routes of all pages.

    Args:
        console: what the pages show.
        ready: what a client that does not ask for HTML gets at `/`.
    """
    first = _page(console, overview.show)

    async def root(request: Request) -> Response:
        if prefers_html(request.headers.get("accept", "")):
            return await first(request)
        return JSONResponse(ready, headers={"vary": "accept"})

    pages: dict[str, Page] = {
        _LOCATION: overview.show,
        _LOCATION + "/customJobs": jobs.show_list,
        _LOCATION + "/customJobs:compare": comparison.show,
        _LOCATION + "/customJobs:compareCharts": comparison.charts,
        _JOB: jobs.show,
        _JOB + "/charts": jobs.charts,
        _JOB + "/log": logs.show,
        _LOCATION + "/hyperparameterTuningJobs": tuning.show_list,
        _TUNING: tuning.show,
        _TUNING + "/charts": tuning.charts,
        _TUNING + "/log": logs.show_tuning,
        _LOCATION + "/trainingPipelines": pipelines.show_list,
        _PIPELINE: pipelines.show,
        _CONTEXTS: experiments.show_list,
        _CONTEXT: experiments.show,
        _CONTEXT + ":compare": comparison.show_runs,
        _LOCATION + "/datasets": datasets.show_list,
        _LOCATION + "/datasets/{id:id}": datasets.show,
        _LOCATION + "/models": models.show_list,
        _MODEL: models.show,
        _MODEL + ":compare": comparison.show_versions,
        _LOCATION + "/endpoints": endpoints.show_list,
        _ENDPOINT: endpoints.show,
        _ENDPOINT + "/charts": endpoints.charts,
        _ENDPOINT + "/predict": trial.show,
        _ENDPOINT + "/application": application.show,
        _ENDPOINT + "/application/page": application.show_page,
        _LOCATION + "/batchPredictionJobs": batch_jobs.show_list,
        _BATCH_JOB: batch_jobs.show,
        _BUCKETS: buckets.show_list,
        _BUCKETS + "/{bucket}": buckets.show,
        _BUCKETS + "/{bucket}/page": buckets.show_page,
    }
    actions: dict[str, Action] = {
        _JOB + ":cancel": jobs.cancel,
        _JOB + ":again": jobs.submit_again,
        _JOB + ":deploy": deployment.deploy,
        _TUNING + ":cancel": tuning.cancel,
        _PIPELINE + ":cancel": pipelines.cancel,
        _BATCH_JOB + ":cancel": batch_jobs.cancel,
        _MODEL + ":mergeVersionAliases": models.add_alias,
        _ENDPOINT + ":split": endpoints.split,
        _ENDPOINT + ":log": logged_requests.switch,
    }
    return [
        Route("/", root),
        Route(rendering.ROOT + "/static/{name}", rendering.static_file),
        *(Route(path, _page(console, page), methods=["GET"]) for path, page in pages.items()),
        *(Route(path, _action(console, do), methods=["POST"]) for path, do in actions.items()),
        Route(rendering.ROOT + "/{rest:anything}", _page(console, _no_page)),
    ]


def prefers_html(accept: str) -> bool:
    """Whether an `Accept` header names HTML, and JSON no more than that.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.accept. Clients that take anything
    (`*/*`) are no browsers.
    """
    weights: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (each.strip().lower() for each in part.split(";"))
        given = [each[2:] for each in parameters if each.startswith("q=")]
        try:
            weights[kind] = float(given[0]) if given else 1.0
        except ValueError:
            weights[kind] = 0.0
    html = weights.get("text/html", 0.0)
    return html > 0 and html >= weights.get("application/json", 0.0)


def _page(console: Console, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            return await run_in_threadpool(page, console, request)
        except ApiError as error:
            return await run_in_threadpool(rendering.error_page, console, request, error)

    return serve


def _action(console: Console, do: Action) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            body = await limited_body(request, MAX_FORM_BYTES, _too_large)
            form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
            if not secrets.compare_digest(form.pop("token", "").encode(), console.token.encode()):
                raise from_http_status(
                    403,
                    "The form is of another run of the emulator, or of another site; open the page"
                    " again and repeat it there.",
                )
            path = request.scope["path"].removeprefix(rendering.ROOT + "/")
            name = path.rpartition(":")[0]
            target = await run_in_threadpool(do, console, name, form)
            return rendering.redirect(target)
        except ApiError as error:
            return await run_in_threadpool(rendering.error_page, console, request, error)

    return serve


def _too_large(_size: int) -> ApiError:
    return from_http_status(413, f"Expected a form of at most {MAX_FORM_BYTES} bytes.")


def _no_page(_console: Console, request: Request) -> Response:
    raise not_found(f"The console has no page {request.url.path}.")
