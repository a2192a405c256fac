"""Instances: rows as a client sends them, raw and by the names of the features."""

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cloud.config import Config
from cloud.datasets import files, packing
from cloud.datasets.source import SourceFile
from cloud.errors import UserError
from table_schema import values
from table_schema.columns import Column, Dialect, Source, Table

Instance = dict[str, Any]
Row = dict[str, str]
# Instances, and all names that any of them had.
Found = tuple[list[Instance], set[str]]

ALLOW_MISSING_FLAG = " --allow-missing sends it all the same."
ALLOW_MISSING = "count features that the file names nowhere as gaps"
# An endpoint takes requests of up to 1.5 MB, documented at
# https://cloud.google.com/vertex-ai/docs/predictions/get-online-predictions.
REQUEST_BYTES = 1_000_000
# A flight that leaves 24 minutes late and has the whole continent to catch up: the answer is open.
# A test file with fewer rows gives its last.
SAMPLE_ROW = 21


def of_row(table: Table, row: Row) -> Instance:
    """Returns the features of a row as JSON carries them: raw, never scaled.

    A gap is left out; `whole` puts in what is sent for it.

    Raises:
        UserError: a value is not of its column's kind.
    """
    return _features(table, row, lambda column, text: values.read(column.kind, text))


def of_json(table: Table, found: Instance) -> Instance:
    """Returns an instance as the model takes it: gaps left out, whole numbers without a point.

    The table's other columns are left out too, as those of a CSV file are. What is no column, or of
    another kind, stays as it is: the model server says what is wrong.

    Raises:
        UserError: a text is no date or time where the column has them.
    """
    described = {column.name for column in table.columns} | _without_features(table)
    found = named_columns(table, found)
    others = {name: value for name, value in found.items() if name not in described}
    return _features(table, found, values.of_json) | others


def _without_features(table: Table) -> set[str]:
    """Returns the columns of a table, by name and heading, that the model does not get."""
    left_out = {each.heading for each in table.left_out}
    key = {table.key, table.source.key if table.source else table.key}
    return {table.label.name, table.label.heading} | left_out | key


def named_columns(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row with names in place of headings: it may have either."""
    names = {column.heading: column.name for column in table.columns if column.name not in row}
    return {names.get(heading, heading): value for heading, value in row.items()}


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


def whole(table: Table, instance: Instance) -> Instance:
    """Returns an instance with all features, as TensorFlow Serving wants them in JSON.

    A feature that is left out, or null, becomes the value that the model takes for a missing one.
    """
    gaps = {c.name: c.missing_in_json for c in table.columns if instance.get(c.name) is None}
    return instance | gaps


def test_rows(config: Config) -> Iterator[Row]:
    """Yields the rows of the test file on this machine, by column.

    Raises:
        UserError: the file is not there.
    """
    path = files.path(config, "test")
    if not path.exists():
        raise UserError(f"There is no {path}; make the data with 'nox -s data'.")
    for _line, row in numbered_csv_rows(path):
        yield row


def sample_row(config: Config, number: int | None = None) -> Row:
    """Returns a row of the test file by its number, from 0.

    Raises:
        UserError: the file is not there, or has no such row.
    """
    wanted = SAMPLE_ROW if number is None else number
    row, count = None, 0
    for row in test_rows(config):
        if count == wanted:
            return row
        count += 1
    if row is None:
        raise UserError(f"{files.path(config, 'test')} has no rows; make it with 'nox -s data'.")
    if number is None:
        return row
    raise UserError(f"--row: expected 0 to {count - 1}, the rows of the test file, got {number}.")


def read(path: Path, table: Table, *, allow_missing: bool = False) -> list[Instance]:
    """Reads instances from a file.

    Args:
        path: .csv with the features' names in its first line, .jsonl with an object a line, or
            .json with an object, a list of them, or a request's body. For a table of a person's
            own files, one written as those are, with their headings.
        table: kinds of the features.
        allow_missing: whether a feature may be named nowhere in the file, and so be a gap in all
            its rows.

    Raises:
        UserError: it cannot be read, is of another kind, holds no instance, or names a feature
            nowhere.
    """
    if is_own(path, table):
        from cloud.datasets import conversion  # imports pyarrow, which few requests need

        rows = own_rows(path, table)
        readers = conversion.column_readers(table)
        found = [_of_own_row(path, table, readers, each) for each in rows]
        named = set(named_columns(table, rows[0][1])) if rows else set()
        _check_names(path, table, named, allow_missing=allow_missing)
        return found
    kinds = {".csv": _read_csv, ".json": _read_json, ".jsonl": _read_jsonl}
    kind = kind_of(path)
    if kind not in kinds:
        raise UserError(f"{path}: expected a file of {', '.join(kinds)}, got {kind!r}.")
    found, named = kinds[kind](path, table)
    if not found:
        raise UserError(f"{path}: expected instances, one object of features each, found none.")
    _check_names(path, table, named, allow_missing=allow_missing)
    return found


def kind_of(path: Path) -> str:
    """Returns the ending that tells how a file is written, also where it is packed."""
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def is_own(path: Path, table: Table) -> bool:
    """Whether a file is written as a person's own files are, and not as those of a data set."""
    is_json = any(each in (".json", ".jsonl") for each in path.suffixes)
    return table.source is not None and not is_json and not files.is_made(path)


def own_rows(path: Path, table: Table) -> list[tuple[str, Row]]:
    """Returns the rows of a file that is written as a person's own files are.

    Returns:
        The place of each, and its cells by heading.

    Raises:
        UserError: it cannot be read.
    """
    source = table.source or Source((str(path),))
    dialect = Dialect(headings=source.headings, line_breaks=source.line_breaks)
    file = SourceFile(path, dialect)
    return [(row.place, dict(zip(file.headings, row.cells, strict=True))) for row in file.rows()]


def _of_own_row(
    path: Path, table: Table, readers: Mapping[str, Any], placed: tuple[str, Row]
) -> Instance:
    place, row = placed
    found = named_columns(table, row)
    canonical = {}
    for column in table.columns:
        if column.name not in found:
            continue
        try:
            text = readers[column.name].read(found[column.name])
        except ValueError as error:
            raise UserError(f"{path}, {place}, column {column.heading!r}: {error}.") from error
        canonical[column.name] = text or ""
    return of_row(table, canonical)


def rows_of(path: Path, table: Table) -> list[Row] | None:
    """Returns the rows of a file as they are, by heading; None of a file of JSON."""
    if is_own(path, table):
        return [row for _place, row in own_rows(path, table)]
    return csv_rows(path) if ".csv" in path.suffixes else None


def _check_names(path: Path, table: Table, named: set[str], *, allow_missing: bool) -> None:
    """Raises UserError where all rows would lack a feature that they may have by another name."""
    described = [column.name for column in table.columns]
    missing = [name for name in described if name not in named]
    if not missing or (allow_missing and len(missing) < len(described)):
        return
    others = named - set(described)
    headings = {column.name: column.heading for column in table.columns}
    wanted = ", ".join(_with_guess(headings[name], others) for name in missing)
    if len(missing) == len(described):
        raise UserError(f"{path}: expected the features {wanted}, got none of them.")
    raise UserError(
        f"{path}: has no {'feature' if len(missing) == 1 else 'features'} {wanted}. Use the names"
        f" of the table {table.name!r}, or count what is missing as gaps with --allow-missing."
    )


def _with_guess(name: str, others: Collection[str]) -> str:
    """Returns a feature's name, with what may be it under another."""
    plain = {_plain(other): other for other in others}
    close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.75)
    return f"{name} (did you mean it by {plain[close[0]]!r}?)" if close else name


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def parse(text: str, table: Table) -> Instance:
    """Reads `--instance`.

    Raises:
        UserError: it is no JSON object.
    """
    return of_json(table, json_object(text))


def json_object(text: str) -> Instance:
    """Reads a JSON object that was given as a flag.

    Raises:
        UserError: it is none.
    """
    try:
        instance = json.loads(text)
    except ValueError as error:
        raise UserError(f"--instance: expected a JSON object, got {text!r} ({error}).") from error
    if not isinstance(instance, dict):
        raise UserError(f"--instance: expected a JSON object, got {text!r}.")
    return instance


def in_requests(found: Iterable[Instance]) -> Iterator[list[Instance]]:
    """Yields whole instances in lists that a request has room for."""
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
    return [row for _line, row in numbered_csv_rows(path)]


def numbered_csv_rows(path: Path, wanted: Sequence[str] = ()) -> Iterator[tuple[int, Row]]:
    """Yields the rows of a CSV file with the numbers of their lines.

    Raises:
        UserError: as `csv_rows` does.
    """
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
        with packing.opened(path) as file:
            content = file.read()
        if kind := values.other_kind(content[: values.LONGEST_MAGIC]):
            raise UserError(f"{path}: expected CSV or JSON in UTF-8, got {kind}; convert it.")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read: expected UTF-8 ({error}).") from error


def _read_csv(path: Path, table: Table) -> Found:
    found = []
    named: set[str] = set()
    for line, row in numbered_csv_rows(path, [column.name for column in table.columns]):
        named |= row.keys()
        try:
            found.append(of_row(table, row))
        except UserError as error:
            raise UserError(f"{path}, line {line}: {error}") from error
    return found, named


def _read_json(path: Path, table: Table) -> Found:
    return _objects(path, json_values(path), table)


def _read_jsonl(path: Path, table: Table) -> Found:
    return _objects(path, json_lines(path), table)


def json_values(path: Path) -> list[tuple[str, Any]]:
    """Returns the instances of a JSON file, each with its place: one, a list, or a request's body.

    Raises:
        UserError: it cannot be read.
    """
    try:
        found = json.loads(_text(path))
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}.") from error
    if isinstance(found, dict):
        found = found.get("instances", [found])
    each = enumerate(found if isinstance(found, list) else [found], start=1)
    return [(f"instance {number}", value) for number, value in each]


def json_lines(path: Path) -> list[tuple[str, Any]]:
    """Returns the values of a file of JSON lines, each with its place.

    Raises:
        UserError: it cannot be read.
    """
    found = []
    for number, line in values.lines(_text(path)):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise UserError(
                f"{path} cannot be read: line {number} is not JSON ({error})."
            ) from error
        found.append((f"line {number}", value))
    return found


def check_object(path: Path, place: str, value: Any) -> None:
    """Raises UserError where an instance is no JSON object."""
    if not isinstance(value, dict):
        raise UserError(
            f"{path}, {place}: expected an object of features, got {json.dumps(value)[:40]}."
        )


def _objects(path: Path, values_by_place: Iterable[tuple[str, Any]], table: Table) -> Found:
    found = []
    named: set[str] = set()
    for place, value in values_by_place:
        check_object(path, place, value)
        named |= named_columns(table, value).keys()
        try:
            found.append(of_json(table, value))
        except UserError as error:
            raise UserError(f"{path}, {place}: {error}") from error
    return found, named
