"""cancel: cancels a job, waits for its end, and says what became of it."""

import argparse
import time
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import say, step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
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
        job = wait_until_ended(client, job.name)
    say(f"{job.display_name}: {job.state.name}")
    return 0


def wait_until_ended(client: Client, name: str) -> Any:
    """Returns the `CustomJob` of a resource name once it has ended."""
    while (job := client.jobs.get_custom_job(name=name)).state.name not in lookup.ENDED:
        time.sleep(client.poll_seconds)
    return job
