"""Submitting a training job: everything is checked first, and each job has a folder of its own."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions

from cloud import lookup
from cloud.client import Client
from cloud.config import Config
from cloud.console import say, step
from cloud.content_types import content_type
from cloud.datasets import files
from cloud.errors import UserError
from cloud.training import arguments, job_request, packaging
from cloud.training.job_request import JobSettings
from table_schema.columns import SPLITS

# The job as it was submitted; the object also holds the folder for it.
REQUEST_FILE = "custom_job.json"
MAX_TRIES = 100


@dataclass(frozen=True)
class Plan:
    """A job that has been checked, and is not packaged yet.

    Attributes:
        settings: of the person.
        arguments: of the trainer.
        resumed: the `CustomJob` that it resumes, or None.
    """

    settings: JobSettings
    arguments: list[str]
    resumed: Any = None

    def request(self, config: Config, name: str, package_uri: str) -> dict[str, Any]:
        """Returns the `CustomJob` in snake case, by the job's name."""
        folder = f"gs://{config.bucket}/jobs/{name}"
        if self.resumed is not None:
            folder = _folder(self.resumed)
        return job_request.custom_job(
            config,
            self.settings,
            name=name,
            folder=folder,
            package_uri=package_uri,
            arguments=self.arguments,
        )


def submit(client: Client, settings: JobSettings) -> Any:
    """Checks everything, packages the trainer, and creates the job.

    Returns:
        The `CustomJob`.

    Raises:
        UserError: a setting is wrong, or the data is not in the bucket.
        KeyboardInterrupt: the person interrupted it, and was told whether the job may exist.
    """
    try:
        plan = check(client, settings)
        package_uri = packaging.upload(client)
    except KeyboardInterrupt:
        say("\nInterrupted; no job was submitted.")
        raise
    with step("Submitting the job"), reserved(client, plan, package_uri) as request:
        return client.jobs.create_custom_job(parent=client.config.location, custom_job=request)


def preview(client: Client, settings: JobSettings) -> dict[str, Any]:
    """Returns the job that `submit` would create, as a `CustomJob` in snake case.

    Raises:
        UserError: as `submit` does.
    """
    plan = check(client, settings)
    package_uri = packaging.uri(client)
    return plan.request(client.config, next(names(client.config, plan)), package_uri)


def check(client: Client, settings: JobSettings) -> Plan:
    """Checks the settings and the data before anything is sent.

    Raises:
        UserError: something is wrong.
    """
    job_request.check(client.config, settings)
    resumed = None if settings.resume is None else job_to_resume(client, settings.resume)
    found = trainer_arguments(client.config, settings.trainer, resumed)
    check_data(client)
    return Plan(settings, found, resumed)


def job_to_resume(client: Client, name: str) -> Any:
    """Returns the ended job of a name.

    Raises:
        UserError: it runs, or another job writes into its folder.
    """
    found = lookup.job(client, name)
    jobs = [found, *client.jobs.list_custom_jobs(parent=client.config.location)]
    for job in jobs:
        if not lookup.has_ended(job) and _folder(job) == _folder(found):
            raise UserError(
                f"--resume: {job.display_name} is {lookup.state(job)}, and two jobs cannot write"
                f" into {_folder(job)}; wait for its end, or cancel it."
            )
    if not _folder(found):
        raise UserError(f"--resume: {found.display_name} has no folder with checkpoints.")
    return found


def _folder(job: Any) -> str:
    return str(job.job_spec.base_output_directory.output_uri_prefix).rstrip("/")


def trainer_arguments(config: Config, extra: Sequence[str], resumed: Any = None) -> list[str]:
    """Returns the trainer's arguments, checked by the trainer's own parser before anything is sent.

    Args:
        config: the project's values.
        extra: what the person gave.
        resumed: the `CustomJob` whose arguments come first, where one is resumed.

    Raises:
        SystemExit: the trainer refuses one, and has said why.
    """
    if resumed is not None:
        found = [*job_request.trainer_arguments(resumed), *extra]
    else:
        places = files.uris(config) | {"data": f"gs://{config.bucket}/data"}
        found = arguments.of_trainer(config, places, extra)
    arguments.check(config, found)
    return found


def check_data(client: Client) -> None:
    """Raises UserError where a file of the data set is not in the bucket."""
    for split in SPLITS if arguments.need_data_set(client.config) else ():
        uri = files.uris(client.config)[split]
        if not client.blob(uri).exists():
            raise UserError(f"There is no {uri}; make and upload the data with 'nox -s data'.")


def names(config: Config, plan: Plan) -> Iterator[str]:
    """Yields names for the job, `NAME-TIME`, the best first."""
    name = config.name_stem if plan.settings.name is None else plan.settings.name
    if plan.settings.name is None and plan.resumed is not None:
        parts = lookup.SUBMITTED.fullmatch(plan.resumed.display_name)
        name = parts[1] if parts else plan.resumed.display_name
    stem = f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    yield stem
    for number in range(2, MAX_TRIES):
        yield f"{stem}-{number}"


@contextmanager
def reserved(client: Client, plan: Plan, package_uri: str) -> Iterator[dict[str, Any]]:
    """Reserves a name and folder for one job, also where two are submitted in the same second.

    Its first object is the job's request, which only one submission can create.

    Yields:
        The `CustomJob` in snake case. Where Google refuses it, the folder is free again.

    Raises:
        UserError: every name is taken.
    """
    for name in names(client.config, plan):
        request = plan.request(client.config, name, package_uri)
        text = json.dumps(job_request.as_json(request), indent=2)
        blob = client.bucket.blob(f"jobs/{name}/{REQUEST_FILE}")
        try:
            kind = content_type(REQUEST_FILE)
            blob.upload_from_string(text, content_type=kind, if_generation_match=0)
        except exceptions.PreconditionFailed:
            continue
        try:
            yield request
        except exceptions.ClientError:
            blob.delete()
            raise
        except KeyboardInterrupt:
            say(f"\nInterrupted; 'nox -s jobs -- {name}' shows whether the job was submitted.")
            raise
        return
    raise UserError(f"All names like {name} are taken; try again.")
