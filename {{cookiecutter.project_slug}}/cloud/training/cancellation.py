"""Cancelling a training job, and waiting until it has ended."""

import time
from typing import Any

from cloud import lookup
from cloud.client import Client


def cancel(client: Client, job: Any) -> Any:
    """Cancels a job, of either kind, and returns it once it has ended."""
    if lookup.is_tuning(job):
        client.jobs.cancel_hyperparameter_tuning_job(name=job.name)
    else:
        client.jobs.cancel_custom_job(name=job.name)
    while not lookup.has_ended(job := lookup.again(client, job)):
        time.sleep(client.poll_seconds)
    return job
