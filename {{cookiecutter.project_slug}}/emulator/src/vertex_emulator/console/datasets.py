"""Data sets of tables: the list, and one with its files and the pipelines that read it."""

from functools import partial
from itertools import islice

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console import commands
from vertex_emulator.console.console import Console
from vertex_emulator.console.listing import listed
from vertex_emulator.console.rendering import path_of, render
from vertex_emulator.state.documents import Document
from vertex_emulator.uris import split_uri
from vertex_emulator.vertex.datasets import OUTPUT_ONLY, source_uris
from vertex_emulator.vertex.pipeline_execution import KIND as PIPELINE

SEARCHED = 1_000  # pipelines, the newest


def show_list(console: Console, request: Request) -> Response:
    """The newest data sets that match a filter."""
    location = request.path_params["location"]
    found = listed(request, "datasets", partial(console.datasets.list_page, location))
    rows = [{"dataset": each, "files": _files(console, each)} for each in found.items]
    return render(console, request, "datasets.html", status=found.status, found=found, rows=rows)


def show(console: Console, request: Request) -> Response:
    """One data set."""
    location = request.path_params["location"]
    number = request.path_params["id"]
    dataset = console.datasets.get(f"{location}/datasets/{number}", {})
    given = {key: value for key, value in dataset.items() if key not in OUTPUT_ONLY}
    scanned = islice(console.documents.scan(PIPELINE, location, None, []), SEARCHED)
    return render(
        console,
        request,
        "dataset.html",
        dataset=dataset,
        files=_files(console, dataset),
        pipelines=[
            each
            for _number, each in scanned
            if each.get("inputDataConfig", {}).get("datasetId") == number
        ],
        request_json=orjson.dumps(given, option=orjson.OPT_INDENT_2).decode(),
        curl=commands.curl(f"{console.url}/v1/{location}/datasets", given),
    )


def _files(console: Console, dataset: Document) -> list[Document]:
    """Returns the files of a data set, each with its object, or None where there is none."""
    location = dataset["name"].rpartition("/datasets/")[0]
    found = []
    for uri in source_uris(dataset):
        bucket, name = split_uri(uri)
        path = path_of(f"{location}/buckets/{bucket}", object=name)
        found.append({"uri": uri, "path": path, "stored": console.objects.find(bucket, name)})
    return found
