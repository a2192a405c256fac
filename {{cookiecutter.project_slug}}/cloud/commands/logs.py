"""logs: the latest log entries of a job; `--follow` goes on until the job ends, with its result."""

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.text import Text

from cloud import lookup, rest
from cloud.client import Client
from cloud.console import err, out, say

STYLES = {
    "DEBUG": "dim",
    "NOTICE": "cyan",
    "WARNING": "yellow",
    "ERROR": "red",
    "CRITICAL": "bold red",
}
LATEST = 50
# Entries of Google Cloud may arrive out of order by so much.
LATE = timedelta(seconds=20)
SETTLE_LOOKS = 2  # looks after the job's end, for entries that were still on their way


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument("job", nargs="?", help="name or number of the job; default: the newest")
    parser.add_argument("--follow", action="store_true", help="go on until the job ends")
    parser.add_argument("--limit", type=int, default=LATEST, help="latest entries to begin with")
    parser.add_argument("--severity", default="DEFAULT", help="least severity, such as WARNING")


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints entries; exits 1 where a followed job does not succeed."""
    job = lookup.job(client, options.job)
    if not options.follow:
        condition = f"{job_filter(job.name)} AND severity>={options.severity.upper()}"
        entries = list_entries(client, condition, newest_first=True, most=options.limit)
        for entry in reversed(entries):
            print_entry(entry)
        say(f"{job.display_name}: {job.state.name}")
        return 0
    return follow(client, job)


def follow(client: Client, job: Any) -> int:
    """Prints a job's log as it grows, until the job ends.

    Returns:
        0 where the job succeeded, 1 otherwise.
    """
    state = job.state.name
    say(f"{job.display_name}: {state}")
    try:
        for event in events(client, job.name):
            if not isinstance(event, str):
                print_entry(event)
            elif event != state:
                state = event
                say(f"{job.display_name}: {state}", "bold")
    except KeyboardInterrupt:
        say(f"\nThe job goes on; 'nox -s cancel -- {job.display_name}' ends it.")
        return 130
    if state == "JOB_STATE_SUCCEEDED":
        return 0
    error = client.jobs.get_custom_job(name=job.name).error.message
    if error:
        err.print(Text(error, style="red"))
    return 1


def events(client: Client, name: str) -> Iterator[dict[str, Any] | str]:
    """Yields log entries as they come, and the job's state at each change, until it has ended.

    gcloud's own follower never ends where the job was active when it began, hence this one.
    """
    seen: set[str] = set()
    since = datetime.fromtimestamp(0, UTC)
    state, settled = "", 0
    while settled < SETTLE_LOOKS:
        current = client.jobs.get_custom_job(name=name).state.name
        moment = f"{since:%Y-%m-%dT%H:%M:%S.%fZ}"
        condition = f'{job_filter(name)} AND timestamp>="{moment}"'
        for entry in list_entries(client, condition):
            if entry["insertId"] not in seen:
                seen.add(entry["insertId"])
                since = max(since, datetime.fromisoformat(entry["timestamp"]) - LATE)
                yield entry
        if current != state:
            state = current
            yield state
        if state in lookup.ENDED:
            settled += 1
        if settled < SETTLE_LOOKS:
            time.sleep(client.poll_seconds)


def job_filter(name: str) -> str:
    """Returns the filter for a job's entries."""
    job_id = name.rpartition("/")[2]
    return f'resource.type="ml_job" AND resource.labels.job_id="{job_id}"'


def list_entries(
    client: Client, condition: str, *, newest_first: bool = False, most: int | None = None
) -> list[dict[str, Any]]:
    """Returns log entries (`entries:list`), all pages, or so many at the most.

    Raises:
        UserError: the service refuses; the message is its own.
    """
    request = {
        "resourceNames": [f"projects/{client.config.project}"],
        "filter": condition,
        "orderBy": f"timestamp {'desc' if newest_first else 'asc'}",
        "pageSize": min(most or 1000, 1000),
    }
    found: list[dict[str, Any]] = []
    while True:
        body = rest.call(client, "POST", "logging", "v2/entries:list", request)
        found += body.get("entries", [])
        token = body.get("nextPageToken")
        if not token or (most is not None and len(found) >= most):
            return found[:most]
        request["pageToken"] = token


def print_entry(entry: dict[str, Any]) -> None:
    """Prints one entry: local time, replica where it is not the first, message in its colour."""
    moment = datetime.fromisoformat(entry["timestamp"]).astimezone()
    payload = entry.get("jsonPayload", {})
    message = entry.get("textPayload", payload.get("message"))
    if message is None:
        message = ", ".join(f"{key}={value}" for key, value in payload.items())
    task = entry["resource"]["labels"].get("task_name", "")
    line = Text.assemble((f"{moment:%H:%M:%S} ", "dim"))
    if task not in ("workerpool0-0", ""):
        line.append(f"[{task}] ", "dim")
    line.append(str(message), STYLES.get(entry.get("severity", "DEFAULT"), ""))
    out.print(line)
