"""Experiments: the list, one with its runs beside each other, best first, and one run.

An experiment is a context of `system.Experiment`, its runs are contexts below it; what a run was
made with and came to are `_params` and `_metrics` of its metadata, its state `_state`, and its
custom jobs `_custom_jobs`. Source: `google.cloud.aiplatform.metadata`, which writes and reads them
so.
"""

import re
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console.console import Console
from vertex_emulator.console.listing import listed
from vertex_emulator.console.rendering import render
from vertex_emulator.console.scores import numbers
from vertex_emulator.errors import not_found
from vertex_emulator.filters.conditions import Comparison
from vertex_emulator.metadata.job_runs import EXPERIMENT, JOBS
from vertex_emulator.metadata.nodes import CONTEXT
from vertex_emulator.metadata.stores import KIND as STORE
from vertex_emulator.state.documents import Document

DEFAULT = "default"  # the store that Google's SDK writes to
MOST_RUNS = 1_000
MOST_METRICS, MOST_PARAMETERS = 12, 24  # columns
# What people look at first, where a run has it: there is no order in the metrics of a run.
PREFERRED = ("auc", "log_loss", "loss", "accuracy", "rmse", "mae")
# How words of the names of metrics end of which less is better.
LESS_IS_BETTER = ("loss", "error", "rmse", "mse", "mae", "ece", "perplexity")


def show_list(console: Console, request: Request) -> Response:
    """The experiments of a metadata store."""
    location = request.path_params["location"]
    store = _store(request)
    if console.documents.get(store) is None and request.path_params["store"] != DEFAULT:
        raise not_found(f"There is no metadata store {store}.")
    call = partial(console.contexts.list_of_schema, EXPERIMENT, store)
    found = listed(request, "contexts", call if console.documents.get(store) else _nothing)
    return render(
        console,
        request,
        "experiments.html",
        status=found.status,
        found=found,
        rows=[_row(console, each["name"]) for each in found.items],
        store=store,
        others=[
            each["name"]
            for each in console.documents.list(STORE, location)
            if each["name"] != store
        ],
    )


def show(console: Console, request: Request) -> Response:
    """An experiment with its runs, or one run."""
    context = console.contexts.stored(f"{_store(request)}/contexts/{request.path_params['id']}")
    if context["schemaTitle"] == EXPERIMENT:
        return _experiment(console, request, context)
    return _run(console, request, context)


def runs(console: Console, experiment: Document) -> list[Document]:
    """Returns the newest runs of an experiment, newest first."""
    names = experiment.get("childContexts", [])[-MOST_RUNS:]
    found = (console.documents.get(name) for name in reversed(names))
    return [each for each in found if each is not None]


def parameters(run: Document) -> dict[str, Any]:
    """Returns what a run was made with, by name."""
    found = run.get("metadata", {}).get("_params")
    return found if isinstance(found, dict) else {}


def metrics(run: Document) -> dict[str, float]:
    """Returns what a run came to, by the name of the metric."""
    return numbers(run.get("metadata", {}).get("_metrics"))


def jobs(console: Console, run: Document) -> list[Document]:
    """Returns the custom jobs of a run that there are still."""
    named = run.get("metadata", {}).get(JOBS)
    entries = [each for each in named if isinstance(each, dict)] if isinstance(named, list) else []
    found = (console.documents.get(str(each.get("custom_job_resource_name"))) for each in entries)
    return [each for each in found if each is not None and "jobSpec" in each]


def run_of(console: Console, job: Document) -> Document | None:
    """Returns the run of a custom job: the one that it names, or one of its name that names it."""
    named = job["jobSpec"].get("experimentRun")
    if named:
        return console.documents.get(named)
    store = f"{job['name'].rpartition('/customJobs/')[0]}/metadataStores/{DEFAULT}"
    needed = [Comparison("displayName", "=", job["displayName"])]
    for _number, run in console.documents.scan(CONTEXT.message, store, None, needed):
        if any(each["name"] == job["name"] for each in jobs(console, run)):
            return run
    return None


def _experiment(console: Console, request: Request, experiment: Document) -> Response:
    found = runs(console, experiment)
    names = sorted({name for run in found for name in metrics(run)}, key=_preference)
    by = request.query_params.get("by") or next(iter(names), "")
    order = request.query_params.get("order") or best_order(by)

    def rank(run: Document) -> tuple[bool, float]:
        value = metrics(run).get(by)
        return value is None, (value or 0.0) * (-1 if order == "desc" else 1)

    given = {name: value for run in found for name, value in parameters(run).items()}
    differing = [name for name in given if len(found) == 1 or not _is_alike(found, name)]
    return render(
        console,
        request,
        "experiment.html",
        experiment=experiment,
        rows=[_run_row(console, run) for run in sorted(found, key=rank)],
        metrics=names[:MOST_METRICS],
        parameters=differing[:MOST_PARAMETERS],
        left_out=differing[MOST_PARAMETERS:],
        alike={name: value for name, value in given.items() if name not in differing},
        by=by,
        order=order,
        total=len(experiment.get("childContexts", [])),
    )


def _preference(metric: str) -> tuple[int, str]:
    return (PREFERRED.index(metric) if metric in PREFERRED else len(PREFERRED)), metric


def _is_alike(found: list[Document], name: str) -> bool:
    """Whether a parameter has the same value in all runs."""
    values = (parameters(run).get(name) for run in found)
    first = next(values)
    return all(value == first for value in values)


def best_order(metric: str) -> str:
    """Returns the order in which the best of a metric is first, as far as its name tells."""
    words = re.split(r"[\W_]+", metric.lower())
    return "asc" if any(each.endswith(LESS_IS_BETTER) for each in words) else "desc"


def _run(console: Console, request: Request, run: Document) -> Response:
    lineage = console.contexts.lineage(run["name"])
    return render(
        console,
        request,
        "run.html",
        run=run,
        row=_run_row(console, run),
        parents=[
            parent
            for each in run.get("parentContexts", [])
            if (parent := console.documents.get(each)) is not None
        ],
        artifacts=lineage["artifacts"],
        executions=lineage["executions"],
    )


def _run_row(console: Console, run: Document) -> dict[str, Any]:
    return {
        "run": run,
        "state": str(run.get("metadata", {}).get("_state", "")),
        "metrics": metrics(run),
        "parameters": parameters(run),
        "jobs": jobs(console, run),
    }


def _row(console: Console, name: str) -> dict[str, Any]:
    experiment = console.contexts.stored(name)
    names = experiment.get("childContexts", [])
    newest = console.documents.get(names[-1]) if names else None
    return {"experiment": experiment, "runs": len(names), "newest": newest}


def _store(request: Request) -> str:
    return f"{request.path_params['location']}/metadataStores/{request.path_params['store']}"


def _nothing(_query: dict[str, str]) -> dict[str, Any]:
    return {"contexts": []}
