"""Messages of a training: a bar on a terminal, plain lines in a pipe, JSON lines in a job."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Advance = Callable[[int], None]


def in_job() -> bool:
    """Whether this process is a job's replica, whose lines Cloud Logging reads.

    Source: https://cloud.google.com/vertex-ai/docs/training/code-requirements.
    """
    return "CLUSTER_SPEC" in os.environ or "CLOUD_ML_JOB_ID" in os.environ


def say(message: str, values: Mapping[str, float] | None = None, severity: str = "INFO") -> None:
    """Prints one line; in a job, Cloud Logging keeps `values` as numbers of the `jsonPayload`.

    Source: https://cloud.google.com/logging/docs/structured-logging.
    """
    if in_job():
        message = json.dumps({"severity": severity, "message": message, **(values or {})})
    print(message, flush=True)


def fail(message: str) -> None:
    """Prints the one sentence that ends the process."""
    if in_job():
        message = json.dumps({"severity": "ERROR", "message": message})
    print(message, file=sys.stderr, flush=True)


@contextmanager
def progress(total: int, done: int) -> Iterator[Advance]:
    """Shows a bar on a terminal, and nothing elsewhere.

    Args:
        total: steps of the whole training.
        done: steps that an earlier attempt took.

    Yields:
        What to call with the number of further steps done.
    """
    if in_job() or not sys.stdout.isatty():
        yield lambda _steps: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("Training"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
    with Progress(*columns, TimeRemainingColumn(), transient=True) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda steps: bar.advance(task, steps)
