"""cancel: cancels a job, waits for its end, and says what became of it."""

import argparse

from cloud import lookup
from cloud.client import Client
from cloud.console import say, step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the verb's flags."""
    parser.add_argument("job", nargs="?", help="name or number of the job; default: the newest")


def run(client: Client, options: argparse.Namespace) -> int:
    """Cancels and waits."""
    say(f"Target: {client.target}")
    job = lookup.job(client, options.job)
    if job.state.name in lookup.ENDED:
        say(f"{job.display_name} has ended already: {job.state.name}")
        return 0
    client.jobs.cancel_custom_job(name=job.name)
    with step(f"Cancelling {job.display_name}"):
        job = lookup.wait_until_ended(client, job.name)
    say(f"{job.display_name}: {job.state.name}")
    return 0
