"""`entries:list`: filter, order, pages."""

import re
from typing import Any

from vertex_emulator.errors import invalid_argument
from vertex_emulator.filters.language import Language
from vertex_emulator.filters.parsing import parse
from vertex_emulator.logs.entry import RANKS
from vertex_emulator.logs.functions import FUNCTIONS
from vertex_emulator.names import camel
from vertex_emulator.pages import page, window
from vertex_emulator.requests import kind_of
from vertex_emulator.state.log_entries import Entries
from vertex_emulator.times import text_of

# https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry
LANGUAGE = Language(
    fields=frozenset({
        "logName", "resource", "timestamp", "receiveTimestamp", "severity", "insertId",
        "httpRequest", "labels", "metadata", "operation", "trace", "spanId", "traceSampled",
        "sourceLocation", "split", "errorGroups", "apphub", "apphubDestination", "apphubSource",
        "otel", "textPayload", "jsonPayload", "protoPayload",
    }),
    ranks={"severity": RANKS | {str(rank): rank for rank in RANKS.values()}},
    times=frozenset({"timestamp", "receiveTimestamp"}),
    ignore_case=True,
    wildcards=False,
    comments=True,
    functions=FUNCTIONS,
    searches=True,
)  # fmt: skip
FIELDS: dict[str, type] = {
    "resourceNames": list,
    "projectIds": list,
    "filter": str,
    "orderBy": str,
    "pageSize": int,
    "pageToken": str,
}
KINDS = {list: "an array", str: "a string", int: "a whole number"}
POSITION = re.compile(r"-?\d{1,18}")
DEFAULT_A_PAGE, MAX_A_PAGE = 50, 1000


def list_entries(entries: Entries, body: Any) -> dict[str, Any]:
    """Answers `POST /v2/entries:list`.

    Source: https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list.

    Raises:
        ApiError: 400 INVALID_ARGUMENT for an unknown field, a value of another type, a bad filter,
            order or page token.
    """
    request = _checked(body)
    names = request.get("resourceNames") or [
        f"projects/{each}" for each in request.get("projectIds", [])
    ]
    if not names:
        raise invalid_argument('resourceNames: expected at least one, such as "projects/PROJECT".')
    order = request.get("orderBy") or "timestamp asc"
    if order not in ("timestamp asc", "timestamp desc"):
        raise invalid_argument(
            f"orderBy: expected 'timestamp asc' or 'timestamp desc', got {order!r}."
        )
    wanted = parse(request.get("filter", ""), LANGUAGE)
    part = window(request.get("pageSize") or DEFAULT_A_PAGE, request.get("pageToken"), MAX_A_PAGE)
    if part.after is not None and not POSITION.fullmatch(part.after[0]):
        raise invalid_argument("pageToken: expected the nextPageToken of an answer before.")
    since = wanted.at_least.get("timestamp")
    found = entries.scan(
        wanted.required.get("resource.labels.job_id"),
        text_of(since) if since else None,
        part.after,
        descending=order.endswith("desc"),
    )
    # A view of a log bucket is named below its project: projects/P/locations/L/buckets/B/views/V.
    projects = tuple("/".join(name.split("/")[:2]) + "/logs/" for name in names)
    kept = (
        item
        for item in found
        if item[1]["logName"].startswith(projects) and wanted.matches(item[1])
    )
    return page("entries", kept, part)


def _checked(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise invalid_argument("ListLogEntriesRequest: expected a JSON object.")
    request = {}
    for given, value in body.items():
        name = camel(given)
        if name not in FIELDS:
            raise invalid_argument(
                f"ListLogEntriesRequest has no field {given!r}; it has {', '.join(FIELDS)}."
            )
        kind = FIELDS[name]
        if kind is int and isinstance(value, str) and value.isdecimal():
            value = int(value)  # noqa: PLW2901, Google's JSON mapping reads numbers so
        members = value if isinstance(value, list) else []
        if type(value) is not kind:
            raise invalid_argument(f"{name}: expected {KINDS[kind]}, got {kind_of(value)}.")
        for index, each in enumerate(members):
            if not isinstance(each, str):
                raise invalid_argument(f"{name}[{index}]: expected a string, got {kind_of(each)}.")
        request[name] = value
    return request
