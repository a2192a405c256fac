"""How many of the training rows have each value of each column, and each label."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from cloud.client import Client
from cloud.datasets import files, packing
from cloud.errors import UserError
from cloud.monitoring import columns
from cloud.monitoring.columns import Values
from table_schema import values
from table_schema.columns import Label, Table


@dataclass(frozen=True)
class TrainingRows:
    """What the model learned from.

    Attributes:
        columns: how many rows have each value, by column.
        labels: how many have each class, or each number.
    """

    columns: dict[str, Values]
    labels: Values


def counted(client: Client, table: Table) -> TrainingRows:
    """Counts the values in the training file of the bucket, which jobs read.

    Raises:
        UserError: there is none, or it has other columns.
    """
    uri = files.uris(client.config)["train"]
    path = files.fetch(client, uri)
    names = [*(column.name for column in table.columns), table.label.name]
    try:
        with packing.opened(path) as file:
            texts = _texts(file, names)
            return TrainingRows(
                columns.of_texts(table, texts), _labels(table.label, texts[table.label.name])
            )
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{uri}: expected the rows that the model was trained on, with the columns of the table"
            f" {table.name!r} ({error})."
        ) from error


def _labels(label: Label, texts: dict[str, int]) -> Values:
    found: Values = Counter()
    for text, rows in texts.items():
        value = text.strip() if label.classes else values.read("number", text)
        if value not in (None, ""):
            found[value] += rows
    return found


def _texts(file: Any, names: list[str]) -> dict[str, dict[str, int]]:
    """Counts the texts of columns of a CSV file.

    Raises:
        KeyError: it lacks a column.
        ValueError: it is no CSV.
    """
    import pyarrow as pa
    from pyarrow import csv

    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), include_columns=names
    )
    found = {}
    read = csv.read_csv(file, convert_options=convert)
    for name in names:
        counts = read[name].value_counts()
        pairs = zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True)
        found[name] = {text or "": rows for text, rows in pairs}
    return found
