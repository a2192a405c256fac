"""submit: packages the trainer and submits a training job; flags after `--` go to the trainer."""

import argparse
import dataclasses
import json

from cloud.client import Client
from cloud.console import next_commands, say
from cloud.training import job_request, submission
from cloud.training.job_request import JobSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the request, and the gcloud and curl commands that send it; send nothing",
    )
    parser.add_argument(
        "--name", help="begins the job's name and folder; default: the model's name"
    )
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")
    parser.add_argument("--accelerator", metavar="TYPE", help="such as NVIDIA_TESLA_T4")
    parser.add_argument(
        "--accelerator-count",
        type=int,
        metavar="N",
        help="accelerators of each machine; default: as few as the machine can have",
    )
    parser.add_argument("--replicas", type=int, default=1, help="workers that train together")
    parser.add_argument(
        "--spot",
        action="store_true",
        help="use Spot machines: cheaper, and taken away at any time; the job then continues from"
        " its newest checkpoint",
    )
    parser.add_argument(
        "--timeout", type=int, default=86_400, help="seconds the job may run; default: a day"
    )
    parser.add_argument(
        "--label",
        dest="labels",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="may be given more than once",
    )
    parser.add_argument(
        "--service-account",
        metavar="EMAIL",
        help="the account that the job acts as; default: Vertex AI's own",
    )
    parser.add_argument(
        "--resume",
        metavar="JOB",
        help="continue an ended job from its newest checkpoint, with its settings",
    )
    parser.add_argument("trainer", nargs="*", help="flags for the trainer, after a --")


def run(client: Client, options: argparse.Namespace) -> int:
    """Packages, submits, and says how to follow the job."""
    say(f"Target: {client.target}")
    settings = settings_of(options)
    if options.dry_run:
        show(client, settings)
        return 0
    job = submission.submit(client, settings)
    say(f"Submitted {job.display_name} ({job.name})", "bold")
    say(f"See it at {client.console_url(job.name)}")
    next_commands(
        (f"nox -s logs -- {job.display_name} --follow", "its log until it ends"),
        (f"nox -s jobs -- {job.display_name}", "its state"),
        (f"nox -s cancel -- {job.display_name}", "cancel it"),
        ("nox -s tensorboard", "its curves, beside those of the other jobs"),
    )
    return 0


def settings_of(options: argparse.Namespace) -> JobSettings:
    """Returns the job's settings as the flags give them."""
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(JobSettings)}
    return JobSettings(**values)


def show(client: Client, settings: JobSettings) -> None:
    """Prints the job that `submit` would create, and how to create it without this project."""
    document = job_request.as_json(submission.preview(client, settings))
    say("The request, a CustomJob:", "bold")
    say(json.dumps(document, indent=2))
    say("\nThe same with gcloud:", "bold")
    say(job_request.as_gcloud(client.config, document))
    say("\nThe same with curl:", "bold")
    say(job_request.as_curl(client, document))
    say("\nNothing was sent. The package must be in the bucket first: 'nox -s package'.")
