"""Training pipelines: the list, and one with its data, its job and its model."""

from collections.abc import Mapping
from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console import commands
from vertex_emulator.console.console import Console
from vertex_emulator.console.jobs import history
from vertex_emulator.console.listing import listed
from vertex_emulator.console.rendering import path_of, render
from vertex_emulator.state.documents import Document
from vertex_emulator.vertex import models
from vertex_emulator.vertex.pipeline_execution import backing_job
from vertex_emulator.vertex.pipeline_states import ENDED
from vertex_emulator.vertex.pipelines import OUTPUT_ONLY


def show_list(console: Console, request: Request) -> Response:
    """The newest training pipelines that match a filter."""
    location = request.path_params["location"]
    found = listed(request, "trainingPipelines", partial(console.pipelines.list_page, location))
    rows = [
        {"pipeline": each, "job": backing_job(each), "dataset": dataset(console, each)}
        for each in found.items
    ]
    return render(console, request, "pipelines.html", status=found.status, found=found, rows=rows)


def show(console: Console, request: Request) -> Response:
    """One training pipeline."""
    location = request.path_params["location"]
    pipeline = console.pipelines.get(f"{location}/trainingPipelines/{request.path_params['id']}")
    given = _given(pipeline)
    data = pipeline.get("inputDataConfig", {})
    return render(
        console,
        request,
        "pipeline.html",
        pipeline=pipeline,
        is_over=pipeline["state"] in ENDED,
        dataset=dataset(console, pipeline),
        split=next((each for key, each in data.items() if key.endswith("Split")), {}),
        job=console.documents.get(backing_job(pipeline) or ""),
        model=pipeline.get("modelToUpload"),
        history=history(pipeline),
        request_json=orjson.dumps(given, option=orjson.OPT_INDENT_2).decode(),
        curl=commands.curl(f"{console.url}/v1/{location}/trainingPipelines", given),
        cancel_command=commands.curl(f"{console.url}/v1/{pipeline['name']}:cancel"),
    )


def cancel(console: Console, name: str, _form: Mapping[str, str]) -> str:
    """Asks for the end of a training pipeline and its job."""
    console.pipelines.cancel(name)
    return path_of(name)


def dataset(console: Console, pipeline: Document) -> Document | None:
    """Returns the data set of a pipeline, of which only the name is left where it was deleted."""
    number = pipeline.get("inputDataConfig", {}).get("datasetId")
    if not number:
        return None
    name = f"{pipeline['name'].rpartition('/trainingPipelines/')[0]}/datasets/{number}"
    return console.documents.get(name) or {"name": name, "displayName": f"{number}, deleted"}


def _given(pipeline: Document) -> Document:
    """Returns what the request that made a pipeline gave."""
    given = {key: value for key, value in pipeline.items() if key not in OUTPUT_ONLY}
    if "modelToUpload" in given:
        model = given["modelToUpload"]
        given["modelToUpload"] = {
            key: value for key, value in model.items() if key not in models.OUTPUT_ONLY
        }
    return given
