"""submit: packages the trainer and submits a training job; flags after `--` go to the trainer."""

import argparse
import re
from datetime import UTC, datetime
from typing import Any

from cloud import data, package
from cloud.client import Client
from cloud.config import Config
from cloud.console import next_commands, say, step
from cloud.errors import UserError

# The stock image has TensorFlow and pip; the bucket is a folder in it. So no image is built.
INSTALL_AND_RUN = """\
import runpy, subprocess, sys
package = sys.argv.pop(1)
pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
subprocess.run([*pip, "--root-user-action=ignore", package], check=True)
runpy.run_module("trainer.task", run_name="__main__", alter_sys=True)
"""
NAME = re.compile(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the verb's flags."""
    parser.add_argument(
        "--name", help="begins the job's name and folder; default: the model's name"
    )
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")
    parser.add_argument("--replicas", type=int, default=1, help="workers that train together")
    parser.add_argument(
        "--timeout", type=int, default=86_400, help="seconds the job may run at most"
    )
    parser.add_argument("trainer", nargs="*", help="flags for python -m trainer.task, after a --")


def run(client: Client, options: argparse.Namespace) -> int:
    """Packages, submits, and says how to follow the job."""
    say(f"Target: {client.target}")
    job = submit(client, options)
    say(f"Submitted {job.display_name} ({job.name})", "bold")
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
    config = client.config
    name = options.name or job_name_stem(config)
    if not NAME.fullmatch(name):
        raise UserError(
            f"--name: expected up to 42 of a-z, 0-9 and -, beginning with a letter, got {name!r}."
        )
    if options.replicas < 1:
        raise UserError(f"--replicas: expected at least 1, got {options.replicas}.")
    arguments = trainer_arguments(config, options.trainer)
    check_data(client)
    package_uri = package.upload(client)
    folder = free_folder(client, name)
    request = custom_job(config, options, folder, package_uri, arguments)
    with step("Submitting the job"):
        return client.jobs.create_custom_job(parent=config.location, custom_job=request)


def job_name_stem(config: Config) -> str:
    """Returns the model's name in the letters that job names and labels may have."""
    return re.sub(r"[^a-z0-9]+", "-", config.model.lower()).strip("-") or "job"


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


def custom_job(
    config: Config, options: argparse.Namespace, folder: str, package_uri: str, arguments: list[str]
) -> dict[str, Any]:
    """Returns the job to create, as a `CustomJob` in snake case.

    Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec.
    """
    mounted = package_uri.replace("gs://", "/gcs/", 1)
    pool = {
        "machine_spec": {"machine_type": options.machine_type or config.machine_type},
        "container_spec": {
            "image_uri": config.image_uri(config.training_image),
            "command": ["python", "-c", INSTALL_AND_RUN],
            "args": [mounted, *arguments],
        },
    }
    pools = [pool | {"replica_count": 1}]
    if options.replicas > 1:
        pools.append(pool | {"replica_count": options.replicas - 1})
    return {
        "display_name": folder.removeprefix("jobs/"),
        "job_spec": {
            "worker_pool_specs": pools,
            "scheduling": {"timeout": {"seconds": options.timeout}},
            "base_output_directory": {"output_uri_prefix": f"gs://{config.bucket}/{folder}"},
        },
        "labels": {"model": job_name_stem(config)},
    }
