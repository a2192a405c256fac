"""Instances: rows as a client sends them, raw and by the names of the features."""

import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cloud.config import Config
from cloud.datasets import files
from cloud.errors import UserError
from trainer.columns import Kind, Table

Instance = dict[str, Any]
Row = dict[str, str]

TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")
# An endpoint takes requests of up to 1.5 MB, documented at
# https://cloud.google.com/vertex-ai/docs/predictions/get-online-predictions.
REQUEST_BYTES = 1_000_000
# A flight that leaves 24 minutes late and has the whole continent to catch up: the answer is open.
SAMPLE_ROW = 21


def truth(text: str) -> bool:
    """Reads a boolean.

    Raises:
        ValueError: it is none of the words for one.
    """
    if text.lower() not in TRUE + FALSE:
        raise ValueError(f"expected true or false, got {text!r}")
    return text.lower() in TRUE


def finite(text: str) -> float:
    """Reads a number.

    Raises:
        ValueError: it is none, or one that JSON has no room for.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {text!r}")
    return number


READ: dict[Kind, Callable[[str], Any]] = {
    "number": finite,
    "integer": int,
    "category": str,
    "boolean": truth,
}
KINDS: dict[Kind, str] = {
    "number": "a number",
    "integer": "a whole number",
    "category": "a text",
    "boolean": "true or false",
}


def of_row(table: Table, row: Row) -> Instance:
    """Returns the features of a row as JSON carries them: raw, never scaled.

    A gap is left out; `whole` puts in what is sent for it.

    Raises:
        UserError: a value is not of its column's kind.
    """
    instance = {}
    for column in table.columns:
        text = row.get(column.name, "")
        if text == "":
            continue
        try:
            instance[column.name] = READ[column.kind](text)
        except ValueError as error:
            raise UserError(
                f"{column.name}: expected {KINDS[column.kind]} ({column.about}), got {text!r}."
            ) from error
    return instance


def whole(table: Table, instance: Instance) -> Instance:
    """Returns an instance with all features, as TensorFlow Serving wants them in JSON.

    A feature that is left out, or null, becomes the value that the model takes for a missing one.
    """
    gaps = {c.name: c.missing_in_json for c in table.columns if instance.get(c.name) is None}
    return instance | gaps


def request(table: Table, found: Sequence[Instance]) -> dict[str, Any]:
    """Returns the body of a request for predictions."""
    return {"instances": [whole(table, each) for each in found]}


def test_rows(config: Config) -> Iterator[Row]:
    """Yields the rows of the test file on this machine, by column.

    Raises:
        UserError: the file is not there.
    """
    path = files.path(config, "test")
    if not path.exists():
        raise UserError(f"There is no {path}; make the data with 'nox -s data'.")
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def test_row(config: Config, number: int) -> Row:
    """Returns one row of the test file.

    Raises:
        UserError: the file is not there, or has no such row.
    """
    count = 0
    for index, row in enumerate(test_rows(config)):
        if index == number:
            return row
        count = index
    raise UserError(f"--row: expected 0 to {count}, the rows of the test file, got {number}.")


def read(path: Path, table: Table) -> list[Instance]:
    """Reads instances from a file.

    Args:
        path: .csv with the features' names in its first line, .jsonl with an object a line, or
            .json with an object, a list of them, or a request's body.
        table: kinds of the features.

    Raises:
        UserError: it cannot be read, is of another kind, or holds no instance.
    """
    kinds = {".csv": _read_csv, ".json": _read_json, ".jsonl": _read_jsonl}
    if path.suffix not in kinds:
        raise UserError(f"{path}: expected a file of {', '.join(kinds)}, got {path.suffix!r}.")
    try:
        found = kinds[path.suffix](path, table)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path} cannot be read: {error}.") from error
    if not found or not all(isinstance(each, dict) for each in found):
        raise UserError(
            f"{path}: expected instances, one object of features each, found"
            f" {'none' if not found else 'something else'}."
        )
    return found


def parse(text: str) -> Instance:
    """Reads `--instance`.

    Raises:
        UserError: it is no JSON object.
    """
    try:
        instance = json.loads(text)
    except ValueError as error:
        raise UserError(f"--instance: expected a JSON object, got {text!r} ({error}).") from error
    if not isinstance(instance, dict):
        raise UserError(f"--instance: expected a JSON object, got {text!r}.")
    return instance


def in_requests(table: Table, found: list[Instance]) -> Iterator[list[Instance]]:
    """Yields the instances, whole, in lists that a request has room for."""
    chunk: list[Instance] = []
    size = 0
    for instance in (whole(table, each) for each in found):
        length = len(json.dumps(instance)) + 2
        if chunk and size + length > REQUEST_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(instance)
        size += length
    if chunk:
        yield chunk


def csv_rows(path: Path) -> list[Row]:
    """Returns the rows of a CSV file by column.

    Raises:
        ValueError: a line has more cells than the first, or fewer.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        rows = []
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(
                    f"line {reader.line_num}: expected {len(reader.fieldnames or ())} cells, as"
                    " the first line has"
                )
            rows.append(row)
    return rows


def _read_csv(path: Path, table: Table) -> list[Instance]:
    rows = csv_rows(path)
    names = {column.name for column in table.columns}
    if rows and not names & rows[0].keys():
        raise ValueError(f"its first line names none of the features {', '.join(sorted(names))}")
    found = []
    for number, row in enumerate(rows, start=1):
        try:
            found.append(of_row(table, row))
        except UserError as error:
            raise ValueError(f"row {number}: {str(error).rstrip('.')}") from error
    return found


def _read_json(path: Path, _table: Table) -> list[Any]:
    found = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(found, dict):
        found = found.get("instances", [found])
    return found if isinstance(found, list) else [found]


def _read_jsonl(path: Path, _table: Table) -> list[Any]:
    instances = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if line.strip():
            try:
                instances.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"line {number} is not JSON ({error})") from error
    return instances
