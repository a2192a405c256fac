"""The last requests of an endpoint that logs them, and the switch for that."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from vertex_emulator.console.console import Console
from vertex_emulator.console.rendering import path_of
from vertex_emulator.console.texts import printable
from vertex_emulator.errors import invalid_argument
from vertex_emulator.object_store.objects import Ref
from vertex_emulator.state.documents import Document
from vertex_emulator.times import text_of
from vertex_emulator.uris import split_uri
from vertex_emulator.vertex.request_log import CONFIG, folder_of

LAST = 20  # rows that are shown
FILES = 5  # the newest, which they are taken from
TAIL_BYTES = 256 * 1024  # of each
LONGEST = 400  # characters of a request or an answer
# How far back the newest are looked for, nearest first: a busy day has 43,000 files.
SPANS = (timedelta(minutes=10), timedelta(hours=1), timedelta(days=1))


@dataclass(frozen=True)
class LoggedRequest:
    """A row of the log.

    Attributes:
        moment: of the answer.
        version: that gave it.
        asked: the instances, as JSON.
        answered: the predictions, as JSON.
    """

    moment: str
    version: str
    asked: str
    answered: str


def rate(endpoint: Document) -> float:
    """Returns the share of the requests that are logged, 0 to 1."""
    config = endpoint.get(CONFIG, {})
    return float(config.get("samplingRate", 0.0)) if config.get("enabled") else 0.0


def config(percent: int) -> dict[str, Any]:
    """Returns what a request gives an endpoint, so that it logs a share of its requests."""
    return {CONFIG: {"enabled": True, "samplingRate": percent / 100} if percent else {}}


def switch(console: Console, name: str, form: Mapping[str, str]) -> str:
    """Has an endpoint log a share of its requests, `percent`; 0 ends it."""
    text = form.get("percent", "").strip()
    if not text.isdecimal() or int(text) > 100:
        raise invalid_argument(f"percent: expected a whole percentage up to 100, got {text!r}.")
    console.endpoints.patch(name, CONFIG, config(int(text)))
    return path_of(name)


def last(console: Console, endpoint: Document, labels: Mapping[str, str]) -> list[LoggedRequest]:
    """Returns the last requests, newest first.

    Args:
        console: what there is.
        endpoint: that was asked.
        labels: of its deployed models, by ID.
    """
    folder = folder_of(endpoint)
    refs: list[Ref] = []
    for bucket in _buckets(console, endpoint):
        refs += _newest(console, bucket, folder)
    rows: list[LoggedRequest] = []
    for ref in sorted(refs, key=lambda each: each.name)[-FILES:]:
        for line in _lines(console, ref):
            with suppress(ValueError, TypeError, KeyError):  # a file of somebody else's
                rows.append(_row(line, labels))
    return sorted(rows, key=lambda row: row.moment)[: -LAST - 1 : -1]


def _buckets(console: Console, endpoint: Document) -> list[str]:
    found: dict[str, None] = {}
    for deployed in endpoint.get("deployedModels", []):
        version = console.models.version(f"{deployed['model']}@{deployed['modelVersionId']}")
        found[split_uri(version.get("artifactUri", ""))[0]] = None
    return [each for each in found if console.objects.buckets.exists(each)]


def _newest(console: Console, bucket: str, folder: str) -> list[Ref]:
    for span in SPANS:
        since = text_of(datetime.now(UTC) - span)
        stored = console.objects.walk(bucket, f"{folder}/", f"{folder}/{since}")
        found = deque((Ref(bucket, each.name) for each in stored), FILES)
        if found:
            return list(found)
    return []


def _lines(console: Console, ref: Ref) -> Iterator[bytes]:
    stored, file = console.objects.open(ref)
    with file:
        skipped = max(0, stored.size - TAIL_BYTES)
        file.seek(skipped)
        lines = file.read().splitlines()
    yield from lines[1 if skipped else 0 :][-LAST:]


def _row(line: bytes, labels: Mapping[str, str]) -> LoggedRequest:
    row = orjson.loads(line)
    asked, answered = (
        printable(", ".join(row[key]), LONGEST) for key in ("request_payload", "response_payload")
    )
    deployed = row["deployed_model_id"]
    return LoggedRequest(
        row["logging_time"],
        labels.get(deployed, deployed),
        asked[0] + ("…" if asked[1] else ""),
        answered[0] + ("…" if answered[1] else ""),
    )
