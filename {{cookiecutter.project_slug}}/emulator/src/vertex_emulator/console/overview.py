"""The road from data to a prediction: what exists of it, and the command that goes on."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console import scores
from vertex_emulator.console.console import Console
from vertex_emulator.console.rendering import path_of, render
from vertex_emulator.state.documents import Document

NEWEST = {"pageSize": "1"}


@dataclass(frozen=True)
class Step:
    """A part of the road.

    Attributes:
        key: its name among the commands.
        title: what it is.
        number: how many there are, in words; "" where there is none.
        newest: name of the newest, or "".
        path: address of the page that shows it.
        state: of the newest, where it has one.
    """

    key: str
    title: str
    number: str
    newest: str
    path: str
    state: str = ""


def show(console: Console, request: Request) -> Response:
    """The first page."""
    location = request.path_params.get("location") or next(iter(console.locations()), "")
    steps = _steps(console, location) if location else []
    following = next((step for step in steps if not step.number), None)
    return render(
        console,
        request,
        "overview.html",
        steps=steps,
        following=following,
        command=console.next_command(following.key, location) if following else "",
        url=console.url,
    )


def _steps(console: Console, location: str) -> list[Step]:
    buckets = console.objects.buckets.in_project(location.split("/")[1])
    states = console.documents.states("customJob", location)
    job = _newest(console.jobs.list_page(location, NEWEST)["customJobs"])
    model = _newest(console.models.list_page(location, NEWEST)["models"])
    endpoint = _newest(console.endpoints.list_page(location, NEWEST)["endpoints"])
    batch = console.documents.states("batchPredictionJob", location)
    model_path = path_of(model["name"]) if model else path_of(f"{location}/models")
    predict_path = path_of(f"{endpoint['name']}/predict") if endpoint else ""
    deployed = endpoint.get("deployedModels", []) if endpoint else []
    found = scores.of_folder(console.objects, model.get("artifactUri", "")) if model else {}
    best = ", ".join(f"{name} {value:.4g}" for name, value in list(found.items())[:2])
    return [
        Step(
            "data",
            "Data",
            _count(len(buckets), "bucket"),
            buckets[0].name if len(buckets) == 1 else "",
            path_of(f"{location}/buckets/{buckets[0].name}")
            if len(buckets) == 1
            else path_of(f"{location}/buckets"),
        ),
        Step(
            "job",
            "Training job",
            _count(sum(states.values()), "job"),
            job.get("displayName", ""),
            path_of(job["name"]) if job else path_of(f"{location}/customJobs"),
            job.get("state", ""),
        ),
        Step(
            "model",
            "Model",
            _count(_number(console.models.list_page(location, {})), "model"),
            model.get("displayName", ""),
            model_path,
        ),
        Step(
            "version",
            "Version",
            f"default: {model['versionId']}" if model else "",
            best,
            model_path,
        ),
        Step(
            "endpoint",
            "Endpoint",
            _count(_number(console.endpoints.list_page(location, {})), "endpoint"),
            endpoint.get("displayName", ""),
            path_of(endpoint["name"]) if endpoint else path_of(f"{location}/endpoints"),
        ),
        Step(
            "prediction",
            "Prediction",
            _count(len(deployed), "deployed version"),
            "Try it" if deployed else "",
            predict_path or path_of(f"{location}/endpoints"),
        ),
        Step(
            "batch",
            "Batch prediction",
            _count(sum(batch.values()), "job"),
            "",
            path_of(f"{location}/batchPredictionJobs"),
        ),
    ]


def _newest(found: list[Document]) -> Document:
    return found[0] if found else {}


def _number(answer: dict[str, Any]) -> int:
    key = next(iter(answer))
    return len(answer[key])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else ""
