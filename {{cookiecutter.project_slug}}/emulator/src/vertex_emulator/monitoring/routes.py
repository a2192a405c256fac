"""The path of Cloud Monitoring's REST API."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vertex_emulator.monitoring.series import Series
from vertex_emulator.monitoring.time_series import list_time_series


def routes(series: Series) -> list[BaseRoute]:
    """Returns the routes of the `timeSeries` collection."""

    async def list_(request: Request) -> Response:
        project, query = request.path_params["project"], dict(request.query_params)
        return JSONResponse(await run_in_threadpool(list_time_series, series, project, query))

    return [Route("/v3/projects/{project}/timeSeries", list_, methods=["GET"])]
