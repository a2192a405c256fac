"""Submitting a training job: everything is checked first, and each job has a folder of its own."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions

from cloud.client import Client
from cloud.config import Config
from cloud.console import step
from cloud.datasets import files
from cloud.errors import UserError
from cloud.training import job_request, packaging
from cloud.training.job_request import JobSettings

# The job as it was submitted; the object also holds the folder for it.
REQUEST_FILE = "custom_job.json"
MAX_TRIES = 100


def submit(client: Client, settings: JobSettings) -> Any:
    """Checks everything, packages the trainer, and creates the job.

    Returns:
        The `CustomJob`.

    Raises:
        UserError: a setting is wrong, or the data is not in the bucket.
    """
    arguments = check(client, settings)
    package_uri = packaging.upload(client)
    with step("Submitting the job"), reserved(client, settings, package_uri, arguments) as request:
        return client.jobs.create_custom_job(parent=client.config.location, custom_job=request)


def preview(client: Client, settings: JobSettings) -> dict[str, Any]:
    """Returns the job that `submit` would create, as a `CustomJob` in snake case.

    Raises:
        UserError: as `submit` does.
    """
    arguments = check(client, settings)
    package_uri = packaging.uri(client)
    folder = next(folders(client.config, settings))
    return job_request.custom_job(client.config, settings, folder, package_uri, arguments)


def check(client: Client, settings: JobSettings) -> list[str]:
    """Checks the settings and the data before anything is sent; returns the trainer's arguments.

    Raises:
        UserError: something is wrong.
    """
    job_request.check(client.config, settings)
    arguments = trainer_arguments(client.config, settings.trainer)
    check_data(client)
    return arguments


def trainer_arguments(config: Config, extra: Sequence[str]) -> list[str]:
    """Returns the trainer's arguments, checked by the trainer's own parser before anything is sent.

    Raises:
        SystemExit: the trainer refuses one, and has said why.
    """
    from trainer import settings

    arguments = [f"--{split}-data={uri}" for split, uri in files.uris(config).items()]
    arguments += [f"--table={config.data_set}", *extra]
    settings.parse(arguments)
    return arguments


def check_data(client: Client) -> None:
    """Raises UserError where a file of the data set is not in the bucket."""
    for uri in files.uris(client.config).values():
        if not client.blob(uri).exists():
            raise UserError(f"There is no {uri}; make and upload the data with 'nox -s data'.")


def folders(config: Config, settings: JobSettings) -> Iterator[str]:
    """Yields names for the job's folder in the bucket, `jobs/NAME-TIME`, the best first."""
    name = config.name_stem if settings.name is None else settings.name
    stem = f"jobs/{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    yield stem
    for number in range(2, MAX_TRIES):
        yield f"{stem}-{number}"


@contextmanager
def reserved(
    client: Client, settings: JobSettings, package_uri: str, arguments: list[str]
) -> Iterator[dict[str, Any]]:
    """Reserves a folder for one job, also where two are submitted in the same second.

    Its first object is the job's request, which only one submission can create.

    Yields:
        The `CustomJob` in snake case. Where creating it fails, the folder is free again.

    Raises:
        UserError: every folder is taken.
    """
    for folder in folders(client.config, settings):
        request = job_request.custom_job(client.config, settings, folder, package_uri, arguments)
        text = json.dumps(job_request.as_json(request), indent=2)
        blob = client.bucket.blob(f"{folder}/{REQUEST_FILE}")
        try:
            blob.upload_from_string(text, content_type="application/json", if_generation_match=0)
        except exceptions.PreconditionFailed:
            continue
        try:
            yield request
        except BaseException:
            blob.delete()
            raise
        return
    raise UserError(f"All folders like gs://{client.config.bucket}/{folder} are taken; try again.")
