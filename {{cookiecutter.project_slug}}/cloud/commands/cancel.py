"""cancel: cancels a job, waits until it has ended, and says how."""

import argparse

from cloud import lookup
from cloud.client import Client
from cloud.console import say, step
from cloud.training import cancellation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument("job", nargs="?", help="name or number of the job; default: the newest")


def run(client: Client, options: argparse.Namespace) -> int:
    """Cancels and waits."""
    say(f"Target: {client.target}")
    job = lookup.job(client, options.job)
    if lookup.has_ended(job):
        say(f"{job.display_name} has already ended: {lookup.state(job)}")
        return 0
    with step(f"Cancelling {job.display_name}"):
        job = cancellation.cancel(client, job.name)
    say(f"{job.display_name}: {lookup.state(job)}")
    return 0
