"""Pages from templates.

Every string of a user is text in a page, never markup: the templates escape what they are given.
"""

import mimetypes
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
import orjson
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from vertex_emulator.console import texts
from vertex_emulator.console.console import Console
from vertex_emulator.errors import ApiError, invalid_argument

ROOT = "/-"  # no bucket has this name, so no object's address begins so
FOLDER = Path(__file__).parent
# Scripts, styles and requests of this origin alone; no page of another site may frame this one.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'self'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",  # a page shows what is, also when one goes back to it
}
SECTIONS = (
    ("", "Overview"),
    ("/customJobs", "Jobs"),
    ("/hyperparameterTuningJobs", "Tuning"),
    ("/trainingPipelines", "Pipelines"),
    ("/metadataStores/default/contexts", "Experiments"),
    ("/datasets", "Data sets"),
    ("/models", "Models"),
    ("/endpoints", "Endpoints"),
    ("/batchPredictionJobs", "Batch jobs"),
    ("/buckets", "Buckets"),
)


def path_of(name: str, **query: object) -> str:
    """Returns the address of a page.

    Args:
        name: resource name, or that of a collection.
        query: parameters; those that are empty are left out.
    """
    given = {key: value for key, value in query.items() if value not in ("", None)}
    return f"{ROOT}/{quote(name, safe='/@:')}" + (f"?{urlencode(given)}" if given else "")


def render(
    console: Console, request: Request, template: str, *, status: int = 200, **values: Any
) -> Response:
    """Returns a page.

    Args:
        console: what there is.
        request: that the page answers.
        template: its file.
        status: of HTTP.
        values: what the template shows.
    """
    locations = console.locations()
    location = request.path_params.get("location") or next(iter(locations), "")
    text = _TEMPLATES.get_template(template).render(
        console=console,
        location=location,
        locations=locations,
        sections=SECTIONS if location else (),
        here=request.url.path,
        **values,
    )
    return Response(text, status, {**HEADERS, "vary": "accept"}, "text/html; charset=utf-8")


def error_page(console: Console, request: Request, error: ApiError) -> Response:
    """Returns the page of a request that cannot be served, with a way back."""
    back = _back(request)
    return render(console, request, "error.html", status=error.code, error=error, back=back)


def _back(request: Request) -> tuple[str, str]:
    """Returns the address and name of the page that a request came from, or of its list."""
    path = request.url.path
    if request.method == "POST":
        return path.rpartition(":")[0], "the page before"
    location = f"{ROOT}/{request.path_params.get('location', '')}"
    for suffix, name in SECTIONS[1:]:
        if path.startswith(f"{location}{suffix}") and path != f"{location}{suffix}":
            return location + suffix, name.lower()
    return "/", "the overview"


def redirect(target: str) -> Response:
    """Shows another page, after something was done."""
    return RedirectResponse(target, 303, {"cache-control": "no-store"})


def json_response(document: Any) -> Response:
    """Returns data for a page's script."""
    content = orjson.dumps(document)
    return Response(content, headers=HEADERS, media_type="application/json")


def static_file(request: Request) -> Response:
    """Returns a script, style or licence of the console's own."""
    name = request.path_params["name"]
    file = FOLDER / "static" / name
    if not file.is_file():
        raise invalid_argument(f"The console has no file {name!r}.")
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    changed = formatdate(file.stat().st_mtime, usegmt=True)
    headers = {**HEADERS, "cache-control": "no-cache", "last-modified": changed}
    return FileResponse(file, headers=headers, media_type=kind)


def _moment(text: str | None) -> Markup:
    """A moment as its age, with the moment itself for whoever points at it."""
    if not text:
        return Markup.escape(texts.NONE)
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(text, texts.age(text))


def _since_epoch(microseconds: int) -> Markup:
    moment = datetime.fromtimestamp(microseconds / 1_000_000, UTC)
    return _moment(moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "age": _moment,
        "since_epoch": _since_epoch,
        "duration": texts.duration,
        "size": texts.size,
        "state": texts.state,
        "last": lambda name: name.rpartition("/")[2],
        "number": texts.number,
    }
    helpers: Mapping[str, Any] = {
        "path_of": path_of,
        "root": ROOT,
        "names": lambda found: dict.fromkeys(found, ""),
    }
    environment.globals |= helpers
    return environment


_TEMPLATES = _environment()
