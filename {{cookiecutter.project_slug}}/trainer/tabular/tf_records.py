"""Rows in tf.Example of TFRecords."""

import itertools
import math
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa

from table_schema.columns import Table
from trainer.errors import UserError
from trainer.tabular.data_files import File
from trainer.tabular.records import BadRecordError, read_texts, trimmed, with_labels

BLOCK_RECORDS = 65_536  # tf.Examples that are parsed at once
FRAME = struct.Struct("<QI")  # of a TFRecord: the payload's length, and its checksum


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
                arrays[column.name] = read_texts(column.name, "timestamp", arrays[column.name])
        return with_labels(pa.table(arrays), self._table.label)

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


def is_frame(begin: bytes) -> bool:
    """Whether these bytes begin a TFRecord: a length, and its checksum."""
    if len(begin) < FRAME.size:
        return False
    return bool(_masked_checksum(begin[:8]) == FRAME.unpack_from(begin)[1])


def _masked_checksum(content: bytes) -> int:
    crc = google_crc32c.value(content)
    return int(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _all_missing(array: Any) -> bool:
    """Whether all values of a number, integer or category column are the missing one."""
    if array.dtype == object:
        return not array.any()
    return bool((np.isnan(array) if array.dtype.kind == "f" else array == -1).all())


def _arrow_array(array: Any) -> Any:
    found = pa.array(array)
    return trimmed(found.cast(pa.string())) if array.dtype == object else found
