"""submit: packages the trainer and submits a training job; flags after `--` go to the trainer."""

import argparse

from cloud.client import Client
from cloud.console import next_commands, say
from cloud.resources import running
from cloud.training import job_flags, job_request, submission


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the request, and the gcloud and curl commands that send it; send nothing",
    )
    job_flags.add_arguments(parser)
    parser.add_argument(
        "--resume",
        metavar="JOB",
        help="continue an ended job from its newest checkpoint, with its settings",
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Packages, submits, and says how to follow the job."""
    say(f"Target: {client.target}")
    settings = job_flags.settings_of(options)
    if options.dry_run:
        job_request.show(client, submission.preview(client, settings))
        return 0
    job = submission.submit(client, settings)
    say(f"Submitted {job.display_name} ({job.name})", "bold")
    say(f"See it at {client.console_url(job.name)}")
    running.say_what_costs(client, *running.training(job))
    next_commands(
        (f"nox -s logs -- {job.display_name} --follow", "its log until it ends"),
        (f"nox -s jobs -- {job.display_name}", "its state"),
        (f"nox -s cancel -- {job.display_name}", "cancel it"),
        ("nox -s tensorboard", "its curves, beside those of the other jobs"),
    )
    return 0
