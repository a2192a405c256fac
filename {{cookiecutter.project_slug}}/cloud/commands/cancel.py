"""cancel: cancels a training job, a tuning or a batch prediction, and waits until it has ended."""

import argparse
from collections.abc import Callable
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import next_commands, say, step
from cloud.serving import batch_jobs
from cloud.training import cancellation, outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "job",
        nargs="?",
        help="name or number of the training job, or the tuning; default: the newest",
    )
    parser.add_argument(
        "--batch", metavar="JOB", help="name or number of a batch prediction, in place of a job"
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Cancels and waits.

    Raises:
        UserError: there is no such job.
    """
    say(f"Target: {client.target}")
    if options.batch is not None:
        batch_job = lookup.batch_job(client, options.batch)
        finish(batch_job, lambda: batch_jobs.cancel(client, batch_job.name))
        return 0
    job = lookup.newest(client) if options.job is None else lookup.job(client, options.job)
    ended = finish(job, lambda: cancellation.cancel(client, job))
    if lookup.is_tuning(job):
        beside = outcome.defaults_of(client, job)
        if beside is not None and not lookup.has_ended(beside):
            finish(beside, lambda: cancellation.cancel(client, beside))
    elif ended is not None and not lookup.has_succeeded(ended):
        next_commands((f"nox -s submit -- --resume {job.display_name}", "continue it"))
    return 0


def finish(job: Any, cancel: Callable[[], Any]) -> Any | None:
    """Cancels a job where it has not ended; returns it once it has, or None where it had before."""
    if lookup.has_ended(job):
        say(f"{job.display_name} has already ended: {lookup.state(job)}")
        return None
    with step(f"Cancelling {job.display_name}"):
        ended = cancel()
    say(f"{ended.display_name}: {lookup.state(ended)}")
    return ended
