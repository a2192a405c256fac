"""batch: predicts for many rows that can wait, and joins the answers to the rows by key."""

import argparse
import csv
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloud import data, instances, lookup
from cloud.client import Client
from cloud.console import next_commands, out, say
from cloud.errors import UserError
from cloud.instances import Instance, Row
from cloud.predict import table_of
from trainer.columns import Table

# The field of an instance that is no feature, and comes back with its prediction.
KEY = "key"
ENDED = (*lookup.ENDED, "JOB_STATE_PARTIALLY_SUCCEEDED")
SHOWN_ERRORS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the verb's flags."""
    parser.add_argument(
        "--file",
        type=Path,
        help="rows as .csv, .jsonl or .json; default: the test file of the data set",
    )
    parser.add_argument(
        "--uri",
        help=f"JSON lines that are in Cloud Storage already, each with a field {KEY!r}; wildcards"
        " as in gs://bucket/rows-*.jsonl",
    )
    parser.add_argument("--to", help="gs:// folder of the results; default: batch/ of the bucket")
    parser.add_argument("--version", help="number or alias; default: the default version")
    parser.add_argument("--replicas", type=int, default=1, help="machines that predict")
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")


def run(client: Client, options: argparse.Namespace) -> int:
    """Submits the job, waits for it, and writes the joined rows; exits 1 where it fails."""
    say(f"Target: {client.target}")
    if options.file is not None and options.uri is not None:
        raise UserError("Expected rows from one place, got --file and --uri; give one.")
    if options.replicas < 1:
        raise UserError(f"--replicas: expected at least 1, got {options.replicas}.")
    for flag in ("uri", "to"):
        value = vars(options)[flag]
        if value is not None and not value.startswith("gs://"):
            raise UserError(f"--{flag}: expected a gs:// URI, got {value!r}.")
    version = lookup.version(client, options.version or "default")
    folder = f"batch/{client.config.model}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    rows: list[Row] | None = None
    uri = options.uri
    if uri is None:
        rows, keyed = keyed_rows(client, options.file)
        uri = upload(client, keyed, f"{folder}/instances.jsonl")
    to = (options.to or f"gs://{client.config.bucket}/{folder}").rstrip("/")
    job = create(client, version, uri, to, options)
    say(f"Submitted {job.display_name} ({job.name})", "bold")
    try:
        job = wait(client, job.name)
    except KeyboardInterrupt:
        say(f"\nThe job goes on, and writes to {to}.")
        return 130
    say(f"{job.display_name}: {job.state.name}", "bold")
    if not job.output_info.gcs_output_directory:
        say(job.error.message or "It wrote nothing.", "red")
        return 1
    return finish(client, job, rows)


def keyed_rows(client: Client, path: Path | None) -> tuple[list[Row], list[Instance]]:
    """Reads rows, and makes an instance with a key of each: the row's number from 0.

    Returns:
        The rows as they are read, and the instances.
    """
    table = table_of(client.config)
    if path is None:
        path = data.folder(client.config) / "test.csv"
        if not path.exists():
            raise UserError(
                f"There is no {path}; make the data with 'nox -s data', or give --file."
            )
    found = instances.read(path, table)
    rows: list[Row] = found
    if path.suffix == ".csv":  # with its other columns, such as the label, for the joined file
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    keyed = [{KEY: str(number)} | instance for number, instance in enumerate(found)]
    return rows, keyed


def upload(client: Client, keyed: list[Instance], name: str) -> str:
    """Writes instances to the bucket as JSON lines, and returns their URI."""
    text = "".join(json.dumps(instance) + "\n" for instance in keyed)
    client.bucket.blob(name).upload_from_string(text, content_type="application/jsonl")
    say(f"Uploaded {len(keyed):,} instances to gs://{client.config.bucket}/{name}.")
    return f"gs://{client.config.bucket}/{name}"


def create(client: Client, version: Any, uri: str, to: str, options: argparse.Namespace) -> Any:
    """Submits the `BatchPredictionJob`.

    Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs.
    """
    config = client.config
    name = version.name.partition("@")[0]
    request = {
        "display_name": to.rpartition("/")[2],
        "model": f"{name}@{version.version_id}",
        "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": [uri]}},
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": to},
        },
        "instance_config": {"instance_type": "object", "key_field": KEY},
        "dedicated_resources": {
            "machine_spec": {"machine_type": options.machine_type or config.machine_type},
            "starting_replica_count": options.replicas,
            "max_replica_count": options.replicas,
        },
        "labels": config.labels,
    }
    return client.jobs.create_batch_prediction_job(
        parent=config.location, batch_prediction_job=request
    )


def wait(client: Client, name: str) -> Any:
    """Waits for a job's end with one line of progress, and returns the job."""
    shown = ""
    with out.status("Waiting …") as status:
        while True:
            job = client.jobs.get_batch_prediction_job(name=name)
            if job.state.name in ENDED:
                return job
            stats = job.completion_stats
            told = job.state.name
            if stats.successful_count > 0 or stats.failed_count > 0:
                done = stats.successful_count + stats.failed_count
                whole = f" of {done + stats.incomplete_count:,}" * (stats.incomplete_count > 0)
                told = f"{done:,}{whole} rows done, {stats.failed_count:,} of them failed"
            status.update(told)
            if not out.is_terminal and job.state.name != shown:
                shown = job.state.name
                say(shown)
            time.sleep(client.poll_seconds)


def finish(client: Client, job: Any, rows: list[Row] | None) -> int:
    """Joins the results to the rows, and says how it went; returns the exit code."""
    folder = job.output_info.gcs_output_directory
    predictions = {line[KEY]: line["prediction"] for line in lines(client, folder, "results")}
    errors = list(lines(client, folder, "errors_stats"))
    say(f"Results: {folder}")
    if rows is not None:
        path = client.config.runs_folder / "batch" / f"{job.display_name}.csv"
        join(path, rows, predictions)
        say(f"Joined with their rows: {path}")
    summary(table_of(client.config), predictions, job.completion_stats.failed_count)
    for error in errors[:SHOWN_ERRORS]:
        say(f"  failed: {json.dumps(error)}", "red")
    next_commands(
        ("nox -s versions", "the versions, and how good they are"),
        ("nox -s evaluate", "the default version on the test rows, through the endpoint"),
    )
    return 0 if job.state.name == "JOB_STATE_SUCCEEDED" and predictions else 1


def lines(client: Client, folder: str, kind: str) -> Iterator[Any]:
    """Yields the lines of a job's files of a kind, parsed."""
    bucket, _, prefix = folder.removeprefix("gs://").partition("/")
    for blob in client.storage.list_blobs(bucket, prefix=f"{prefix}/prediction.{kind}-"):
        for line in blob.download_as_text().splitlines():
            if line.strip():
                yield json.loads(line)


def join(path: Path, rows: list[Row], predictions: dict[str, Any]) -> None:
    """Writes the rows with what was predicted; a row that failed has an empty prediction.

    The file appears when it is whole.
    """
    outputs = sorted({name for each in predictions.values() for name in as_columns(each)})
    columns = list(dict.fromkeys(name for row in rows for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, *(f"predicted_{name}" for name in outputs)])
        for number, row in enumerate(rows):
            predicted = as_columns(predictions.get(str(number), {}))
            values = [row.get(name, "") for name in columns]
            writer.writerow([*values, *(predicted.get(name, "") for name in outputs)])
    unfinished.replace(path)


def as_columns(prediction: Any) -> dict[str, Any]:
    """Returns a prediction by output; a model with one output gives its bare value."""
    return prediction if isinstance(prediction, dict) else {"prediction": prediction}


def summary(table: Table, predictions: dict[str, Any], failed: int) -> None:
    """Prints how many rows were predicted, and what."""
    say(f"{len(predictions):,} rows predicted, {failed:,} failed.", "bold")
    if not predictions:
        return
    if table.label.kind == "regression":
        mean = sum(each["value"] for each in predictions.values()) / len(predictions)
        say(f"  mean {table.label.name}: {mean:.2f}")
        return
    for name in table.label.classes:
        count = sum(each["label"] == name for each in predictions.values())
        say(f"  {table.label.name} {name}: {count:,} ({100 * count / len(predictions):.1f} %)")
