"""jobs: the jobs of the project, newest first; with a name, one job in full."""

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import next_commands, out, say, table

STYLES = {
    "JOB_STATE_SUCCEEDED": "green",
    "JOB_STATE_FAILED": "red",
    "JOB_STATE_CANCELLED": "yellow",
    "JOB_STATE_RUNNING": "cyan",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the verb's flags."""
    parser.add_argument("job", nargs="?", help="name or number of one job to show in full")
    parser.add_argument(
        "--filter",
        default="",
        help="Google's filter grammar, such as 'state=\"JOB_STATE_FAILED\"' or"
        ' \'display_name="flights*" AND create_time>"2026-01-31T00:00:00Z"\'',
    )
    parser.add_argument("--limit", type=int, default=20, help="jobs to show at most")


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints the table, or one job."""
    if options.job is not None:
        show(lookup.job(client, options.job))
        return 0
    request = {"parent": client.config.location, "filter": options.filter}
    rows = table("name", "state", "age", "duration")
    count = 0
    for job in client.jobs.list_custom_jobs(request=request):
        count += 1
        if count > options.limit:
            break
        state = job.state.name
        style = STYLES.get(state, "")
        shown = f"[{style}]{state}[/{style}]" if style else state
        rows.add_row(job.display_name, shown, age(job), duration(job))
    if count:
        out.print(rows)
        if count > options.limit:
            say(f"… and older ones; --limit shows more than {options.limit}.", "dim")
    else:
        say("No job matches." if options.filter else "There is no job yet; 'nox -s submit'.")
    return 0


def show(job: Any) -> None:
    """Prints one job: state, machine, times, where it writes, how it was called, its error."""
    pools = job.job_spec.worker_pool_specs
    rows = table("", "")
    rows.show_header = False
    rows.add_row("job", job.display_name)
    rows.add_row("name", job.name)
    rows.add_row("state", job.state.name)
    rows.add_row("age", age(job))
    rows.add_row("duration", duration(job))
    machines = [f"{pool.replica_count} x {pool.machine_spec.machine_type}" for pool in pools]
    rows.add_row("machines", ", ".join(machines))
    rows.add_row("folder", job.job_spec.base_output_directory.output_uri_prefix)
    rows.add_row("arguments", "\n".join(pools[0].container_spec.args))
    if job.error.message:
        rows.add_row("error", job.error.message, style="red")
    out.print(rows)
    if job.state.name == "JOB_STATE_SUCCEEDED":
        next_commands((f"nox -s deploy -- {job.display_name}", "serve its model"))
    else:
        next_commands((f"nox -s logs -- {job.display_name}", "what it printed"))


def age(job: Any) -> str:
    """Time since the job was created, in words."""
    return words(datetime.now(UTC) - job.create_time)


def duration(job: Any) -> str:
    """Time that the job has run, in words; a dash before it starts."""
    if not job.start_time:
        return "-"
    end = job.end_time or datetime.now(UTC)
    return words(end - job.start_time)


def words(time: timedelta) -> str:
    """Writes a time with one or two units: `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = int(time.total_seconds())
    for size, unit, smaller_size, smaller in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // smaller_size} {smaller}"
    return f"{seconds} s"
