"""Submitting a training job: everything is checked first, and each job has a folder of its own."""

import json
from collections.abc import Callable, Iterator, Sequence
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
from cloud.training import arguments, experiments, job_request, packaging
from cloud.training.job_request import JobSettings
from table_schema.columns import SPLITS

# The job as it was submitted; the object also holds the folder for it.
REQUEST_FILE = "request.json"
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

    def request(
        self, config: Config, name: str, package_uri: str, folder: str | None = None
    ) -> dict[str, Any]:
        """Returns the `CustomJob` in snake case.

        Args:
            config: the project's values.
            name: of the job.
            package_uri: gs:// URI of the trainer's wheel.
            folder: gs:// URI of what the job writes; by default its own, or the resumed job's.
        """
        if folder is None:
            folder = f"gs://{config.bucket}/jobs/{name}"
            if self.resumed is not None:
                folder = lookup.folder(self.resumed)
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
    config = client.config

    def request(name: str) -> dict[str, Any]:
        return plan.request(config, name, package_uri)

    with step("Submitting the job"), reserved(client, names(config, plan), request) as message:
        job = client.jobs.create_custom_job(parent=config.location, custom_job=message)
    experiments.start(client, job)
    return job


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
    if lookup.is_tuning(found):
        raise UserError(
            f"--resume: {found.display_name} is a tuning, which cannot be continued; begin another"
            " one with 'nox -s tune'."
        )
    jobs = [found, *client.jobs.list_custom_jobs(parent=client.config.location)]
    for job in jobs:
        if not lookup.has_ended(job) and lookup.folder(job) == lookup.folder(found):
            raise UserError(
                f"--resume: {job.display_name} is {lookup.state(job)}, and two jobs cannot write"
                f" into {lookup.folder(job)}; wait for its end, or cancel it."
            )
    if not lookup.folder(found):
        raise UserError(f"--resume: {found.display_name} has no folder with checkpoints.")
    return found


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
def reserved(
    client: Client, candidates: Iterator[str], request: Callable[[str], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Reserves a name and folder for one job, also where two are submitted in the same second.

    Its first object is the job's request, which only one submission can create.

    Args:
        client: of the target.
        candidates: names for the job, the best first.
        request: gives the job in snake case by its name.

    Yields:
        The job. Where Google refuses it, the folder is free again.

    Raises:
        UserError: every name is taken.
    """
    for name in candidates:
        job = request(name)
        text = json.dumps(job_request.as_json(job), indent=2)
        blob = client.bucket.blob(f"jobs/{name}/{REQUEST_FILE}")
        try:
            kind = content_type(REQUEST_FILE)
            blob.upload_from_string(text, content_type=kind, if_generation_match=0)
        except exceptions.PreconditionFailed:
            continue
        try:
            yield job
        except exceptions.ClientError:
            blob.delete()
            raise
        except KeyboardInterrupt:
            say(f"\nInterrupted; 'nox -s jobs -- {name}' shows whether the job was submitted.")
            raise
        return
    raise UserError(f"All names like {name} are taken; try again.")
