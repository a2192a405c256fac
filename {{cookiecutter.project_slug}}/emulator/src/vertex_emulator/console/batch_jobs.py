"""Batch prediction jobs: progress, errors, results."""

from collections.abc import Mapping
from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console import commands
from vertex_emulator.console.buckets import folder_path
from vertex_emulator.console.console import Console
from vertex_emulator.console.listing import listed
from vertex_emulator.console.rendering import path_of, render
from vertex_emulator.console.texts import printable
from vertex_emulator.object_store.objects import Ref
from vertex_emulator.uris import split_uri
from vertex_emulator.vertex.batch_jobs import OUTPUT_ONLY
from vertex_emulator.vertex.states import ENDED

ERRORS = "prediction.errors_stats-00000-of-00001"  # the object that Vertex AI writes beside results
HEAD_BYTES, FIRST, LONGEST = 64 * 1024, 10, 600


def show_list(console: Console, request: Request) -> Response:
    """The newest batch prediction jobs that match a filter."""
    location = request.path_params["location"]
    found = listed(request, "batchPredictionJobs", partial(console.batch_jobs.list_page, location))
    return render(console, request, "batch_jobs.html", status=found.status, found=found)


def show(console: Console, request: Request) -> Response:
    """One batch prediction job."""
    location = request.path_params["location"]
    job = console.batch_jobs.get(f"{location}/batchPredictionJobs/{request.path_params['id']}")
    given = {key: value for key, value in job.items() if key not in OUTPUT_ONLY}
    given.pop("modelDisplayName", None)
    output = job.get("outputInfo", {}).get("gcsOutputDirectory", "")
    return render(
        console,
        request,
        "batch_job.html",
        job=job,
        is_over=job["state"] in ENDED,
        stats={key: int(value) for key, value in job.get("completionStats", {}).items()},
        output=output,
        errors=_first_errors(console, output),
        output_path=folder_path(job["name"], output),
        request_json=orjson.dumps(given, option=orjson.OPT_INDENT_2).decode(),
        curl=commands.curl(f"{console.url}/v1/{location}/batchPredictionJobs", given),
    )


def cancel(console: Console, name: str, _form: Mapping[str, str]) -> str:
    """Asks for the end of a job."""
    console.batch_jobs.cancel(name)
    return path_of(name)


def _first_errors(console: Console, output: str) -> list[str]:
    """Returns the first rows that failed, each with its reason, once the job has ended."""
    bucket, prefix = split_uri(output)
    stored = console.objects.find(bucket, f"{prefix}/{ERRORS}")
    if stored is None:
        return []
    _stored, file = console.objects.open(Ref(bucket, stored.name, stored.generation))
    with file:
        lines = file.read(HEAD_BYTES).decode(errors="replace").splitlines()
    return [printable(line, LONGEST)[0] for line in lines[:FIRST]]
