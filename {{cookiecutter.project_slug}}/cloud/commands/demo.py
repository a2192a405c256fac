"""demo: every step once on the target, from the data to a prediction by REST."""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cloud import emulator, lookup
from cloud.adoption import flags
from cloud.client import Client
from cloud.config import Config
from cloud.console import next_commands, say, step
from cloud.datasets import files
from cloud.errors import UserError
from cloud.resources import running
from cloud.serving import (
    contract,
    evaluations,
    instances,
    prediction,
    prediction_text,
    rollout,
)
from cloud.serving.deployments import Machines
from cloud.training import arguments, job_logs, submission
from cloud.training.job_request import JobSettings

STEPS = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, help="train on a sample of about so many rows")
    parser.add_argument(
        "--csv",
        metavar="FILE",
        action="append",
        help="adopt a table of your own first; --label names what is predicted",
    )
    flags.add_arguments(parser)
    parser.add_argument("trainer", nargs="*", help="flags for the trainer, after a --")


def run(config: Config, options: argparse.Namespace) -> int:
    """Runs every step; stops the emulator where it started it."""
    begun = time.monotonic()
    if options.csv:
        from cloud.adoption.adopt import adopt

        config = adopt(config, options.csv, options)
    if arguments.need_data_set(config):
        lookup.table(config)
    ours = config.target == "emulator" and emulator.address(config) is None
    try:
        with numbered(1, "Target"), step("Connecting"):
            client = Client(config)
            client.bucket  # noqa: B018, created where it is missing
        say(client.target)
        run_steps(client, options)
        running.say_deployed(client)
    finally:
        if ours and emulator.stop(config):
            say("Stopped the emulator. It keeps its data; any command starts it again.", "dim")
    say(f"\nDone in {time.monotonic() - begun:.0f} s.", "bold")
    another = ("nox -s predict -- --row 7", "predict for another row")
    next_commands(
        ("nox -s tensorboard", "the curves of all jobs so far"),
        ("nox -s jobs", "the jobs, their states and durations"),
        ("nox -s logs", "the newest job's log"),
        ("nox -s versions", "the model's versions and their traffic"),
        *([another] if config.data_set else []),
        ("nox -s submit -- -- --epochs 3", "train again, with other settings"),
    )
    return 0


def run_steps(client: Client, options: argparse.Namespace) -> None:
    """Data, job, version, prediction.

    Raises:
        UserError: the job does not succeed.
    """
    with numbered(2, "Data"):
        if client.config.data_set:
            files.upload(client, options.rows)
        else:
            files.upload_folder(client)
    with numbered(3, "Job"):
        job = submission.submit(client, JobSettings(trainer=options.trainer))
        say(f"Submitted {job.display_name} ({job.name})")
    with numbered(4, "Log"):
        if job_logs.follow(client, job) != 0:
            raise UserError(f"{job.display_name} did not succeed; its log above says why.")
    with numbered(5, "Version"):
        job = lookup.job(client, job.name)
        objection = evaluations.objection_of_baselines(
            evaluations.read(client, lookup.model_folder(job))
        )
        if objection:
            raise UserError(
                f"{objection} 'nox -s deploy -- --force' deploys this one all the same."
            )
        # A second demo trains the same model again, which cannot be better than itself.
        machines = Machines(client.config.machine_type)
        rollout.deploy(client, job, machines, 100, force=True)
    with numbered(6, "Prediction"):
        predict(client)


def predict(client: Client) -> None:
    """Sends a row of the test file, or the model's own sample, and prints what is predicted."""
    taken = contract.of_default(client)
    row = instances.sample_row(client.config) if taken.table is not None else None
    instance = taken.sample
    if taken.table is not None and row is not None:
        instance = instances.of_row(taken.table, row)
    url = prediction.endpoint_url(client)
    body = taken.body([instance or {}])
    say(client.curl(url, json.dumps(body)), "dim")
    answer = prediction.ask(client, url, body)
    [predicted] = answer.predictions
    say(f"Version {answer.version} answers {json.dumps(predicted)}")
    if taken.table is not None:
        say(prediction_text.in_words(taken.table, row, predicted), "bold")


@contextmanager
def numbered(number: int, title: str) -> Iterator[None]:
    """Heads a step."""
    say(f"\n{number}/{STEPS} {title}", "bold cyan")
    yield
