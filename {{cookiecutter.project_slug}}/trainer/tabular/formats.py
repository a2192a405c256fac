"""How a file holds rows: lines of CSV, or tf.Example in TFRecords."""

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

from table_schema import values
from table_schema.columns import Kind, Label, Table
from table_schema.values import LONGEST_MAGIC
from trainer.errors import UserError
from trainer.tabular.data_files import File

ARROW_TYPES: dict[Kind, Any] = {
    "number": pa.float32(),
    "integer": pa.int64(),
    "category": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": pa.string(),
    "text": pa.string(),
}
BLOCK_RECORDS = 65_536  # tf.Examples that are parsed at once
# What pyarrow says of a cell that it does not convert.
CONVERSION = re.compile(r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error")
FRAME = struct.Struct("<QI")  # of a TFRecord: the payload's length, and its checksum


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
    """Begins to read a file: TFRecords by their first bytes or their name, CSV otherwise.

    Raises:
        UserError: it is of a kind that is not read, has no header, or the header lacks a column.
    """
    begin = file.peek(max(FRAME.size, LONGEST_MAGIC))
    file.check_readable(begin)
    named = re.search(r"\.tfrec|tfrecord", file.name.rpartition("/")[2], re.IGNORECASE)
    reader = Examples if named or _is_frame(begin) else Lines
    return reader(file, table, with_keys)


class Lines:
    """CSV: a header, and a row in each line; quotes do not join lines.

    pyarrow converts a column by itself as long as its cells are as it wants them. From the first
    that is not, such as 2007.0 for a whole number, `table_schema/values.py` reads the column's
    texts.
    """

    def __init__(self, file: File, table: Table, with_keys: bool) -> None:
        self._label = table.label
        self._kinds: dict[str, Kind] = {column.name: column.kind for column in table.columns}
        self._kinds[table.label.name] = "category" if table.label.classes else "number"
        self._blocks = _whole_lines(file.chunks())
        self._header = self._read_header()
        self._check_header(file.name, table, self._kinds)
        if with_keys and table.key in self._header:
            self._kinds[table.key] = "category"
        self._as_texts = {name for name, kind in self._kinds.items() if _is_text(kind)}

    def blocks(self) -> Iterator[tuple[int, list[bytes]]]:
        """Gives the lines in blocks."""
        number = self._begin
        for lines in itertools.chain([self._first], self._blocks):
            yield number, lines
            number += len(lines)

    def parse(self, records: Sequence[bytes]) -> Any:
        """Parses lines; blank ones are no rows."""
        lines = [line for line in records if line.strip()]
        if not lines:
            return pa.table({})
        if values.has_open_quote(lines[-1].decode("utf-8", "replace")):
            raise BadRecordError(values.OPEN_QUOTE)
        parsed = self._convert(b"".join(lines))
        if parsed.num_rows < len(lines):
            raise BadRecordError(values.OPEN_QUOTE)
        return _with_labels(parsed, self._label)

    def place(self, number: int) -> str:
        """Says where a line is."""
        return f"Line {number}"

    def check_end(self) -> None:
        """Nothing: the header has been checked."""

    def _read_header(self) -> list[str]:
        """Returns the names in the first line that is not blank, and notes what follows it."""
        self._begin, self._first, self._fault = 1, [b""], ""
        for lines in self._blocks:
            for place, line in enumerate(lines):
                text = line.decode("utf-8-sig" if self._begin == 1 else "utf-8", "replace")
                self._begin += 1
                if text.strip():
                    self._first = lines[place + 1 :]
                    self._fault = values.header_fault(self._begin - 1, text)
                    return values.header(text)
        return []

    def _check_header(self, name: str, table: Table, needed: Iterable[str]) -> None:
        if not self._header:
            raise UserError(f"{name}: expected a header and rows, got an empty file.")
        if "\0" in self._header[0]:
            raise UserError(
                f"{name}: expected CSV in UTF-8, got other bytes, perhaps UTF-16; save it as UTF-8."
            )
        for column in needed:
            if self._header.count(column) != 1:
                times = "two" if column in self._header else "none"
                remedy = self._fault or "correct the file, or change the description"
                raise UserError(
                    f"{name}: expected one column {column!r} as trainer/tables/ describes table"
                    f" {table.name!r}, got {times} among {', '.join(self._header)}; {remedy}."
                )

    def _convert(self, content: bytes) -> Any:
        """Returns the described columns, converted.

        Raises:
            BadRecordError: a line has too many or too few cells, or a cell is of another kind.
        """
        while True:
            types = {
                name: pa.string() if name in self._as_texts else ARROW_TYPES[kind]
                for name, kind in self._kinds.items()
            }
            try:
                parsed = pacsv.read_csv(
                    pa.BufferReader(content),
                    read_options=pacsv.ReadOptions(column_names=self._header),
                    convert_options=pacsv.ConvertOptions(
                        column_types=types,
                        include_columns=list(types),
                        null_values=values.spellings(values.GAPS),
                        true_values=values.spellings(values.TRUE),
                        false_values=values.spellings(values.FALSE),
                    ),
                )
            except pa.ArrowInvalid as error:
                found = CONVERSION.search(str(error))
                name = self._header[int(found[1])] if found else ""
                if not found or name in self._as_texts:
                    raise BadRecordError(self._in_words(str(error))) from error
                self._as_texts.add(name)
                continue
            infinite = {
                name
                for name in self._kinds.keys() - self._as_texts
                if self._kinds[name] == "number" and pc.any(pc.is_inf(parsed[name])).as_py()
            }
            if not infinite:
                return pa.table({name: self._converted(name, parsed[name]) for name in types})
            self._as_texts |= infinite  # as texts they are refused, or left out as bad rows

    def _converted(self, name: str, column: Any) -> Any:
        if self._kinds[name] in ("category", "text"):
            return trimmed(column)
        return _read_texts(name, self._kinds[name], column) if name in self._as_texts else column

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
        self._spec[table.label.name] = _feature(dtype, missing)
        if with_keys:
            self._spec[table.key] = _feature(tf.string, "")

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
        for name, lists in columns.items():
            if lists.shape[1] > 1:
                raise BadRecordError(f"feature {name!r}: expected one value, got {lists.shape[1]}")
            columns[name] = lists[:, 0] if lists.shape[1] else self._all_gaps(name, len(lists))
        for column in self._table.columns:
            found = columns[column.name]
            if column.kind == "boolean":
                columns[column.name] = found != 0
            elif column.name in self._never_seen and not _all_missing(found):
                self._never_seen.remove(column.name)
        try:
            arrays = {name: _arrow_array(array) for name, array in columns.items()}
        except pa.ArrowInvalid as error:
            raise BadRecordError(f"text that is not UTF-8: {error}") from error
        for column in self._table.columns:
            if column.kind == "timestamp":
                arrays[column.name] = _read_texts(column.name, "timestamp", arrays[column.name])
        return _with_labels(pa.table(arrays), self._table.label)

    def _all_gaps(self, name: str, rows: int) -> Any:
        missing = self._spec[name].default_value
        return np.full(rows, missing, object if isinstance(missing, str) else None)

    def place(self, number: int) -> str:
        """Says where a record is."""
        return f"Record {number}"

    def check_end(self) -> None:
        """Refuses a file in whose records a feature never is."""
        if self._has_records and self._never_seen:
            names = ", ".join(sorted(self._never_seen))
            raise UserError(
                f"{self._file.name}: expected the feature {names} as trainer/tables/ describes"
                f" table {self._table.name!r}, got no record with it; write the file again, or"
                " change the description."
            )

    def _payloads(self) -> Iterator[bytes]:
        """Takes the records out of their frames: length, its checksum, payload, its checksum."""
        content, number = b"", 1
        for chunk in self._file.chunks():
            content, at = content + chunk, 0
            while len(content) >= (begin := at + 12):
                length, checksum = FRAME.unpack_from(content, at)
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
        if _masked_checksum(content) != checksum:
            raise UserError(
                f"{self._file.name}: expected TFRecords, got one of another checksum, record"
                f" {number}; write or copy the file again."
            )


def example_features(table: Table) -> dict[str, Any]:
    """Returns the features of a table's tf.Example as `tf.io.parse_example` wants them.

    A boolean is an int64, as tf.Example has no other whole numbers.
    """
    import tensorflow as tf

    dtypes = {"number": tf.float32, "integer": tf.int64, "boolean": tf.int64}
    return {
        column.name: _feature(dtypes.get(column.kind, tf.string), column.missing)
        for column in table.columns
    }


def _feature(dtype: Any, missing: Any) -> Any:
    """Returns a feature of a list of one value; an empty list and none at all are gaps.

    TensorFlow parses it to [rows, length of the longest list].
    """
    import tensorflow as tf

    return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True, default_value=missing)


def _is_text(kind: Kind) -> bool:
    return bool(ARROW_TYPES[kind] == pa.string())


def _is_frame(begin: bytes) -> bool:
    """Whether these bytes begin a TFRecord: a length, and its checksum."""
    if len(begin) < FRAME.size:
        return False
    return bool(_masked_checksum(begin[:8]) == FRAME.unpack_from(begin)[1])


def _masked_checksum(content: bytes) -> int:
    crc = google_crc32c.value(content)
    return int(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def trimmed(column: Any) -> Any:
    """Returns texts without the blanks around them."""
    return pc.utf8_trim_whitespace(column)


def _read_texts(name: str, kind: Kind, column: Any) -> Any:
    """Reads a column's texts, each distinct one once.

    Raises:
        BadRecordError: one is not of the kind.
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()
    found = []
    for text in encoded.dictionary.to_pylist():
        try:
            found.append(values.read(kind, text))
        except ValueError as error:
            raise BadRecordError(f"column {name!r}: {error}") from error
    return pa.array(found, ARROW_TYPES[kind]).take(encoded.indices)


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
    found = parsed[label.name]
    expected, labels = "a number", found
    if label.classes:
        expected = ", ".join(map(repr, label.classes))
        labels = pc.index_in(found, value_set=pa.array(label.classes))
        good = labels.is_valid()
    else:
        good = pc.is_finite(found).fill_null(False)
    if not pc.all(good).as_py():
        wrong = found.filter(pc.invert(good))[0].as_py()
        raise BadRecordError(f"expected {expected} in column {label.name!r}, got {wrong or ''!r}")
    return parsed.set_column(parsed.schema.get_field_index(label.name), label.name, labels)


def _all_missing(array: Any) -> bool:
    """Whether all values of a number, integer or category column are the missing one."""
    if array.dtype == object:
        return not array.any()
    return bool((np.isnan(array) if array.dtype.kind == "f" else array == -1).all())


def _arrow_array(array: Any) -> Any:
    found = pa.array(array)
    return trimmed(found.cast(pa.string())) if array.dtype == object else found
