"""batch: predicts for many rows that can wait, and joins the answers to the rows by key."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import next_commands, say, step
from cloud.errors import UserError
from cloud.resources import running
from cloud.serving import batch_jobs, batch_results, contract, instances
from cloud.serving.batch_jobs import BatchSettings
from cloud.serving.batch_results import KEY_FIELD, Inputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--file",
        type=Path,
        help="rows as .csv, .jsonl or .json, or a folder of images; default: the test file of the"
        " data set",
    )
    parser.add_argument("--allow-missing", action="store_true", help=instances.ALLOW_MISSING)
    parser.add_argument(
        "--uri",
        help=f"JSON lines in Cloud Storage, each with a field {KEY_FIELD!r} of its own"
        " and every feature; wildcards as in gs://bucket/rows-*.jsonl",
    )
    parser.add_argument("--to", help="gs:// folder of the results; default: batch/ of the bucket")
    parser.add_argument("--version", help="number or alias; default: the default version")
    parser.add_argument("--replicas", type=int, default=1, help="machines that predict; default: 1")
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")
    parser.add_argument(
        "--job",
        metavar="NUMBER",
        help="wait for this batch prediction job, submitted before, and join its results",
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Submits the job, waits for it, and writes the joined rows; exits 1 where it fails."""
    check(options)
    say(f"Target: {client.target}")
    if options.job is not None:
        job = lookup.batch_job(client, options.job)
        inputs = None
        if options.file is not None:
            taken = contract.of_batch_job(client, job)
            inputs = batch_jobs.read_file(
                client, taken, options.file, allow_missing=options.allow_missing
            )
    else:
        job, inputs = batch_jobs.submit(client, settings_of(options))
        running.say_what_costs(client, running.batch(job))
    try:
        job = batch_jobs.wait(client, job.name)
    except KeyboardInterrupt:
        same_file = f" --file {options.file}" if options.file is not None else ""
        same_file += " --allow-missing" if options.allow_missing else ""
        say(
            "\nThe job continues; 'nox -s batch -- --job"
            f" {job.name.rpartition('/')[2]}{same_file}' waits for it again."
        )
        return 130
    say(f"{job.display_name}: {lookup.state(job)}", "bold")
    if not job.output_info.gcs_output_directory:
        say(job.error.message or "The job wrote nothing.", "red")
        return 1
    return finish(client, job, inputs)


def check(options: argparse.Namespace) -> None:
    """Raises UserError where flags are wrong or contradict each other."""
    if options.file is not None and options.uri is not None:
        raise UserError("Give either --file or --uri, not both.")
    if options.replicas < 1:
        raise UserError(f"--replicas: expected at least 1, got {options.replicas}.")
    for flag in ("uri", "to"):
        value = vars(options)[flag]
        if value is not None and not value.startswith("gs://"):
            raise UserError(f"--{flag}: expected a gs:// URI, got {value!r}.")
    if options.job is not None and not {options.uri, options.to, options.version} <= {None}:
        raise UserError(
            "--job: cannot be combined with --uri, --to or --version, which the job has already."
        )


def settings_of(options: argparse.Namespace) -> BatchSettings:
    """Returns the job's settings as the flags give them."""
    names = [field.name for field in dataclasses.fields(BatchSettings)]
    return BatchSettings(**{name: getattr(options, name) for name in names})


def finish(client: Client, job: Any, inputs: Inputs | None) -> int:
    """Joins the results to the rows, and says how it went; returns the exit code."""
    folder = job.output_info.gcs_output_directory
    say(f"Results: {folder}")
    with step("Joining them to their rows"):
        results = batch_results.read(client, folder)
        rows = inputs.rows if inputs is not None else batch_results.read_inputs(client, job)
        if lookup.has_succeeded(job):
            batch_results.check_keys(rows, results)
        path = batch_results.write(
            client.config.runs_folder / "batch", job.display_name, rows, results
        )
    taken = contract.of_batch_job(client, job)
    batch_results.summary(taken.table, results)
    say(f"Joined: {path}")
    evaluate = ("nox -s evaluate", "score the default version on the test rows")
    next_commands(
        ("nox -s versions", "the versions and their scores"),
        *([evaluate] if taken.table is not None else []),
    )
    return 0 if lookup.has_succeeded(job) and results.predictions else 1
