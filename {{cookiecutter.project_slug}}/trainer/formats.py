"""How a file holds rows: lines of CSV, or tf.Example in TFRecords."""

import csv
import io
import itertools
import math
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from trainer.columns import Kind, Label, Table
from trainer.errors import UserError
from trainer.files import File

ARROW_TYPES: dict[Kind, Any] = {
    "number": pa.float32(),
    "integer": pa.int64(),
    "category": pa.string(),
    "boolean": pa.bool_(),
}
BLOCK_RECORDS = 65_536  # tf.Examples that are parsed at once


class BadRecordError(Exception):
    """At least one of the records does not parse; the message says why."""


class Format(Protocol):
    """A file that is open."""

    def blocks(self) -> Iterator[tuple[int, list[bytes]]]:
        """Gives the records in blocks, each with the number of its first."""

    def parse(self, records: Sequence[bytes]) -> Any:
        """Returns an Arrow table of the described columns; a class label is its index.

        Raises:
            BadRecordError: a value does not parse, or there is no label.
        """

    def place(self, number: int) -> str:
        """Says where a record is."""

    def check_end(self) -> None:
        """Raises UserError where all of the file's records lack something."""


def open_format(file: File, table: Table, with_keys: bool) -> Format:
    """Begins to read a file: TFRecords where its name has `.tfrecord` in it, CSV otherwise.

    Raises:
        UserError: it has no header, or the header lacks a column.
    """
    reader = Examples if ".tfrecord" in file.name.rpartition("/")[2] else Lines
    return reader(file, table, with_keys)


class Lines:
    """CSV: a header, and a row in each line; quotes do not join lines."""

    def __init__(self, file: File, table: Table, with_keys: bool) -> None:
        """Reads the header."""
        self._label = table.label
        self._blocks = _whole_lines(file.chunks())
        self._first = next(self._blocks, [b""])
        text = self._first.pop(0).decode("utf-8-sig", "replace")
        self._header = next(csv.reader(io.StringIO(text)), [])
        types = {column.name: ARROW_TYPES[column.kind] for column in table.columns}
        types[table.label.name] = pa.string() if table.label.classes else pa.float32()
        self._check_header(file.name, table, types)
        if with_keys and table.key in self._header:
            types[table.key] = pa.string()
        self._read = pacsv.ReadOptions(column_names=self._header)
        self._convert = pacsv.ConvertOptions(column_types=types, include_columns=list(types))

    def blocks(self) -> Iterator[tuple[int, list[bytes]]]:
        """Gives the lines in blocks."""
        number = 2
        for lines in itertools.chain([self._first], self._blocks):
            yield number, lines
            number += len(lines)

    def parse(self, records: Sequence[bytes]) -> Any:
        """Parses lines; empty ones are no rows."""
        content = b"".join(records)
        if not content.strip():
            return pa.table({})
        try:
            parsed = pacsv.read_csv(
                pa.BufferReader(content), read_options=self._read, convert_options=self._convert
            )
        except pa.ArrowInvalid as error:
            raise BadRecordError(self._in_words(str(error))) from error
        return _with_labels(parsed, self._label)

    def place(self, number: int) -> str:
        """Says where a line is."""
        return f"Line {number}"

    def check_end(self) -> None:
        """Nothing: the header has been checked."""

    def _check_header(self, name: str, table: Table, needed: Iterable[str]) -> None:
        if not self._header:
            raise UserError(f"{name}: expected a header and rows, got an empty file.")
        for column in needed:
            if self._header.count(column) != 1:
                times = "twice" if column in self._header else "none"
                raise UserError(
                    f"{name}: expected one column {column!r} as trainer/columns.py describes table"
                    f" {table.name!r}, got {times} among {', '.join(self._header)}; correct the"
                    " file, or change the description."
                )

    def _in_words(self, message: str) -> str:
        """Puts a column's name where pyarrow tells its number."""
        message = re.sub(r"^(CSV parse error: )?(Row #\d+: )?", "", " ".join(message.split()))
        return re.sub(
            r"In CSV column #(\d+): (CSV conversion error to )?",
            lambda found: f"column {self._header[int(found[1])]!r}, ",
            message,
        )


class Examples:
    """TFRecords that hold tf.Example; a feature that a record leaves out is a missing value.

    Format: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
    """

    def __init__(self, file: File, table: Table, with_keys: bool) -> None:
        """Describes the features as TensorFlow parses them."""
        import tensorflow as tf

        self._file = file
        self._table = table
        self._never_seen = {column.name for column in table.columns if column.kind != "boolean"}
        self._has_records = False
        self._spec = example_features(table)
        dtype, missing = (tf.string, "") if table.label.classes else (tf.float32, math.nan)
        self._spec[table.label.name] = tf.io.FixedLenFeature([], dtype, missing)
        if with_keys:
            self._spec[table.key] = tf.io.FixedLenFeature([], tf.string, "")

    def blocks(self) -> Iterator[tuple[int, list[bytes]]]:
        """Gives the payloads of the records in blocks.

        Raises:
            UserError: the file is damaged or cut short.
        """
        payloads = self._payloads()
        number = 1
        while records := list(itertools.islice(payloads, BLOCK_RECORDS)):
            yield number, records
            number += len(records)
            self._has_records = True

    def parse(self, records: Sequence[bytes]) -> Any:
        """Parses serialized tf.Examples."""
        import tensorflow as tf

        try:
            tensors = tf.io.parse_example(tf.constant(list(records)), self._spec)
        except tf.errors.InvalidArgumentError as error:
            found = re.search(r"Key: .*?(?= \[Op|$)", " ".join(str(error.message).split()))
            raise BadRecordError(found[0] if found else "no tf.Example") from error
        columns = {name: tensor.numpy() for name, tensor in tensors.items()}
        for column in self._table.columns:
            values = columns[column.name]
            if column.kind == "boolean":
                columns[column.name] = values != 0
            elif column.name in self._never_seen and not _all_missing(values):
                self._never_seen.remove(column.name)
        try:
            arrays = {name: _arrow_array(values) for name, values in columns.items()}
        except pa.ArrowInvalid as error:
            raise BadRecordError(f"text that is not UTF-8: {error}") from error
        return _with_labels(pa.table(arrays), self._table.label)

    def place(self, number: int) -> str:
        """Says where a record is."""
        return f"Record {number}"

    def check_end(self) -> None:
        """Refuses a file in whose records a feature never is."""
        if self._has_records and self._never_seen:
            names = ", ".join(sorted(self._never_seen))
            raise UserError(
                f"{self._file.name}: expected the feature {names} as trainer/columns.py describes"
                f" table {self._table.name!r}, got no record with it; write the file again, or"
                " change the description."
            )

    def _payloads(self) -> Iterator[bytes]:
        """Takes the records out of their frames: length, its checksum, payload, its checksum."""
        content, number = b"", 1
        for chunk in self._file.chunks():
            content, at = content + chunk, 0
            while len(content) >= (begin := at + 12):
                length, checksum = struct.unpack_from("<QI", content, at)
                self._check(content[at : at + 8], checksum, number)
                if len(content) < (end := begin + length) + 4:
                    break
                payload = content[begin:end]
                self._check(payload, struct.unpack_from("<I", content, end)[0], number)
                yield payload
                at, number = end + 4, number + 1
            content = content[at:]
        if content:
            raise UserError(
                f"{self._file.name}: expected whole TFRecords, got a file that ends within record"
                f" {number}; write or copy it again."
            )

    def _check(self, content: bytes, checksum: int, number: int) -> None:
        crc = google_crc32c.value(content)
        if ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF != checksum:
            raise UserError(
                f"{self._file.name}: expected TFRecords, got one of another checksum, record"
                f" {number}; write or copy the file again."
            )


def example_features(table: Table) -> dict[str, Any]:
    """Returns the features of a table's tf.Example as `tf.io.parse_example` wants them.

    A boolean is an int64, as tf.Example has no other whole numbers.
    """
    import tensorflow as tf

    dtypes = {"number": tf.float32, "integer": tf.int64, "category": tf.string, "boolean": tf.int64}
    return {
        column.name: tf.io.FixedLenFeature([], dtypes[column.kind], column.missing)
        for column in table.columns
    }


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Cuts at the ends of lines, which the lines keep."""
    rest = b""
    for chunk in chunks:
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield (whole + newline).splitlines(keepends=True)
    if rest:
        yield rest.splitlines(keepends=True)


def _with_labels(parsed: Any, label: Label) -> Any:
    """Replaces the label's strings by indices of classes.

    Raises:
        BadRecordError: one is none of the classes, or not a number.
    """
    values = parsed[label.name]
    expected, labels = "a number", values
    if label.classes:
        expected = ", ".join(map(repr, label.classes))
        labels = pc.index_in(values, value_set=pa.array(label.classes))
        good = labels.is_valid()
    else:
        good = pc.is_finite(values).fill_null(False)
    if not pc.all(good).as_py():
        wrong = values.filter(pc.invert(good))[0].as_py()
        raise BadRecordError(f"expected {expected} in column {label.name!r}, got {wrong or ''!r}")
    return parsed.set_column(parsed.schema.get_field_index(label.name), label.name, labels)


def _all_missing(values: Any) -> bool:
    """Whether all values of a number, integer or category column are the missing one."""
    if values.dtype == object:
        return not values.any()
    return bool((np.isnan(values) if values.dtype.kind == "f" else values == -1).all())


def _arrow_array(values: Any) -> Any:
    array = pa.array(values)
    return array.cast(pa.string()) if values.dtype == object else array
