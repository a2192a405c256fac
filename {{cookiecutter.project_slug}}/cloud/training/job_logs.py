"""A job's log entries: the latest, or all as they come, and how they are printed."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.text import Text

from cloud import lookup, rest
from cloud.client import Client
from cloud.console import err, out, say, text
from cloud.training import experiments

STYLES = {
    "DEBUG": "dim",
    "NOTICE": "cyan",
    "WARNING": "yellow",
    "ERROR": "red",
    "CRITICAL": "bold red",
}
# Entries of Google Cloud may arrive out of order by so much.
LATE = timedelta(seconds=20)
RECENT = 50  # entries among which the newest finished epoch is looked for
TRIAL_LABEL = "ml.googleapis.com/trial_id"  # of an entry, as gcloud reads it too
EPOCH = re.compile(r"Epoch (\d+/\d+)")
SETTLE_LOOKS = 2  # looks after the job's end, for entries that were still on their way


def follow(client: Client, job: Any) -> int:
    """Prints a job's log as it grows, until the job ends.

    Returns:
        0 where the job succeeded, 1 otherwise.
    """
    say(f"{job.display_name}: {lookup.state(job)}")
    state = lookup.state(job)
    try:
        for event in events(client, job):
            if isinstance(event, dict):
                print_entry(event)
                continue
            job = event
            if lookup.state(job) != state:
                state = lookup.state(job)
                say(f"{job.display_name}: {state}", "bold")
    except KeyboardInterrupt:
        cancelled = job.tuning if isinstance(job, lookup.Trial) else job
        say(f"\nThe job continues; 'nox -s cancel -- {cancelled.display_name}' cancels it.")
        return 130
    experiments.close(client, [job])
    if lookup.has_succeeded(job):
        return 0
    if lookup.why(job):
        err.print(text(lookup.why(job), "red"))
    return 1


def events(client: Client, job: Any) -> Iterator[Any]:
    """Yields log entries as they come, each a dictionary, and the job after each look.

    gcloud's own follower never ends where the job was active when it began, hence this one.
    """
    seen: set[str] = set()
    since = datetime.fromtimestamp(0, UTC)
    settled = 0
    while settled < SETTLE_LOOKS:
        job = lookup.again(client, job)
        moment = f"{since:%Y-%m-%dT%H:%M:%S.%fZ}"
        condition = f'{job_filter(job)} AND timestamp>="{moment}"'
        for entry in list_entries(client, condition):
            if entry["insertId"] not in seen:
                seen.add(entry["insertId"])
                since = max(since, datetime.fromisoformat(entry["timestamp"]) - LATE)
                yield entry
        yield job
        if lookup.has_ended(job):
            settled += 1
        if settled < SETTLE_LOOKS:
            time.sleep(client.poll_seconds)


def progress(client: Client, job: Any) -> str:
    """Returns how far a running job is, such as `3/12` epochs; "" where it is unknown."""
    if job.state.name != "JOB_STATE_RUNNING":
        return ""
    for entry in list_entries(client, job_filter(job), newest_first=True, limit=RECENT):
        found = EPOCH.match(message_of(entry))
        if found is not None:
            return found[1]
    return ""


def job_filter(job: Any) -> str:
    """Returns the filter for the entries of a job, or of one trial among those of its tuning."""
    if isinstance(job, lookup.Trial):
        return f'{job_filter(job.tuning)} AND labels."{TRIAL_LABEL}"="{job.number}"'
    job_id = job.name.rpartition("/")[2]
    return f'resource.type="ml_job" AND resource.labels.job_id="{job_id}"'


def list_entries(
    client: Client, condition: str, *, newest_first: bool = False, limit: int | None = None
) -> list[dict[str, Any]]:
    """Returns log entries (`entries:list`), all pages, or so many at the most.

    Raises:
        UserError: the service refuses; the message is its own.
    """
    request = {
        "resourceNames": [f"projects/{client.config.project}"],
        "filter": condition,
        "orderBy": f"timestamp {'desc' if newest_first else 'asc'}",
        "pageSize": min(limit or 1000, 1000),
    }
    found: list[dict[str, Any]] = []
    while True:
        body = rest.call(client, "POST", "logging", "v2/entries:list", request)
        found += body.get("entries", [])
        token = body.get("nextPageToken")
        if not token or (limit is not None and len(found) >= limit):
            return found[:limit]
        request["pageToken"] = token


def print_entry(entry: dict[str, Any]) -> None:
    """Prints one entry: local time, trial, replica where it is not the first, coloured message."""
    moment = datetime.fromisoformat(entry["timestamp"]).astimezone()
    task = entry["resource"]["labels"].get("task_name", "")
    trial = entry.get("labels", {}).get(TRIAL_LABEL)
    line = Text.assemble((f"{moment:%H:%M:%S} ", "dim"))
    if trial:
        line.append(text(f"[trial {trial}] ", "dim"))
    if task not in ("workerpool0-0", ""):
        line.append(text(f"[{task}] ", "dim"))
    line.append(text(message_of(entry), STYLES.get(entry.get("severity", "DEFAULT"), "")))
    out.print(line)


def message_of(entry: dict[str, Any]) -> str:
    """Returns the message of a log entry; of one without, its fields."""
    payload = entry.get("jsonPayload", {})
    message = entry.get("textPayload", payload.get("message"))
    if message is None:
        message = ", ".join(f"{key}={value}" for key, value in payload.items())
    return str(message)
