"""cancel: cancels a training job or a batch prediction, and waits until it has ended."""

import argparse

from cloud import lookup
from cloud.client import Client
from cloud.console import next_commands, say, step
from cloud.serving import batch_jobs
from cloud.training import cancellation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "job",
        nargs="?",
        help="name or number of the training job; default: the newest",
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
        job, cancel = lookup.batch_job(client, options.batch), batch_jobs.cancel
    else:
        job, cancel = lookup.job(client, options.job), cancellation.cancel
    if lookup.has_ended(job):
        say(f"{job.display_name} has already ended: {lookup.state(job)}")
        return 0
    with step(f"Cancelling {job.display_name}"):
        job = cancel(client, job.name)
    say(f"{job.display_name}: {lookup.state(job)}")
    if options.batch is None and not lookup.has_succeeded(job):
        next_commands((f"nox -s submit -- --resume {job.display_name}", "continue it"))
    return 0
