"""The path of Cloud Monitoring's REST API and the method that answers it."""

from functools import partial

from starlette.routing import BaseRoute

from vertex_emulator.json_routes import json_routes
from vertex_emulator.monitoring.series import Series
from vertex_emulator.monitoring.time_series import PARAMETERS, list_time_series


def routes(series: Series) -> list[BaseRoute]:
    """Returns the routes of the `timeSeries` collection."""
    path = "/v3/projects/{project}/timeSeries"
    return json_routes(("GET", path, partial(list_time_series, series), *PARAMETERS))
