"""jobs: the jobs and tunings of the project, newest first; with a name, one in full."""

import argparse
import shlex
import time
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from textwrap import shorten
from typing import Any

from google.api_core import exceptions
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cloud import lookup
from cloud.client import Client
from cloud.console import (
    Cell,
    Column,
    format_duration,
    next_commands,
    out,
    properties,
    say,
    table,
    text,
)
from cloud.errors import UserError
from cloud.serving import evaluations
from cloud.serving.model_folder import CARD
from cloud.training import charts, experiments, job_logs, job_request, outcome, trials
from table_schema.columns import SPLITS
from table_schema.metrics import NAMES

STYLES = {
    "JOB_STATE_SUCCEEDED": "green",
    "JOB_STATE_FAILED": "red",
    "JOB_STATE_CANCELLED": "yellow",
    "JOB_STATE_RUNNING": "cyan",
}
SHOWN_METRICS = 2  # more make the table too wide for a terminal
WATCH_SECONDS = 2.0
SETTINGS_WIDTH = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "job", nargs="?", help="name or number of one job, or tuning, to show in full"
    )
    parser.add_argument(
        "--card",
        action="store_true",
        help="open the job's model card in a browser; default: of the newest that succeeded",
    )
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
    if options.card:
        open_card(client, trials.trained(client, options.job))
        return 0
    if options.job is not None:
        job = lookup.job(client, options.job)
        (show_tuning if lookup.is_tuning(job) else show)(client, job)
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
        self._condition = condition
        self._limit = limit
        self._scores: dict[str, evaluations.Scores] = {}
        self._progress: dict[str, str] = {}
        self._ended: set[str] = set()
        self.jobs: list[Any] = []
        self.has_more = False

    def look(self) -> None:
        """Lists the jobs again, and reads the scores of those that have succeeded since."""
        listed = lookup.jobs(self._client, self._condition)
        found = list(islice(listed, self._limit + 1))
        self.jobs, self.has_more = found[: self._limit], len(found) > self._limit
        self._progress = {
            job.name: progress(self._client, job)
            for job in self.jobs
            if job.state.name == "JOB_STATE_RUNNING"
        }
        new = [
            job for job in self.jobs if lookup.has_succeeded(job) and job.name not in self._scores
        ]
        if new:
            self._client.storage  # noqa: B018, made before the threads share it
            with ThreadPoolExecutor(8) as pool:
                folders = [lookup.model_folder(trials.best_of(job)) for job in new]
                found_scores = pool.map(partial(evaluations.scores, self._client), folders)
                self._scores |= {
                    job.name: each for job, each in zip(new, found_scores, strict=True)
                }
        ended = [job for job in self.jobs if lookup.has_ended(job) and job.name not in self._ended]
        experiments.close(self._client, ended)
        self._ended.update(job.name for job in ended)

    def table(self) -> Table:
        """Draws the jobs as they were at the last look."""
        found = [self._scores.get(job.name, {}) for job in self.jobs]
        metrics = evaluations.chief_metrics(found)[:SHOWN_METRICS]
        columns = [
            Column("name"),
            Column("state"),
            Column("duration", 3),
            *(Column(NAMES[name], 2 * rank) for rank, name in enumerate(metrics, start=1)),
            Column("age", 5),
            Column("differing settings", 1),
        ]
        settings = differing_settings(self.jobs)
        rows: list[list[Cell]] = []
        for job, differing in zip(self.jobs, settings, strict=True):
            scores = self._scores.get(job.name, {})
            cells = [f"{scores[name]:.4f}" if name in scores else "" for name in metrics]
            state = state_of(job, self._progress.get(job.name, ""))
            rows.append([job.display_name, state, duration(job), *cells, age(job), differing])
        return table(columns, rows)


def differing_settings(jobs: list[Any]) -> list[str]:
    """Returns for each job those of the trainer's settings in which the jobs differ."""
    settings = [
        job_request.trainer_settings(job) | (trials.ranges(job) if lookup.is_tuning(job) else {})
        for job in jobs
    ]
    places = {f"{split}-data" for split in SPLITS}
    names = [name for name in dict.fromkeys(chain(*settings)) if name not in places]
    differing = [name for name in names if len({each.get(name) for each in settings}) > 1]
    return [
        shorten(
            " ".join(f"{name}={each[name]}" for name in differing if name in each),
            SETTINGS_WIDTH,
            placeholder=" …",
        )
        for each in settings
    ]


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
                    say(f"{job.display_name}: {lookup.state(job)}")
            time.sleep(WATCH_SECONDS)
            board.look()
    except KeyboardInterrupt:
        say("The jobs continue.", "dim")


def show(client: Client, job: Any) -> None:
    """Prints one job: state, machines, times, places, how it was called, scores, load, error."""
    experiments.close(client, [job])
    pools = job.job_spec.worker_pool_specs
    labels = ", ".join(f"{key}={value}" for key, value in sorted(job.labels.items()))
    rows: list[tuple[Cell, Cell]] = [
        ("job", job.display_name),
        ("name", job.name),
        ("page", client.console_url(job.name)),
        ("state", state_of(job, job_logs.progress(client, job))),
        ("age", age(job)),
        ("duration", duration(job)),
        ("machines", ", ".join(map(machines, pools))),
        ("folder", job.job_spec.base_output_directory.output_uri_prefix),
        ("labels", labels),
        ("arguments", shlex.join(pools[0].container_spec.args)),
    ]
    for name, value in evaluations.scores(client, lookup.model_folder(job)).items():
        rows.append((NAMES.get(name, name), f"{value:.4f}"))
    rows += charts.of_job(client, job).items()
    if job.error.message:
        rows.append((text("error", "red"), text(job.error.message, "red")))
    out.print(properties(rows))
    if lookup.has_succeeded(job):
        next_commands(
            (f"nox -s jobs -- {job.display_name} --card", "open its model card"),
            (f"nox -s deploy -- {job.display_name}", "serve its model"),
        )
        return
    logs = (f"nox -s logs -- {job.display_name}", "what it printed")
    resume = (f"nox -s submit -- --resume {job.display_name}", "continue it")
    next_commands(*([logs, resume] if lookup.has_ended(job) else [logs]))


def show_tuning(client: Client, job: Any) -> None:
    """Prints a tuning: what it searches, its trials, and what it has found."""
    searched = "  ".join(f"{name}={each}" for name, each in trials.ranges(job).items())
    rows: list[tuple[Cell, Cell]] = [
        ("tuning", job.display_name),
        ("name", job.name),
        ("page", client.console_url(job.name)),
        ("state", state_of(job, trials.summary(job))),
        ("age", age(job)),
        ("duration", duration(job)),
        ("machines", ", ".join(map(machines, lookup.spec(job).worker_pool_specs))),
        ("folder", lookup.folder(job)),
        ("searches", searched),
        ("arguments", shlex.join(job_request.trainer_arguments(job))),
    ]
    if lookup.why(job):
        rows.append((text("error", "red"), text(lookup.why(job), "red")))
    out.print(properties(rows))
    say()
    out.print(trials.board(job))
    outcome.show(client, job)


def open_card(client: Client, job: Any) -> None:
    """Opens a job's model card in a browser.

    Raises:
        UserError: the job has none.
    """
    uri = f"{lookup.model_folder(job)}/{CARD}"
    path = client.config.runs_folder / "cards" / f"{job.display_name}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_bytes(client.blob(uri).download_as_bytes())
    except (exceptions.NotFound, ValueError) as error:
        raise UserError(
            f"{job.display_name} has no {CARD}: it is {lookup.state(job)}, and a job writes its"
            " card when it succeeds."
        ) from error
    say(f"Model card: {path}")
    if not webbrowser.open(path.absolute().as_uri()):
        say("There is no browser here; open the file in one.", "dim")


def progress(client: Client, job: Any) -> str:
    """Says how far a running job is, by its epochs or its trials."""
    return trials.summary(job) if lookup.is_tuning(job) else job_logs.progress(client, job)


def state_of(job: Any, progress: str = "") -> Text:
    """Returns a job's state in its colour, with its progress where that is known."""
    return text(f"{lookup.state(job)} {progress}".strip(), STYLES.get(job.state.name, ""))


def machines(pool: Any) -> str:
    """Says what a worker pool runs on: `2 x n1-standard-4 with 1 NVIDIA_TESLA_T4`."""
    machine = pool.machine_spec
    description = f"{pool.replica_count} x {machine.machine_type}"
    if machine.accelerator_count:
        description += f" with {machine.accelerator_count} {machine.accelerator_type.name}"
    return description


def age(job: Any) -> str:
    """Time since the job was created, in words."""
    return format_duration(datetime.now(UTC) - job.create_time)


def duration(job: Any) -> str:
    """Time that the job has run, in words; a dash before it starts."""
    if not job.start_time:
        return "-"
    end = job.end_time or datetime.now(UTC)
    return format_duration(end - job.start_time)
