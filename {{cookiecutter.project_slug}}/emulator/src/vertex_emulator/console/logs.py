"""A job's log: its end at first, then what comes; a filter in Cloud Logging's own language."""

import itertools
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console.charts import Points
from vertex_emulator.console.console import Console
from vertex_emulator.console.rendering import json_response
from vertex_emulator.console.scores import numbers as numbers_of
from vertex_emulator.console.texts import printable
from vertex_emulator.errors import ApiError, invalid_argument
from vertex_emulator.filters.parsing import parse
from vertex_emulator.logs.entries import LANGUAGE, list_entries
from vertex_emulator.logs.entry import TRIAL_LABEL, log_id
from vertex_emulator.state.documents import Document
from vertex_emulator.state.log_entries import Entry
from vertex_emulator.vertex.states import ENDED

LINES = 500  # shown at first; of what comes, in one answer
LONGEST = 4000  # characters of a line that are shown
SERVICE = "service"  # what Vertex AI itself says of a job
CURVES, MEASURED = 12, 3000  # numbers that are drawn, and entries that they are taken from
MESSAGE = "message"
CLOCK = slice(11, 23)  # of 2026-01-31T12:00:00.000000Z, to milliseconds


def first(console: Console, job: Document, query: Mapping[str, str]) -> dict[str, Any]:
    """Returns the newest lines that match, oldest first, and from where on to follow.

    Args:
        console: what there is.
        job: whose log.
        query: `q`, a query in Cloud Logging's language; `severity`, the least; `replica`; and
            `before`, where an answer before ended.
    """
    number = console.entries.last()
    try:
        answer = list_entries(
            console.entries,
            {
                "resourceNames": [f"projects/{job['name'].split('/')[1]}"],
                "filter": _condition(console, job, query),
                "orderBy": "timestamp desc",
                "pageSize": LINES,
                "pageToken": query.get("before", ""),
            },
        )
        problem = ""
    except ApiError as error:
        answer, problem = {"entries": []}, error.message
    return {
        "lines": [line(entry) for entry in reversed(answer["entries"])],
        "after": number,
        "earlier": answer.get("nextPageToken", ""),
        "problem": problem,
        "q": query.get("q", ""),
        "severity": query.get("severity", ""),
        "replica": query.get("replica", ""),
    }


def show(console: Console, request: Request) -> Response:
    """The lines of a custom job that came after `after`, for a page that follows."""
    path = request.path_params
    return _show(console, console.jobs.get(f"{path['location']}/customJobs/{path['id']}"), request)


def show_tuning(console: Console, request: Request) -> Response:
    """The lines of a tuning and its trials that came after `after`."""
    path = request.path_params
    name = f"{path['location']}/hyperparameterTuningJobs/{path['id']}"
    return _show(console, console.tuning_jobs.get(name), request)


def _show(console: Console, job: Document, request: Request) -> Response:
    query = request.query_params
    if not query.get("after", "").isdecimal():
        raise invalid_argument(f"after: expected a number, got {query.get('after', '')!r}.")
    is_over = job["state"] in ENDED  # seen first: what comes later than this is not lost
    wanted = parse(_condition(console, job, query), LANGUAGE)
    all_since = console.entries.since(log_id(_kept(console, job)), int(query["after"]))
    found = itertools.islice(all_since, LINES)
    entries = [entry for _position, entry in found]
    return json_response(
        {
            "lines": [line(entry) for entry in entries if wanted.matches(entry)],
            "after": int(entries[-1]["insertId"], 16) if entries else int(query["after"]),
            "over": is_over and not entries,
        }
    )


def line(entry: Entry) -> dict[str, str]:
    """Returns an entry as a line: moment, severity, replica, text."""
    text = entry.get("textPayload")
    if text is None:
        text = _payload_text(entry.get("jsonPayload", {}))
    shown, left = printable(text, LONGEST)
    task = entry["resource"]["labels"]["task_name"]
    trial = entry.get("labels", {}).get(TRIAL_LABEL, "")
    return {
        "id": entry["insertId"],
        "moment": entry["timestamp"],
        "clock": entry["timestamp"][CLOCK],
        "severity": entry.get("severity", "DEFAULT"),
        "replica": f"{trial}/{task}" if trial else task,
        "text": shown,
        "left": f"… {left:,} more characters" if left else "",
    }


def of_service(console: Console, job: Document) -> list[dict[str, str]]:
    """Returns what Vertex AI itself said of a job."""
    return first(console, job, {"replica": SERVICE})["lines"][-50:]  # type: ignore[no-any-return]


def numbers(console: Console, job: Document) -> dict[str, Points]:
    """Returns the numbers of a log's JSON lines over time, such as losses, by their names."""
    kept = _kept(console, job)
    trial = kept.get("trial", {}).get("id")
    newest = console.entries.scan(log_id(kept), None, None, descending=True)
    found: dict[str, list[tuple[float, float]]] = {}
    for _position, entry in itertools.islice(newest, MEASURED):
        if trial and entry.get("labels", {}).get(TRIAL_LABEL) != trial:
            continue
        for name, value in numbers_of(entry.get("jsonPayload")).items():
            if name in found or len(found) < CURVES:
                moment = datetime.fromisoformat(entry["timestamp"]).timestamp()
                found.setdefault(name, []).append((moment, value))
    return {name: points[::-1] for name, points in found.items() if len(points) > 1}


def _kept(console: Console, job: Document) -> Document:
    """Returns a job with what the API does not show: that it is a trial's, whose log is shared."""
    return console.documents.get(job["name"]) or job


def _condition(console: Console, job: Document, query: Mapping[str, str]) -> str:
    """Returns the filter of a job's entries, in Cloud Logging's language."""
    kept = _kept(console, job)
    parts = [f'resource.labels.job_id="{log_id(kept)}"']
    if "trial" in kept:
        parts.append(f'labels."{TRIAL_LABEL}"="{kept["trial"]["id"]}"')
    if query.get("replica"):
        parts.append(f"resource.labels.task_name={_quoted(query['replica'])}")
    if query.get("severity"):
        parts.append(f"severity>={_quoted(query['severity'])}")
    if query.get("q", "").strip():
        parts.append(f"({query['q']}\n)")  # a comment ends with its line
    return " AND ".join(parts)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _payload_text(payload: Mapping[str, Any]) -> str:
    """Returns a JSON line's message, and its other fields behind it."""
    rest = {name: value for name, value in payload.items() if name != MESSAGE}
    parts = [str(payload[MESSAGE])] if MESSAGE in payload else []
    return " ".join([*parts, *([orjson.dumps(rest).decode()] if rest or not parts else [])])
