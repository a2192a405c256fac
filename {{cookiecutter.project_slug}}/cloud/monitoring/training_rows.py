"""How many of the training rows have each value of each column."""

from typing import Any

from cloud.client import Client
from cloud.datasets import files, packing
from cloud.errors import UserError
from cloud.monitoring import columns
from cloud.monitoring.columns import Values
from table_schema.columns import Table


def counted(client: Client, table: Table) -> dict[str, Values]:
    """Counts the values in the training file of the bucket, which jobs read.

    Raises:
        UserError: there is none, or it has other columns.
    """
    uri = files.uris(client.config)["train"]
    path = files.fetch(client, uri)
    names = [column.name for column in table.columns]
    try:
        with packing.opened(path) as file:
            return columns.of_texts(table, _texts(file, names))
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{uri}: expected the rows that the model was trained on, with the columns of the table"
            f" {table.name!r} ({error})."
        ) from error


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
