"""How a file holds rows: lines of CSV, or tf.Example in TFRecords."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from table_schema.columns import Table
from table_schema.values import LONGEST_MAGIC
from trainer.tabular import csv_lines, tf_records
from trainer.tabular.data_files import File


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
    begin = file.peek(max(tf_records.FRAME.size, LONGEST_MAGIC))
    file.check_readable(begin)
    named = re.search(r"\.tfrec|tfrecord", file.name.rpartition("/")[2], re.IGNORECASE)
    reader = tf_records.Examples if named or tf_records.is_frame(begin) else csv_lines.Lines
    return reader(file, table, with_keys)
