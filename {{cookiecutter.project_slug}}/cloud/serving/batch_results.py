"""What a batch prediction job wrote, joined by key to the rows that it was asked about."""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.client import Client
from cloud.console import counted, say
from cloud.errors import UserError
from cloud.serving.instances import Instance
from cloud.serving.prediction import Prediction, outputs
from table_schema.columns import Table

# The field of an instance that holds its key. No feature has such a name: table_schema/columns.py
# lets none begin with _.
KEY_FIELD = "_key"
# The field of a prediction that holds its key, whatever that of the instance is called. Source:
# InstanceConfig.keyField,
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs.
KEY = "key"
SHOWN_ERRORS = 3
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Inputs:
    """Rows of this machine.

    Attributes:
        rows: by key, as they are in their file.
        instances: by key, as the model gets them.
    """

    rows: dict[str, dict[str, Any]]
    instances: dict[str, Instance]


@dataclass(frozen=True)
class Results:
    """What a job wrote.

    Attributes:
        predictions: by key.
        errors: why there is no prediction, by key.
        nameless: why rows without a key have none.
    """

    predictions: dict[str, Prediction]
    errors: dict[str, str]
    nameless: list[str]


def read(client: Client, folder: str) -> Results:
    """Reads the results of a job.

    Args:
        client: of the target.
        folder: `outputInfo.gcsOutputDirectory` of the job.
    """
    predictions = {
        str(line[KEY]): line["prediction"]
        for line in _lines(client, f"{folder}/prediction.results-*")
    }
    errors, nameless = {}, []
    for line in _lines(client, f"{folder}/prediction.errors_stats-*"):
        error = line.get("error", line)
        reason = str(error.get("message", error)) if isinstance(error, dict) else str(error)
        if KEY in line:
            errors[str(line[KEY])] = reason
        else:
            nameless.append(reason)
    return Results(predictions, errors, nameless)


def read_inputs(client: Client, job: Any) -> dict[str, dict[str, Any]]:
    """Reads what a job was asked about, by key, from where the job found it."""
    return {
        str(line[KEY_FIELD]): {name: value for name, value in line.items() if name != KEY_FIELD}
        for uri in job.input_config.gcs_source.uris
        for line in _lines(client, uri)
        if isinstance(line, dict) and KEY_FIELD in line
    }


def check_keys(rows: dict[str, dict[str, Any]], results: Results) -> None:
    """Holds the keys that were sent against those that came back.

    Raises:
        UserError: one came back that was not sent, or rows have neither prediction nor error.
    """
    answered = results.predictions.keys() | results.errors.keys()
    strange, missing = answered - rows.keys(), rows.keys() - answered
    if strange:
        raise UserError(
            f"Expected the keys that were sent, got {counted(len(strange), 'other key')} such as"
            f" {min(strange)!r}: the results belong to other rows."
        )
    if len(missing) > len(results.nameless):
        raise UserError(
            f"Expected a prediction or an error for each of {len(rows):,} rows, got none for"
            f" {len(missing):,}, such as the row with key {min(missing)!r}."
        )


def write(folder: Path, name: str, rows: dict[str, dict[str, Any]], results: Results) -> Path:
    """Writes the rows with their predictions and errors; the file appears when it is whole.

    It is a CSV file where the values of the rows are texts, as those of a CSV file are, and JSON
    lines where they are not.

    Returns:
        Its path.
    """
    is_csv = all(isinstance(value, str) for row in rows.values() for value in row.values())
    path = folder / f"{name}.{'csv' if is_csv else 'jsonl'}"
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    with unfinished.open("w", newline="" if is_csv else "\n", encoding="utf-8") as file:
        if is_csv:
            _write_csv(csv.writer(file), rows, results)
        else:
            for key, row in rows.items():
                joined = row | {"prediction": results.predictions.get(key)}
                if key in results.errors:
                    joined["error"] = results.errors[key]
                file.write(json.dumps(joined) + "\n")
    unfinished.replace(path)
    return path


def summary(table: Table | None, results: Results) -> None:
    """Prints how many rows were predicted, and what; and why others were not.

    Args:
        table: what the model was trained on; None of a model that is no table's.
        results: of the job.
    """
    predictions = [outputs(each) for each in results.predictions.values()]
    failed = [*results.errors.values(), *results.nameless]
    say(f"{counted(len(predictions), 'row')} predicted, {len(failed):,} failed.", "bold")
    if predictions and table is not None and table.label.kind == "regression":
        mean = sum(each["value"] for each in predictions) / len(predictions)
        say(f"  mean {table.label.heading}: {mean:.2f}")
    elif predictions and all("label" in each for each in predictions):
        counts = Counter(str(each["label"]) for each in predictions)
        heading = table.label.heading if table is not None else "label"
        for name in table.label.classes if table is not None else sorted(counts):
            share = 100 * counts[name] / len(predictions)
            say(f"  {heading} {name}: {counts[name]:,} ({share:.1f} %)")
    for key, reason in list(results.errors.items())[:SHOWN_ERRORS]:
        say(f"  row {key} failed: {reason}", "red")
    for reason in results.nameless[:SHOWN_ERRORS]:
        say(f"  failed: {reason}", "red")


def _write_csv(writer: Any, rows: dict[str, dict[str, Any]], results: Results) -> None:
    predicted = {key: _as_columns(each) for key, each in results.predictions.items()}
    named = sorted({name for each in predicted.values() for name in each})
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    error = ["error"] if results.errors else []
    writer.writerow([*columns, *(f"predicted_{name}" for name in named), *error])
    for key, row in rows.items():
        outputs_of_row = predicted.get(key, {})
        cells = [row.get(name, "") for name in columns] + [
            outputs_of_row.get(name, "") for name in named
        ]
        writer.writerow([*cells, *(results.errors.get(key, "") for _ in error)])


def _as_columns(prediction: Prediction) -> dict[str, Any]:
    """Returns a prediction by output, lists as JSON."""
    return {
        name: json.dumps(value) if isinstance(value, list | dict) else value
        for name, value in outputs(prediction).items()
    }


def _lines(client: Client, uri: str) -> Iterator[Any]:
    """Yields the lines of the objects that a URI with wildcards names, parsed."""
    pattern = client.blob(uri)
    for blob in client.storage.list_blobs(pattern.bucket, match_glob=pattern.name):
        content = blob.download_as_bytes(raw_download=True)
        if content.startswith(GZIP):
            content = gzip.decompress(content)
        for line in content.splitlines():
            if line.strip():
                yield json.loads(line)
