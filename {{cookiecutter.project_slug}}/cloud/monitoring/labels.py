"""Labels that come later, in a file, and the features that they belong to.

A logged request has no key: TensorFlow Serving refuses an instance with a field that the model's
signature does not name, and Vertex AI numbers the requests itself. So a label is found by the
features of its row. Where the labels' file has a key in their place, another file has the features
of each key.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cloud.datasets.written import label_reader, normal_form
from cloud.errors import UserError
from cloud.serving import instances
from cloud.serving.contract import TableContract
from cloud.serving.instances import Instance
from table_schema.columns import Label, Table
from table_schema.values import MAX_NUMBER

# The value of each column as the model reads it; None is a gap.
Features = tuple[Any, ...]
JSON_READERS = {".json": instances.json_values, ".jsonl": instances.json_lines}
SHOWN = 300  # characters of what a file has


@dataclass(frozen=True)
class Labels:
    """The labels of a file.

    Attributes:
        truths: of the rows that have the same features: indices of classes, or numbers.
        left_out: how many rows count for nothing, by the reason.
    """

    truths: Mapping[Features, Sequence[float]]
    left_out: Mapping[str, int]


def features_of(table: Table, instance: Instance) -> Features:
    """Returns what the model reads of an instance, however it is written.

    Raises:
        UserError: a text is no date or time where the column has them.
    """
    found = instances.of_json(table, instance)
    return tuple(_value(found.get(each.name), each.missing_in_json) for each in table.columns)


def _value(value: Any, gap: Any) -> Any:
    if isinstance(value, list | dict):
        return str(value)
    is_number = isinstance(gap, float) and isinstance(value, int | float)
    if is_number and abs(value) <= MAX_NUMBER:
        value = float(np.float32(value))
    return None if value == gap else value


def read(taken: TableContract, path: Path, rows_path: Path | None = None) -> Labels:
    """Reads the labels of a file.

    Args:
        taken: what the model takes.
        path: of the file, written as `Contract.read` reads it.
        rows_path: of a file with the features of each key, where the labels' has none.

    Raises:
        UserError: a file cannot be read, or has no labels, or nothing to find their rows by.
    """
    table = taken.table
    rows = _rows(path, table)
    found = _truths(path, table, rows)
    if rows_path is None:
        _check_features(path, table, rows[0])
        features = [[features_of(table, each)] for each in taken.read(path)]
    else:
        by_key = _features_by_key(taken, rows_path)
        features = [by_key.get(key, []) for key in _keys(path, table, rows)]
    left_out = Counter(why for why in found if isinstance(why, str))
    contradicted = _contradicted(table, rows, found)
    truths: dict[Features, list[float]] = defaultdict(list)
    seen: set[str] = set()
    for row, truth, places in zip(rows, found, features, strict=True):
        if isinstance(truth, str):
            continue
        key = _key(table, row)
        if key in contradicted:
            left_out["a key with different labels"] += 1
            continue
        if not places:
            left_out[f"a key that {rows_path} has not"] += 1
            continue
        if key in seen:
            left_out["there twice"] += 1
            continue
        seen |= {key} - {""}
        for each in places:
            truths[each].append(truth)
    return Labels(dict(truths), dict(left_out))


def _rows(path: Path, table: Table) -> list[dict[str, Any]]:
    """Returns the rows of a file with all their columns, by name or heading."""
    found = instances.rows_of(path, table)
    if found is None:
        reader = JSON_READERS.get(instances.kind_of(path))
        if reader is None:
            raise UserError(f"{path}: expected a file of .csv, .json, .jsonl, got {path.suffix!r}.")
        found = []
        for place, value in reader(path):
            instances.check_object(path, place, value)
            found.append(value)
    if not found:
        raise UserError(f"{path}: expected rows, found none.")
    return [instances.named_columns(table, each) for each in found]


def _truths(path: Path, table: Table, rows: Sequence[dict[str, Any]]) -> list[float | str]:
    """Returns the label of each row; in place of one that does not count, the reason."""
    label = table.label
    names = {label.name, label.heading}
    if not any(names & row.keys() for row in rows):
        raise UserError(
            f"{path}: expected the label {label.heading!r}, got the columns"
            f" {', '.join(rows[0])[:SHOWN]}."
        )
    # A file of a data set has numbers written as usual.
    reader = label_reader(
        label if instances.is_own(path, table) else dataclasses.replace(label, written="")
    )
    excluded = set(map(normal_form, label.left_out))
    found: list[float | str] = []
    for number, row in enumerate(rows, start=1):
        text = _text(row.get(label.name, row.get(label.heading)))
        if normal_form(text) in excluded:
            found.append("of classes that are left out")
            continue
        try:
            read = reader.read(text)
        except ValueError as error:
            raise UserError(
                f"{path}, row {number}: expected {reader.expected} as {label.heading!r}, got"
                f" {text[:60]!r}."
            ) from error
        found.append("no label yet" if read is None else _truth(label, read))
    return found


def _truth(label: Label, text: str) -> float:
    return label.classes.index(text) if label.classes else float(text)


def _text(value: Any) -> str:
    """Returns a value of a file as text: JSON has others too."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value).strip()


def _check_features(path: Path, table: Table, row: dict[str, Any]) -> None:
    missing = [each.heading for each in table.columns if each.name not in row]
    if not missing:
        return
    key = _key_heading(table)
    others = (
        f", or give the rows with their keys as --rows FILE, with the column {key!r} in both."
        if key
        else f": the rows of {table.name!r} are only numbered, so none is found by a key."
    )
    raise UserError(
        f"{path}: has no {', '.join(missing)[:SHOWN]}, and a logged request has no key to find its"
        f" label by but its features. Add them to the file{others}"
    )


def _features_by_key(taken: TableContract, path: Path) -> dict[str, list[Features]]:
    rows = _rows(path, taken.table)
    found: dict[str, list[Features]] = defaultdict(list)
    keys = _keys(path, taken.table, rows)
    for key, instance in zip(keys, taken.read(path), strict=True):
        features = features_of(taken.table, instance)
        if features not in found[key]:
            found[key].append(features)
    return found


def _key_heading(table: Table) -> str:
    """Returns what the column of the key is called; "" where the rows are only numbered."""
    return table.source.key if table.source else table.key


def _key(table: Table, row: dict[str, Any]) -> str:
    """Returns the key of a row; "" where it has none."""
    heading = _key_heading(table)
    return _text(row.get(heading, row.get(table.key))) if heading else ""


def _keys(path: Path, table: Table, rows: Sequence[dict[str, Any]]) -> list[str]:
    heading = _key_heading(table)
    if not heading:
        raise UserError(
            f"--rows: expected a table whose rows have a key; those of {table.name!r} are only"
            " numbered, so the file of --labels needs the features; leave --rows out."
        )
    found = [_key(table, row) for row in rows]
    if not all(found):
        raise UserError(
            f"{path}, row {found.index('') + 1}: expected a key as {heading!r}, got none."
        )
    return found


def _contradicted(
    table: Table, rows: Sequence[dict[str, Any]], found: Sequence[float | str]
) -> set[str]:
    """Returns the keys that have different labels."""
    by_key: dict[str, set[float]] = defaultdict(set)
    for row, truth in zip(rows, found, strict=True):
        key = _key(table, row)
        if key and not isinstance(truth, str):
            by_key[key].add(truth)
    return {key for key, truths in by_key.items() if len(truths) > 1}
