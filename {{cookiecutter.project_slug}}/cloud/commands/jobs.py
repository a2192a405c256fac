"""jobs: the jobs of the project, newest first; with a name, one job in full."""

import argparse
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from cloud import lookup
from cloud.client import Client
from cloud.console import format_duration, next_commands, out, say, table
from cloud.errors import UserError
from cloud.serving import evaluations
from cloud.training import charts
from trainer.metrics import NAMES

STYLES = {
    "JOB_STATE_SUCCEEDED": "green",
    "JOB_STATE_FAILED": "red",
    "JOB_STATE_CANCELLED": "yellow",
    "JOB_STATE_RUNNING": "cyan",
}
SHOWN_METRICS = 2  # more make the table too wide for a terminal
WATCH_SECONDS = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument("job", nargs="?", help="name or number of one job to show in full")
    parser.add_argument(
        "--filter",
        default="",
        help="Google's filter grammar, such as 'state=\"JOB_STATE_FAILED\"' or"
        ' \'display_name="flights*" AND create_time>"2026-01-31T00:00:00Z"\'',
    )
    parser.add_argument("--limit", type=int, default=20, help="jobs to show at most")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="keep showing them until Ctrl-C; in a pipe, print a line for each change of a state",
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints the table, or one job."""
    if options.limit < 1:
        raise UserError(f"--limit: expected at least 1, got {options.limit}.")
    if options.job is not None:
        show(client, lookup.job(client, options.job))
        return 0
    board = Board(client, options.filter, options.limit)
    if options.watch:
        watch(board)
        return 0
    board.look()
    if not board.jobs:
        say("No job matches." if options.filter else "There is no job yet; 'nox -s submit'.")
        return 0
    out.print(board.table())
    if board.has_more:
        say(f"… and older ones; --limit shows more than {options.limit}.", "dim")
    return 0


class Board:
    """The newest jobs that match a filter, with their scores.

    Attributes:
        jobs: newest first, as of the last look.
        has_more: whether older ones match as well.
    """

    def __init__(self, client: Client, condition: str, limit: int) -> None:
        self._client = client
        self._request = {"parent": client.config.location, "filter": condition}
        self._limit = limit
        self._scores: dict[str, evaluations.Scores] = {}
        self.jobs: list[Any] = []
        self.has_more = False

    def look(self) -> None:
        """Lists the jobs again, and reads the scores of those that have succeeded since."""
        listed = self._client.jobs.list_custom_jobs(request=self._request)
        found = list(islice(listed, self._limit + 1))
        self.jobs, self.has_more = found[: self._limit], len(found) > self._limit
        new = [
            job for job in self.jobs if lookup.has_succeeded(job) and job.name not in self._scores
        ]
        if new:
            self._client.storage  # noqa: B018, made before the threads share it
            with ThreadPoolExecutor(8) as pool:
                folders = [lookup.model_folder(job) for job in new]
                found_scores = pool.map(partial(evaluations.scores, self._client), folders)
                self._scores |= {
                    job.name: each for job, each in zip(new, found_scores, strict=True)
                }

    def table(self) -> Table:
        """Draws the jobs as they were at the last look."""
        known = [
            name
            for name in NAMES
            if any(name in self._scores.get(job.name, {}) for job in self.jobs)
        ][:SHOWN_METRICS]
        titles = [NAMES[name] for name in known]
        rows = table("name", "state", "age", "duration", *titles)
        for job in self.jobs:
            scores = self._scores.get(job.name, {})
            cells = [f"{scores[name]:.4f}" if name in scores else "" for name in known]
            rows.add_row(job.display_name, state_of(job), age(job), duration(job), *cells)
        return rows


def watch(board: Board) -> None:
    """Shows the jobs again and again, until Ctrl-C."""
    board.look()
    try:
        if out.is_terminal:
            with Live(board.table(), console=out, auto_refresh=False) as live:
                while True:
                    time.sleep(WATCH_SECONDS)
                    board.look()
                    live.update(board.table(), refresh=True)
        shown: dict[str, str] = {}
        while True:
            for job in reversed(board.jobs):
                if shown.get(job.name) != lookup.state(job):
                    shown[job.name] = lookup.state(job)
                    print(f"{job.display_name}: {lookup.state(job)}", flush=True)
            time.sleep(WATCH_SECONDS)
            board.look()
    except KeyboardInterrupt:
        say("The jobs continue.", "dim")


def show(client: Client, job: Any) -> None:
    """Prints one job: state, machines, times, places, how it was called, scores, load, error."""
    pools = job.job_spec.worker_pool_specs
    rows = table("", "")
    rows.show_header = False
    rows.add_row("job", job.display_name)
    rows.add_row("name", job.name)
    rows.add_row("state", state_of(job))
    rows.add_row("age", age(job))
    rows.add_row("duration", duration(job))
    rows.add_row("machines", ", ".join(map(machines, pools)))
    rows.add_row("folder", job.job_spec.base_output_directory.output_uri_prefix)
    labels = ", ".join(f"{key}={value}" for key, value in sorted(job.labels.items()))
    rows.add_row("labels", labels)
    rows.add_row("arguments", escape(shlex.join(pools[0].container_spec.args)))
    for name, value in evaluations.scores(client, lookup.model_folder(job)).items():
        rows.add_row(NAMES.get(name, name), f"{value:.4f}")
    for title, chart in charts.of_job(client, job).items():
        rows.add_row(title, chart)
    if job.error.message:
        rows.add_row("error", escape(job.error.message), style="red")
    out.print(rows)
    if lookup.has_succeeded(job):
        next_commands((f"nox -s deploy -- {job.display_name}", "serve its model"))
    else:
        next_commands((f"nox -s logs -- {job.display_name}", "what it printed"))


def state_of(job: Any) -> str:
    """Returns a job's state in its colour."""
    style = STYLES.get(job.state.name)
    text = lookup.state(job)
    return f"[{style}]{text}[/{style}]" if style else text


def machines(pool: Any) -> str:
    """Says what a worker pool runs on: `2 x n1-standard-4 with 1 NVIDIA_TESLA_T4`."""
    machine = pool.machine_spec
    text = f"{pool.replica_count} x {machine.machine_type}"
    if machine.accelerator_count:
        text += f" with {machine.accelerator_count} {machine.accelerator_type.name}"
    return text


def age(job: Any) -> str:
    """Time since the job was created, in words."""
    return format_duration(datetime.now(UTC) - job.create_time)


def duration(job: Any) -> str:
    """Time that the job has run, in words; a dash before it starts."""
    if not job.start_time:
        return "-"
    end = job.end_time or datetime.now(UTC)
    return format_duration(end - job.start_time)
