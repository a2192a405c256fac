"""Models: their versions with aliases, scores and places, and what differs between versions."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console import commands, scores
from vertex_emulator.console.buckets import folder_path, page_path
from vertex_emulator.console.console import Console
from vertex_emulator.console.jobs import CARD
from vertex_emulator.console.listing import listed
from vertex_emulator.console.rendering import path_of, render
from vertex_emulator.state.documents import Document
from vertex_emulator.uris import split_uri

DRIFT = "drift.html"  # beside the card, once what came was compared with the training rows


def show_list(console: Console, request: Request) -> Response:
    """The models, each by its default version."""
    location = request.path_params["location"]
    found = listed(request, "models", partial(console.models.list_page, location))
    return render(
        console,
        request,
        "models.html",
        status=found.status,
        found=found,
        rows=[_row(console, model) for model in found.items],
    )


def show(console: Console, request: Request) -> Response:
    """One model, with its versions."""
    name = f"{request.path_params['location']}/models/{request.path_params['id']}"
    model = console.models.get(name)
    found = listed(request, "models", partial(console.models.list_versions, model["name"]))
    rows = [_row(console, version) for version in found.items]
    metrics = list(dict.fromkeys(metric for row in rows for metric in row["scores"]))[:8]
    return render(
        console,
        request,
        "model.html",
        model=model,
        found=found,
        rows=rows,
        metrics=metrics,
        alias_command=commands.add_alias,
    )


def add_alias(console: Console, name: str, form: Mapping[str, str]) -> str:
    """Gives a version an alias, which moves there from the version that has it."""
    version = f"{name}@{form.get('version', '')}"
    alias = form.get("alias", "").strip()
    console.models.merge_version_aliases(version, {"versionAliases": [alias]})
    return path_of(name)


def _row(console: Console, version: Document) -> dict[str, Any]:
    uri = version.get("artifactUri", "")
    bucket, prefix = split_uri(uri.rstrip("/"))
    pages = {"Model card": f"{prefix}/{CARD}", "Drift": f"{prefix}/{DRIFT}"}
    return {
        "version": version,
        "scores": scores.of_folder(console.objects, uri) if uri else {},
        "folder": folder_path(version["name"], uri) if uri else "",
        "pages": {
            title: page_path(version["name"], bucket, name)
            for title, name in pages.items()
            if console.objects.find(bucket, name)
        },
    }
