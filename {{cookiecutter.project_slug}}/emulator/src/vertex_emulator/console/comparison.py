"""Jobs beside each other: the settings in which they differ, scores, the numbers of their logs."""

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console import logs, scores
from vertex_emulator.console.charts import Chart
from vertex_emulator.console.console import Console
from vertex_emulator.console.rendering import json_response, render
from vertex_emulator.errors import invalid_argument
from vertex_emulator.state.documents import Document

MOST = 6  # as many as there are colours


def show(console: Console, request: Request) -> Response:
    """The jobs that are ticked in the list."""
    jobs = _jobs(console, request)
    found = [scores.of_job(console.objects, job) for job in jobs]
    given = [settings(job) for job in jobs]
    names = dict.fromkeys(name for each in given for name in each)
    return render(
        console,
        request,
        "comparison.html",
        jobs=jobs,
        metrics={
            name: [each.get(name) for each in found]
            for name in dict.fromkeys(name for each in found for name in each)
        },
        differing={
            name: [each.get(name, "") for each in given]
            for name in names
            if len({each.get(name) for each in given}) > 1
        },
        alike=sum(len({each.get(name) for each in given}) == 1 for name in names),
        charts=list(_charts(console, jobs)),
        query=request.url.query,
    )


def charts(console: Console, request: Request) -> Response:
    """The numbers of the jobs' logs over each other."""
    found = _charts(console, _jobs(console, request))
    return json_response([chart.document() for chart in found])


def settings(job: Document) -> dict[str, str]:
    """Returns what a job was called with: flags by name, machine, image, variables.

    Arguments that are no flags have their place as name.
    """
    pools = [pool for pool in job["jobSpec"]["workerPoolSpecs"] if pool]
    called = pools[0].get("containerSpec") or pools[0].get("pythonPackageSpec", {})
    machine = pools[0].get("machineSpec", {})
    found = {
        "machine": machine.get("machineType", ""),
        "accelerator": machine.get("acceleratorType", ""),
        "accelerators": str(machine.get("acceleratorCount", "")),
        "replicas": str(sum(int(pool.get("replicaCount", 1)) for pool in pools)),
        "image": called.get("imageUri") or called.get("executorImageUri", ""),
        "package": " ".join(called.get("packageUris", [])),
        "command": " ".join(called.get("command", [])),
    }
    found |= {f"${each['name']}": each.get("value", "") for each in called.get("env", [])}
    flag = ""
    for place, word in enumerate(called.get("args", [])):
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            flag = "" if equals else name
            found[name] = value
        elif flag:
            found[flag] = f"{found[flag]} {word}".strip()
        else:
            found[f"argument {place + 1}"] = word
    return {name: value for name, value in found.items() if value.strip() or name[0] == "-"}


def _jobs(console: Console, request: Request) -> list[Document]:
    ids = list(dict.fromkeys(request.query_params.getlist("job")))
    if not 2 <= len(ids) <= MOST:
        raise invalid_argument(f"Expected 2 to {MOST} jobs to compare, got {len(ids)}.")
    location = request.path_params["location"]
    return [console.jobs.get(f"{location}/customJobs/{each}") for each in ids]


def _charts(console: Console, jobs: list[Document]) -> Iterator[Chart]:
    lines: dict[str, dict[str, Any]] = {}
    for job in jobs:
        label = f"{job['displayName']} ({job['name'].rpartition('/')[2]})"
        for name, points in logs.numbers(console, job).items():
            steps = [(number, value) for number, (_time, value) in enumerate(points, 1)]
            lines.setdefault(name, {})[label] = steps
    for name, found in lines.items():
        yield Chart(name, "", found, across="line")
