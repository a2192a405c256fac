"""Cancelling a training job, and waiting until it has ended."""

import time
from typing import Any

from cloud import lookup
from cloud.client import Client


def cancel(client: Client, name: str) -> Any:
    """Cancels a job by its resource name, and returns the `CustomJob` once it has ended."""
    client.jobs.cancel_custom_job(name=name)
    while not lookup.has_ended(job := client.jobs.get_custom_job(name=name)):
        time.sleep(client.poll_seconds)
    return job
