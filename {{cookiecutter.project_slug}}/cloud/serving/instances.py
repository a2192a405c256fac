"""Instances: rows as a client sends them, raw and by the names of the features."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cloud.config import Config
from cloud.datasets import files
from cloud.errors import UserError
from trainer import files as data_files
from trainer import values
from trainer.columns import Column, Table
from trainer.errors import UserError as DataError

Instance = dict[str, Any]
Row = dict[str, str]

# An endpoint takes requests of up to 1.5 MB, documented at
# https://cloud.google.com/vertex-ai/docs/predictions/get-online-predictions.
REQUEST_BYTES = 1_000_000
# A flight that leaves 24 minutes late and has the whole continent to catch up: the answer is open.
SAMPLE_ROW = 21


def of_row(table: Table, row: Row) -> Instance:
    """Returns the features of a row as JSON carries them: raw, never scaled.

    A gap is left out; the model has an answer for what is missing.

    Raises:
        UserError: a value is not of its column's kind.
    """
    return _features(table, row, lambda column, text: values.read(column.kind, text))


def of_json(table: Table, found: Instance) -> Instance:
    """Returns an instance as the model takes it: gaps left out, whole numbers without a point.

    What is no feature, or of another kind, stays as it is: the model server says what is wrong.
    """
    described = {column.name for column in table.columns}
    others = {name: value for name, value in found.items() if name not in described}
    return _features(table, found, values.of_json) | others


def _features(table: Table, row: Instance, read: Callable[[Column, Any], Any]) -> Instance:
    instance = {}
    for column in table.columns:
        if column.name not in row:
            continue
        try:
            value = read(column, row[column.name])
        except ValueError as error:
            raise UserError(
                f"{column.name}: expected {values.EXPECTED[column.kind]} ({column.about}), got"
                f" {row[column.name]!r}."
            ) from error
        if value is not None:
            instance[column.name] = value
    return instance


def test_rows(config: Config) -> Iterator[Row]:
    """Yields the rows of the test file on this machine, by column.

    Raises:
        UserError: the file is not there.
    """
    path = files.path(config, "test")
    if not path.exists():
        raise UserError(f"There is no {path}; make the data with 'nox -s data'.")
    for _line, row in _csv_rows(path):
        yield row


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
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind not in kinds:
        raise UserError(f"{path}: expected a file of {', '.join(kinds)}, got {kind!r}.")
    found = kinds[kind](path, table)
    if not found:
        raise UserError(f"{path}: expected instances, one object of features each, found none.")
    return found


def parse(text: str, table: Table) -> Instance:
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
    return of_json(table, instance)


def in_requests(found: list[Instance]) -> Iterator[list[Instance]]:
    """Yields the instances in lists that a request has room for."""
    chunk: list[Instance] = []
    size = 0
    for instance in found:
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
        UserError: it cannot be read, or a line has more cells than the first, or fewer.
    """
    return [row for _line, row in _csv_rows(path)]


def _csv_rows(path: Path, wanted: Sequence[str] = ()) -> Iterator[tuple[int, Row]]:
    """Yields the rows of a CSV file with the numbers of their lines."""
    try:
        yield from values.csv_rows(_text(path), wanted)
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}.") from error


def _text(path: Path) -> str:
    """Returns a file's text, unpacked where it is gzip.

    Raises:
        UserError: it cannot be read, or is no text in UTF-8.
    """
    try:
        with data_files.opened(str(path)) as file:
            file.check_readable(file.peek(data_files.LONGEST_MAGIC))
            return b"".join(file.chunks()).decode("utf-8-sig")
    except DataError as error:
        raise UserError(str(error)) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read: expected UTF-8 ({error}).") from error


def _read_csv(path: Path, table: Table) -> list[Instance]:
    found = []
    for line, row in _csv_rows(path, [column.name for column in table.columns]):
        try:
            found.append(of_row(table, row))
        except UserError as error:
            raise UserError(f"{path}, line {line}: {error}") from error
    return found


def _read_json(path: Path, table: Table) -> list[Instance]:
    try:
        found = json.loads(_text(path))
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}.") from error
    if isinstance(found, dict):
        found = found.get("instances", [found])
    each = enumerate(found if isinstance(found, list) else [found], start=1)
    return [_object(path, f"instance {number}", value, table) for number, value in each]


def _read_jsonl(path: Path, table: Table) -> list[Instance]:
    found = []
    for number, line in values.lines(_text(path)):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise UserError(
                f"{path} cannot be read: line {number} is not JSON ({error})."
            ) from error
        found.append(_object(path, f"line {number}", value, table))
    return found


def _object(path: Path, place: str, value: Any, table: Table) -> Instance:
    if not isinstance(value, dict):
        raise UserError(
            f"{path}, {place}: expected an object of features, got {json.dumps(value)[:40]}."
        )
    return of_json(table, value)
