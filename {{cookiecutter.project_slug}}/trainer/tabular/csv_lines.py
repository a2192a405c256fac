"""Rows in lines of CSV."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from table_schema import values
from table_schema.columns import Kind, Table
from trainer.errors import UserError
from trainer.tabular.data_files import File
from trainer.tabular.records import (
    ARROW_TYPES,
    BadRecordError,
    read_texts,
    trimmed,
    with_labels,
)

# What pyarrow says of a cell that it does not convert.
CONVERSION = re.compile(r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error")


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
        return with_labels(parsed, self._label)

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
        return read_texts(name, self._kinds[name], column) if name in self._as_texts else column

    def _in_words(self, message: str) -> str:
        """Puts a column's name where pyarrow tells its number."""
        message = re.sub(r"^(CSV parse error: )?(Row #\d+: )?", "", " ".join(message.split()))
        return re.sub(
            r"In CSV column #(\d+): (CSV conversion error to )?",
            lambda found: f"column {self._header[int(found[1])]!r}, ",
            message,
        )


def _is_text(kind: Kind) -> bool:
    return bool(ARROW_TYPES[kind] == pa.string())


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Cuts at the ends of lines, which the lines keep."""
    rest = b""
    for chunk in chunks:
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield (whole + newline).splitlines(keepends=True)
    if rest:
        yield rest.splitlines(keepends=True)
