"""batch: predicts for many rows that can wait, and joins the answers to the rows by key."""

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.commands import data
from cloud.console import next_commands, out, say, step
from cloud.errors import UserError
from cloud.serving import batch_results, instances
from cloud.serving.batch_results import KEY, Inputs
from cloud.serving.prediction_text import counted

ENDED = (*lookup.ENDED, "JOB_STATE_PARTIALLY_SUCCEEDED")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument(
        "--file",
        type=Path,
        help="rows as .csv, .jsonl or .json; default: the test file of the data set",
    )
    parser.add_argument(
        "--uri",
        help=f"JSON lines that are in Cloud Storage already, each with a field {KEY!r} of its own;"
        " wildcards as in gs://bucket/rows-*.jsonl",
    )
    parser.add_argument("--to", help="gs:// folder of the results; default: batch/ of the bucket")
    parser.add_argument("--version", help="number or alias; default: the default version")
    parser.add_argument("--replicas", type=int, default=1, help="machines that predict; default: 1")
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")
    parser.add_argument(
        "--job",
        metavar="NUMBER",
        help="submit nothing: wait for this batch prediction job, and join its results",
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Submits the job, waits for it, and writes the joined rows; exits 1 where it fails."""
    check(options)
    say(f"Target: {client.target}")
    if options.job is not None:
        job = lookup.batch_job(client, options.job)
        inputs = None if options.file is None else read_file(client, options.file)
    else:
        job, inputs = submit(client, options)
    try:
        job = wait(client, job.name)
    except KeyboardInterrupt:
        same_file = f" --file {options.file}" if options.file is not None else ""
        say(
            "\nThe job goes on; 'nox -s batch -- --job"
            f" {job.name.rpartition('/')[2]}{same_file}' waits for it again."
        )
        return 130
    say(f"{job.display_name}: {job.state.name}", "bold")
    if not job.output_info.gcs_output_directory:
        say(job.error.message or "It wrote nothing.", "red")
        return 1
    return finish(client, job, inputs)


def check(options: argparse.Namespace) -> None:
    """Raises UserError where flags are wrong or contradict each other."""
    if options.file is not None and options.uri is not None:
        raise UserError("Expected rows from one place, got --file and --uri; give one.")
    if options.replicas < 1:
        raise UserError(f"--replicas: expected at least 1, got {options.replicas}.")
    for flag in ("uri", "to"):
        value = vars(options)[flag]
        if value is not None and not value.startswith("gs://"):
            raise UserError(f"--{flag}: expected a gs:// URI, got {value!r}.")
    if options.job is not None and not {options.uri, options.to, options.version} <= {None}:
        raise UserError("--job: expected no --uri, --to or --version beside it: the job has its.")


def submit(client: Client, options: argparse.Namespace) -> tuple[Any, Inputs | None]:
    """Makes instances with keys, uploads them, and creates the job.

    Returns:
        The `BatchPredictionJob`, and the rows by key where they are of this machine.
    """
    config = client.config
    version = lookup.version(client, options.version or "default")
    name = f"{config.model}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    inputs, uri = None, options.uri
    if uri is None:
        inputs = read_file(client, options.file)
        uri = upload(client, inputs, f"batch/{name}/instances.jsonl")
    to = (options.to or f"gs://{config.bucket}/batch/{name}").rstrip("/")
    machines = {
        "machine_spec": {"machine_type": options.machine_type or config.machine_type},
        "starting_replica_count": options.replicas,
        "max_replica_count": options.replicas,
    }
    job = client.jobs.create_batch_prediction_job(
        parent=config.location,
        batch_prediction_job=request(name, version, uri, to, machines)
        | {"labels": client.config.labels},
    )
    say(f"Submitted {job.display_name} ({job.name}) to version {version.version_id}", "bold")
    return job, inputs


def read_file(client: Client, path: Path | None) -> Inputs:
    """Reads rows of this machine; each has its number in the file, from 0, as its key.

    Raises:
        UserError: they cannot be read.
    """
    if path is None:
        path = data.folder(client.config) / "test.csv"
        if not path.exists():
            raise UserError(
                f"There is no {path}; make the data with 'nox -s data', or give --file."
            )
    table = lookup.table(client.config)
    found = instances.read(path, table)
    # The rows of a CSV file keep their other columns, such as the label, for the joined file.
    rows: list[Any] = instances.csv_rows(path) if path.suffix == ".csv" else found
    keys = [str(number) for number in range(len(found))]
    return Inputs(dict(zip(keys, rows, strict=True)), dict(zip(keys, found, strict=True)))


def upload(client: Client, inputs: Inputs, name: str) -> str:
    """Writes instances to the bucket as JSON lines, and returns their URI."""
    keyed = ({KEY: key} | instance for key, instance in inputs.instances.items())
    text = "".join(json.dumps(each) + "\n" for each in keyed)
    with step(f"Uploading {counted(len(inputs.instances), 'instance')}"):
        client.bucket.blob(name).upload_from_string(text, content_type="application/jsonl")
    return f"gs://{client.config.bucket}/{name}"


def request(name: str, version: Any, uri: str, to: str, machines: dict[str, Any]) -> dict[str, Any]:
    """Returns the job to create, as a `BatchPredictionJob` in snake case.

    Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs.
    """
    return {
        "display_name": name,
        "model": f"{version.name.partition('@')[0]}@{version.version_id}",
        "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": [uri]}},
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": to},
        },
        "instance_config": {"instance_type": "object", "key_field": KEY},
        "dedicated_resources": machines,
    }


def wait(client: Client, name: str) -> Any:
    """Waits for a job's end with one line of progress, and returns the job."""
    shown = ""
    with out.status("Waiting …") as status:
        while True:
            job = client.jobs.get_batch_prediction_job(name=name)
            if job.state.name in ENDED:
                return job
            status.update(progress(job))
            if not out.is_terminal and job.state.name != shown:
                shown = job.state.name
                say(shown)
            time.sleep(client.poll_seconds)


def progress(job: Any) -> str:
    """Says how far a job is: its state, and its rows once there are some."""
    stats = job.completion_stats
    done = stats.successful_count + stats.failed_count
    if done <= 0:
        return str(job.state.name)
    whole = f" of {done + stats.incomplete_count:,}" if stats.incomplete_count > 0 else ""
    return f"{done:,}{whole} rows done, {stats.failed_count:,} of them failed"


def finish(client: Client, job: Any, inputs: Inputs | None) -> int:
    """Joins the results to the rows, and says how it went; returns the exit code."""
    folder = job.output_info.gcs_output_directory
    say(f"Results: {folder}")
    with step("Joining them with their rows"):
        results = batch_results.read(client, folder)
        rows = inputs.rows if inputs is not None else batch_results.read_inputs(client, job)
        path = batch_results.write(
            client.config.runs_folder / "batch", job.display_name, rows, results
        )
    batch_results.summary(lookup.table(client.config), results)
    say(f"Joined: {path}")
    next_commands(
        ("nox -s versions", "the versions, and how good they are"),
        ("nox -s evaluate", "the default version on the test rows, through the endpoint"),
    )
    return 0 if job.state.name == "JOB_STATE_SUCCEEDED" and results.predictions else 1
