"""Batch prediction jobs: instances with keys, uploaded, and the job that predicts for them."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import counted, out, say, step
from cloud.content_types import content_type
from cloud.datasets import files
from cloud.errors import UserError
from cloud.serving import contract
from cloud.serving.batch_results import KEY_FIELD, Inputs
from cloud.serving.contract import Contract


@dataclass(frozen=True)
class BatchSettings:
    """What a person decides about a batch prediction job.

    Attributes:
        file: rows of this machine; None takes the test file.
        allow_missing: whether the file may lack features altogether.
        uri: JSON lines in Cloud Storage in place of a file.
        to: gs:// folder of the results; None takes one in the bucket.
        version: number or alias; None takes the default version.
        replicas: machines that predict.
        machine_type: such as `n1-standard-4`; None takes the project's.
    """

    file: Path | None = None
    allow_missing: bool = False
    uri: str | None = None
    to: str | None = None
    version: str | None = None
    replicas: int = 1
    machine_type: str | None = None


def submit(client: Client, settings: BatchSettings) -> tuple[Any, Inputs | None]:
    """Makes instances with keys, uploads them, and creates the job.

    Returns:
        The `BatchPredictionJob`, and the rows by key where they are of this machine.
    """
    config = client.config
    version = lookup.version(client, settings.version or "default")
    name = f"{config.model}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    inputs, uri = None, settings.uri
    if uri is None:
        taken = contract.of_version(client, version)
        inputs = read_file(client, taken, settings.file, allow_missing=settings.allow_missing)
        uri = upload(client, taken, inputs, f"batch/{name}/instances.jsonl")
    to = (settings.to or f"gs://{config.bucket}/batch/{name}").rstrip("/")
    machines = {
        "machine_spec": {"machine_type": settings.machine_type or config.machine_type},
        "starting_replica_count": settings.replicas,
        "max_replica_count": settings.replicas,
    }
    job = client.jobs.create_batch_prediction_job(
        parent=config.location,
        batch_prediction_job=request(name, version, uri, to, machines)
        | {"labels": client.config.labels},
    )
    say(f"Submitted {job.display_name} ({job.name}) to version {version.version_id}", "bold")
    return job, inputs


def read_file(
    client: Client, taken: Contract, path: Path | None, *, allow_missing: bool = False
) -> Inputs:
    """Reads rows of this machine; each has its number in the file, from 0, as its key.

    Args:
        client: of the target.
        taken: what the version takes.
        path: of the file; None takes the test file.
        allow_missing: whether the file may lack features altogether.

    Raises:
        UserError: they cannot be read.
    """
    if path is None and taken.table is None:
        raise UserError("--file: expected a file of instances, as this model has no test file.")
    if path is None:
        path = files.path(client.config, "test")
        if not path.exists():
            raise UserError(
                f"There is no {path}; make the data with 'nox -s data', or give --file."
            )
    found = taken.read(path, allow_missing=allow_missing)
    for number, instance in enumerate(found, start=1):
        if KEY_FIELD in instance:
            raise UserError(
                f"{path}, instance {number}: the name {KEY_FIELD!r} is reserved for the number of"
                " the row; rename the field."
            )
    # The rows of a CSV file keep their other columns, such as the label, for the joined file.
    rows: Sequence[Any] = taken.rows(path) or found
    keys = [str(number) for number in range(len(found))]
    return Inputs(dict(zip(keys, rows, strict=True)), dict(zip(keys, found, strict=True)))


def upload(client: Client, taken: Contract, inputs: Inputs, name: str) -> str:
    """Writes instances to the bucket as JSON lines, and returns their URI."""
    keyed = (taken.whole(row) | {KEY_FIELD: key} for key, row in inputs.instances.items())
    text = "".join(json.dumps(each) + "\n" for each in keyed)
    with step(f"Uploading {counted(len(inputs.instances), 'instance')}"):
        client.bucket.blob(name).upload_from_string(text, content_type=content_type(name))
    return f"gs://{client.config.bucket}/{name}"


def request(name: str, version: Any, uri: str, to: str, machines: dict[str, Any]) -> dict[str, Any]:
    """Returns the job to create, as a `BatchPredictionJob` in snake case.

    Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs.
    """
    return {
        "display_name": name,
        "model": lookup.version_name(version, version.version_id),
        "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": [uri]}},
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": to},
        },
        "instance_config": {"instance_type": "object", "key_field": KEY_FIELD},
        "dedicated_resources": machines,
    }


def wait(client: Client, name: str) -> Any:
    """Waits for a job's end with one line of progress, and returns the job."""
    shown = ""
    with out.status("Waiting …") as status:
        while True:
            job = client.jobs.get_batch_prediction_job(name=name)
            if lookup.has_ended(job):
                return job
            status.update(progress(job))
            if not out.is_terminal and lookup.state(job) != shown:
                shown = lookup.state(job)
                say(shown)
            time.sleep(client.poll_seconds)


def cancel(client: Client, name: str) -> Any:
    """Cancels a job by its resource name, and returns it once it has ended."""
    client.jobs.cancel_batch_prediction_job(name=name)
    while not lookup.has_ended(job := client.jobs.get_batch_prediction_job(name=name)):
        time.sleep(client.poll_seconds)
    return job


def progress(job: Any) -> str:
    """Says how far a job is: its state, and its rows once there are some."""
    stats = job.completion_stats
    done = stats.successful_count + stats.failed_count
    if done <= 0:
        return lookup.state(job)
    whole = f" of {done + stats.incomplete_count:,}" if stats.incomplete_count > 0 else ""
    return f"{done:,}{whole} rows done, {stats.failed_count:,} of them failed"
