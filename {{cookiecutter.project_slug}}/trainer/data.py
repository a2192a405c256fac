"""Reads CSV files into raw columns and says what is wrong with them."""

import csv
import gzip
import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from trainer import remote
from trainer.columns import Kind, Label, Table
from trainer.errors import UserError

ARROW_TYPES: dict[Kind, Any] = {
    "number": pa.float32(),
    "integer": pa.int64(),
    "category": pa.string(),
}


@dataclass(frozen=True)
class Rows:
    """The described columns of a file, raw.

    Attributes:
        source: where they were read.
        features: arrays [rows] by column: float32, int64, or objects that are str, with the
            column's missing value where there is a gap.
        labels: int32 [rows], indices into the label's classes.
        fingerprint: SHA-256 of the file, in hexadecimal.
    """

    source: str
    features: dict[str, np.ndarray[Any, Any]]
    labels: np.ndarray[Any, np.dtype[np.int32]]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.labels)


def read(uri: str, table: Table) -> Rows:
    """Reads the described columns of a CSV file; a name that ends in .gz is decompressed.

    Raises:
        UserError: the file is missing, empty or not such a table.
    """
    content = read_bytes(uri)
    fingerprint = hashlib.sha256(content).hexdigest()
    if uri.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise UserError(f"{uri}: expected a gzip file ({error}); write it again.") from error
    header = _header(uri, content, table)
    types = {column.name: ARROW_TYPES[column.kind] for column in table.columns}
    types[table.label.name] = pa.string()
    try:
        arrow = pacsv.read_csv(
            pa.BufferReader(content),
            convert_options=pacsv.ConvertOptions(column_types=types, include_columns=list(types)),
        )
    except pa.ArrowInvalid as error:
        raise UserError(f"{uri}: {_with_column_names(str(error), header)}") from error
    if not arrow.num_rows:
        raise UserError(f"{uri}: expected rows below the header, got none; give a file with rows.")
    features = {
        column.name: arrow[column.name].fill_null(column.missing).to_numpy()
        for column in table.columns
    }
    return Rows(uri, features, _labels(uri, arrow[table.label.name], table.label), fingerprint)


def read_bytes(uri: str) -> bytes:
    """Reads a whole file, local or gs://.

    Raises:
        UserError: there is none.
    """
    if remote.is_remote(uri):
        return remote.read_bytes(uri)
    try:
        return Path(uri).read_bytes()
    except OSError as error:
        raise UserError(f"{uri}: cannot be read ({error.strerror}); check the path.") from error


def _header(uri: str, content: bytes, table: Table) -> list[str]:
    """Returns the names of the columns, all of those that the table needs among them."""
    first_line = content.partition(b"\n")[0].decode("utf-8-sig", "replace")
    header = next(csv.reader(io.StringIO(first_line)), [])
    if not header:
        raise UserError(f"{uri}: expected a header and rows, got an empty file.")
    for name in (table.label.name, *(column.name for column in table.columns)):
        if name not in header:
            raise UserError(
                f"{uri}: expected a column {name!r} as trainer/columns.py describes table"
                f" {table.name!r}, got {', '.join(header)}; add it, or change the description."
            )
    return header


def _with_column_names(message: str, header: list[str]) -> str:
    """Puts a column's name where pyarrow tells its number, and says what to do."""
    message = re.sub(
        r"In CSV column #(\d+)", lambda found: f"in column {header[int(found[1])]!r}", message
    )
    return f"{message.rstrip('.')}; mend the value, or the column's kind in trainer/columns.py."


def _labels(uri: str, values: Any, label: Label) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Turns the label's strings into indices of classes, int32 [rows]."""
    encoded = values.fill_null("").combine_chunks().dictionary_encode()
    found = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy()
    classes = ", ".join(map(repr, label.classes))
    for code, value in enumerate(found):
        if value not in label.classes:
            row = int(np.argmax(codes == code)) + 1
            raise UserError(
                f"{uri}: expected {classes} in column {label.name!r}, got {value!r} in row {row};"
                " mend or remove it, or list it in the label's classes in trainer/columns.py."
            )
    if len(found) < 2:
        raise UserError(
            f"{uri}: expected at least two of {classes} in column {label.name!r}, got"
            f" {found[0]!r} in all rows; give rows of the other classes too."
        )
    indices = np.array([label.classes.index(value) for value in found], np.int32)
    labels: np.ndarray[Any, np.dtype[np.int32]] = indices[codes]
    return labels
