"""submit: packages the trainer and submits a training job; flags after `--` go to the trainer."""

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from cloud.client import Client
from cloud.commands import data, package
from cloud.config import Config
from cloud.console import next_commands, say, step
from cloud.errors import UserError
from cloud.training import job_request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the request, and the gcloud and curl commands that send it; send nothing",
    )
    job_request.add_arguments(parser)


def run(client: Client, options: argparse.Namespace) -> int:
    """Packages, submits, and says how to follow the job."""
    say(f"Target: {client.target}")
    if options.dry_run:
        show(client, options)
        return 0
    job = submit(client, options)
    say(f"Submitted {job.display_name} ({job.name})", "bold")
    if client.console_url is not None:
        number = job.name.rpartition("/")[2]
        say(f"See it at {client.console_url}/training/{number}?project={client.config.project}")
    next_commands(
        (f"nox -s logs -- {job.display_name} --follow", "its log until it ends"),
        (f"nox -s jobs -- {job.display_name}", "its state"),
        (f"nox -s cancel -- {job.display_name}", "end it"),
        ("nox -s tensorboard", "its curves, beside those of the other jobs"),
    )
    return 0


def submit(client: Client, options: argparse.Namespace) -> Any:
    """Checks everything, packages the trainer, and creates the job.

    Returns:
        The `CustomJob`.

    Raises:
        UserError: a flag is wrong, or the data is not in the bucket.
    """
    arguments = check(client, options)
    package_uri = package.upload(client)
    folder = free_folder(client, options.name or client.config.name_stem)
    request = job_request.custom_job(client.config, options, folder, package_uri, arguments)
    with step("Submitting the job"):
        return client.jobs.create_custom_job(parent=client.config.location, custom_job=request)


def show(client: Client, options: argparse.Namespace) -> None:
    """Prints the job that `submit` would create, and how to create it without this project.

    Raises:
        UserError: as `submit` does.
    """
    arguments = check(client, options)
    package_uri = package.uri(client)
    folder = free_folder(client, options.name or client.config.name_stem)
    request = job_request.custom_job(client.config, options, folder, package_uri, arguments)
    document = job_request.as_json(request)
    say("The request, a CustomJob:", "bold")
    say(json.dumps(document, indent=2))
    say("\nThe same with gcloud:", "bold")
    say(job_request.as_gcloud(client.config, document))
    say("\nThe same with curl:", "bold")
    say(job_request.as_curl(client, document))
    say("\nNothing was sent. The package has to be in the bucket first: 'nox -s package'.")


def check(client: Client, options: argparse.Namespace) -> list[str]:
    """Checks the flags and the data before anything is sent; returns the trainer's arguments.

    Raises:
        UserError: something is wrong.
    """
    job_request.check(client.config, options)
    arguments = trainer_arguments(client.config, options.trainer)
    check_data(client)
    return arguments


def trainer_arguments(config: Config, extra: list[str]) -> list[str]:
    """Returns the trainer's arguments, checked by the trainer's own parser before anything is sent.

    Raises:
        SystemExit: the trainer refuses one, and has said why.
    """
    from trainer import settings

    places = data.uris(config)
    arguments = [f"--{split}-data={uri}" for split, uri in places.items()]
    arguments += [f"--table={config.data_set}", *extra]
    settings.parse(arguments)
    return arguments


def check_data(client: Client) -> None:
    """Raises UserError where a file of the data set is not in the bucket."""
    for split, uri in data.uris(client.config).items():
        if not client.bucket.blob(data.object_name(client.config, split)).exists():
            raise UserError(f"There is no {uri}; make and upload the data with 'nox -s data'.")


def free_folder(client: Client, name: str) -> str:
    """Returns `jobs/NAME-TIME`, a folder of the bucket that holds nothing yet."""
    stem = f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for suffix in ["", *(f"-{number}" for number in range(2, 100))]:
        folder = f"jobs/{stem}{suffix}"
        if not any(True for _ in client.bucket.list_blobs(prefix=folder + "/", max_results=1)):
            return folder
    raise UserError(f"The folders gs://{client.config.bucket}/jobs/{stem}… are taken; try again.")
