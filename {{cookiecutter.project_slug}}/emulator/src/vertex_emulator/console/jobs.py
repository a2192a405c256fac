"""Custom jobs: the list, and one job in full."""

import re
import shlex
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console import commands, deployment, experiments, logs, scores, texts
from vertex_emulator.console.buckets import folder_path, page_path
from vertex_emulator.console.charts import Chart, Points, sparkline
from vertex_emulator.console.console import Console
from vertex_emulator.console.listing import listed
from vertex_emulator.console.rendering import json_response, path_of, render
from vertex_emulator.monitoring.series import TRAINING_CPU, TRAINING_MEMORY, series_of
from vertex_emulator.state.documents import Document
from vertex_emulator.uris import split_uri
from vertex_emulator.vertex.jobs import OUTPUT_ONLY
from vertex_emulator.vertex.states import ENDED

SPARKS, POINTS = 60, 300  # points of a line in a list, and on a job's page
DAY = 24 * 3600 * 1_000_000
CARD = "model_card.html"


def show_list(console: Console, request: Request) -> Response:
    """The newest jobs that match a filter."""
    found = listed(
        request, "customJobs", partial(console.jobs.list_page, request.path_params["location"])
    )
    rows = [_row(console, job) for job in found.items]
    metrics = list(dict.fromkeys(name for row in rows for name in row["scores"]))[:3]
    return render(
        console, request, "jobs.html", status=found.status, found=found, rows=rows, metrics=metrics
    )


def show(console: Console, request: Request) -> Response:
    """One job: how it was called, what it said, what it used, what it left."""
    job = console.jobs.get(_name(request))
    folder = job["jobSpec"].get("baseOutputDirectory", {}).get("outputUriPrefix", "").rstrip("/")
    given = {key: value for key, value in job.items() if key not in OUTPUT_ONLY}
    return render(
        console,
        request,
        "job.html",
        job=job,
        folder=folder,
        folder_page=folder_path(job["name"], folder) if folder else "",
        is_over=job["state"] in ENDED,
        tuning=(console.documents.get(job["name"]) or job).get("trial", {}).get("tuningJob"),
        pools=[pool for pool in job["jobSpec"]["workerPoolSpecs"] if pool],
        replicas=replicas(job),
        request_json=orjson.dumps(given, option=orjson.OPT_INDENT_2).decode(),
        gcloud=commands.create_job(job["name"], given),
        curl=commands.curl(f"{console.url}/v1/{_location(job)}/customJobs", given),
        history=history(job),
        said=logs.of_service(console, job),
        scores=scores.of_job(console.objects, job),
        card=_card(console, job, folder),
        charts=list(_charts(console, job)),
        log=logs.first(console, job, request.query_params),
        again=_again(job, folder),
        offer=deployment.offer(console, job),
        run=experiments.run_of(console, job),
        cancel_command=commands.cancel_job(job["name"]),
        shlex=shlex,
    )


def charts(console: Console, request: Request) -> Response:
    """What a job used, and the numbers that it logged, over time."""
    job = console.jobs.get(_name(request))
    return json_response([chart.document() for chart in _charts(console, job)])


def cancel(console: Console, name: str, _form: Mapping[str, str]) -> str:
    """Asks for the end of a job."""
    console.jobs.cancel(name)
    return path_of(name)


def submit_again(console: Console, name: str, form: Mapping[str, str]) -> str:
    """Creates a job like another one.

    Args:
        console: what there is.
        name: of the other one.
        form: `displayName`; `folder`, gs:// URI, where it has one; `args`, one a line, for all
            pools that have those of the first.
    """
    job = {key: each for key, each in console.jobs.get(name).items() if key not in OUTPUT_ONLY}
    job["displayName"] = form.get("displayName", "")
    spec = job["jobSpec"]
    if "folder" in form:
        spec["baseOutputDirectory"] = {"outputUriPrefix": form["folder"].strip()}
    if "args" in form:
        called = [_called(pool) for pool in spec["workerPoolSpecs"] if pool]
        before = called[0].get("args", [])
        for each in called:
            if each.get("args", []) == before:
                each["args"] = [line for line in form["args"].splitlines() if line]
    created = console.jobs.create(name.rpartition("/")[0].rpartition("/")[0], job)
    return path_of(created["name"])


def _again(job: Document, folder: str) -> dict[str, str | None]:
    """Returns what the form of a further job begins with: a name and a folder of its own."""
    ended = re.fullmatch(r"(.*?)-again(?:-(\d+))?", job["displayName"])
    number = int(ended[2] or 1) + 1 if ended else 1
    stem = ended[1] if ended else job["displayName"]
    name = f"{stem[:110]}-again" + (f"-{number}" if number > 1 else "")
    args = _called(next(pool for pool in job["jobSpec"]["workerPoolSpecs"] if pool)).get("args", [])
    is_editable = all(word and word.splitlines() == [word] for word in args)
    last = re.sub(r"[^\w.-]+", "-", name)
    return {
        "name": name,
        "folder": f"{folder.rpartition('/')[0]}/{last}",
        "args": "\n".join(args) if is_editable else None,
    }


def _called(pool: Document) -> Document:
    called: Document = pool.get("containerSpec") or pool["pythonPackageSpec"]
    return called


def replicas(job: Document) -> list[str]:
    """Returns the names of a job's replicas, such as `workerpool0-0`."""
    return [
        f"workerpool{number}-{index}"
        for number, pool in enumerate(job["jobSpec"]["workerPoolSpecs"])
        for index in range(int(pool.get("replicaCount", 1 if number == 0 else 0)) if pool else 0)
    ]


def _row(console: Console, job: Document) -> dict[str, Any]:
    busy = _usage(console, job, TRAINING_CPU, replicas(job)[0], SPARKS)
    return {
        "job": job,
        "scores": scores.of_job(console.objects, job),
        "line": sparkline(busy) if len(busy) > 1 else "",
        "most": max((value for _moment, value in busy), default=0.0),
    }


def history(job: Document) -> list[tuple[str, str]]:
    """Returns what became of a job, with its moment."""
    moments = (
        ("created", job["createTime"]),
        ("started", job.get("startTime")),
        (texts.state(job["state"]), job.get("endTime")),
    )
    return [(event, moment) for event, moment in moments if moment]


def _card(console: Console, job: Document, folder: str) -> str:
    """Returns the address of a job's model card, or ""."""
    bucket, prefix = split_uri(folder)
    name = f"{prefix}/model/{CARD}"
    found = console.objects.find(bucket, name) if folder else None
    return page_path(job["name"], bucket, name) if found else ""


def _charts(console: Console, job: Document) -> Iterator[Chart]:
    """Yields what a job used, and the numbers that its log has, where there are any."""
    for title, metric in (("CPU", TRAINING_CPU), ("Memory", TRAINING_MEMORY)):
        lines = {task: _usage(console, job, metric, task, POINTS) for task in replicas(job)}
        chart = Chart(title, "%", {task: line for task, line in lines.items() if line}, 10.0)
        if chart.lines:
            yield chart
    for name, points in logs.numbers(console, job).items():
        yield Chart(name, "", {name: points})


def _usage(console: Console, job: Document, metric: str, task: str, most: int) -> Points:
    if "startTime" not in job:
        return []
    _projects, project, _locations, location, _jobs, job_id = job["name"].split("/")
    resource = {
        "project_id": project,
        "region": location,
        "job_id": job_id,
        "task_name": task,
    }
    now = time.time_ns() // 1000
    start = max(_microseconds(job["startTime"]), now - DAY)
    end = min(now, _microseconds(job["endTime"]) if "endTime" in job else now)
    series = series_of(metric, {}, "cloudml_job", resource)
    found = console.series.of(series, start, end, most) if start < end else []
    return [(moment / 1_000_000, 100 * value) for moment, value in found]


def _microseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1_000_000)


def _name(request: Request) -> str:
    return f"{request.path_params['location']}/customJobs/{request.path_params['id']}"


def _location(resource: Document) -> str:
    location: str = resource["name"].rpartition("/")[0].rpartition("/")[0]
    return location
