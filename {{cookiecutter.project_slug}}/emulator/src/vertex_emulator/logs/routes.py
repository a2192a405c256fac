"""The path of Cloud Logging's REST API and the method that answers it."""

from functools import partial

from starlette.routing import BaseRoute

from vertex_emulator.json_routes import json_routes
from vertex_emulator.logs.entries import list_entries
from vertex_emulator.state.log_entries import Entries


def routes(entries: Entries) -> list[BaseRoute]:
    """Returns the routes of the `entries` collection."""
    return json_routes(("POST", "/v2/entries:list", partial(list_entries, entries)))
