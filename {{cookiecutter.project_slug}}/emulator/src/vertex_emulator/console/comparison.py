"""Jobs, a model's versions, or runs beside each other: what differs, scores, numbers of logs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console import experiments, logs, scores
from vertex_emulator.console.charts import Chart
from vertex_emulator.console.console import Console
from vertex_emulator.console.rendering import json_response, path_of, render
from vertex_emulator.console.scores import Scores
from vertex_emulator.errors import invalid_argument
from vertex_emulator.filters.conditions import Comparison
from vertex_emulator.state.documents import Document
from vertex_emulator.vertex.resources import unversioned

MOST = 6  # as many as there are colours
FOLDER = "jobSpec.baseOutputDirectory.outputUriPrefix"


@dataclass(frozen=True)
class Compared:
    """One of those that are compared.

    Attributes:
        title: its name.
        path: address of its page.
        scores: how good it is.
        settings: what it was made with.
        job: that made it, where that is known.
    """

    title: str
    path: str
    scores: Scores
    settings: dict[str, str]
    job: Document | None


def show(console: Console, request: Request) -> Response:
    """The jobs that are ticked in the list."""
    all_jobs = _jobs(console, request)
    found = [
        Compared(
            job["displayName"],
            path_of(job["name"]),
            scores.of_job(console.objects, job),
            settings(job),
            job,
        )
        for job in all_jobs
    ]
    location = request.path_params["location"]
    return _page(console, request, "jobs", ("Jobs", f"{location}/customJobs"), found)


def show_versions(console: Console, request: Request) -> Response:
    """The versions of a model that are ticked in its page."""
    model = f"{request.path_params['location']}/models/{request.path_params['id']}"
    versions = [console.models.get(f"{model}@{each}") for each in _chosen(request, "version")]
    versions.sort(key=lambda each: int(each["versionId"]))  # from what was to what is
    found = [_version(console, each) for each in versions]
    return _page(console, request, "versions", ("The model", model), found)


def show_runs(console: Console, request: Request) -> Response:
    """The runs of an experiment that are ticked in its page."""
    path = request.path_params
    store = f"{path['location']}/metadataStores/{path['store']}"
    experiment = console.contexts.stored(f"{store}/contexts/{path['id']}")
    runs = [console.contexts.stored(f"{store}/contexts/{each}") for each in _chosen(request, "run")]
    found = [
        Compared(
            run.get("displayName") or run["name"].rpartition("/")[2],
            path_of(run["name"]),
            experiments.metrics(run),
            {name: str(value) for name, value in experiments.parameters(run).items()},
            next(iter(experiments.jobs(console, run)), None),
        )
        for run in runs
    ]
    return _page(console, request, "runs", ("The experiment", experiment["name"]), found)


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
    found |= _arguments(called.get("args", []))
    return {name: value for name, value in found.items() if value.strip() or name[0] == "-"}


def _arguments(words: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    flag = ""
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            flag = "" if equals else name
            found[name] = value
        elif flag:
            found[flag] = f"{found[flag]} {word}".strip()
        else:
            found[f"argument {place + 1}"] = word
    return found


def _version(console: Console, version: Document) -> Compared:
    """Returns a version with the settings of the job that made it, and those of its container."""
    uri = version.get("artifactUri", "")
    container = version.get("containerSpec", {})
    job = _maker(console, version)
    found = {} if job is None else {"job": job["displayName"]} | settings(job)
    found |= {
        "description": version.get("versionDescription", ""),
        "folder": uri,
        "serving image": container.get("imageUri", ""),
        "serving command": " ".join(container.get("command", [])),
    }
    found |= {f"label {key}": value for key, value in version.get("labels", {}).items()}
    served = _arguments(container.get("args", []))
    found |= {f"serving {name}": value for name, value in served.items()}
    return Compared(
        f"version {version['versionId']}",
        path_of(job["name"] if job else version["name"]),
        scores.of_folder(console.objects, uri) if uri else {},
        found,
        job,
    )


def _maker(console: Console, version: Document) -> Document | None:
    """Returns the newest job whose folder a version is from; None where there is none."""
    base, slash, last = version.get("artifactUri", "").rstrip("/").rpartition("/")
    location = unversioned(version["name"]).rpartition("/models/")[0]
    for folder in (base, base + slash) if last == "model" else ():
        needed = [Comparison(FOLDER, "=", folder)]
        for _number, job in console.documents.scan("customJob", location, None, needed):
            return job
    return None


def _page(
    console: Console,
    request: Request,
    noun: str,
    parent: tuple[str, str],
    compared: list[Compared],
) -> Response:
    names = dict.fromkeys(name for each in compared for name in each.settings)
    jobs = [each.job for each in compared if each.job is not None]
    ids = [job["name"].rpartition("/")[2] for job in jobs]
    location = request.path_params["location"]
    source = path_of(f"{location}/customJobs:compareCharts")
    return render(
        console,
        request,
        "comparison.html",
        noun=noun,
        parent=parent,
        compared=compared,
        metrics={
            name: [each.scores.get(name) for each in compared]
            for name in dict.fromkeys(name for each in compared for name in each.scores)
        },
        differing={
            name: [each.settings.get(name, "") for each in compared]
            for name in names
            if len({each.settings.get(name) for each in compared}) > 1
        },
        alike=sum(len({each.settings.get(name) for each in compared}) == 1 for name in names),
        charts=list(_charts(console, jobs)) if len(set(ids)) > 1 else [],
        source=f"{source}?{'&'.join(f'job={each}' for each in ids)}",
    )


def _jobs(console: Console, request: Request) -> list[Document]:
    location = request.path_params["location"]
    return [console.jobs.get(f"{location}/customJobs/{each}") for each in _chosen(request, "job")]


def _chosen(request: Request, noun: str) -> list[str]:
    found = list(dict.fromkeys(request.query_params.getlist(noun)))
    if not 2 <= len(found) <= MOST:
        raise invalid_argument(f"Expected 2 to {MOST} {noun}s to compare, got {len(found)}.")
    return found


def _charts(console: Console, jobs: list[Document]) -> Iterator[Chart]:
    lines: dict[str, dict[str, Any]] = {}
    names = Counter(job["displayName"] for job in jobs)
    for job in jobs:
        label = job["displayName"]
        if names[label] > 1:
            label += f" ({job['name'].rpartition('/')[2]})"
        for name, points in logs.numbers(console, job).items():
            steps = [(number, value) for number, (_time, value) in enumerate(points, 1)]
            lines.setdefault(name, {})[label] = steps
    for name, found in lines.items():
        yield Chart(name, "", found, across="line")
