"""The kinds of files that hold tables: each gives its headings, then its rows, as texts.

What a format cannot give as texts of one column each, it leaves out with the reason.
"""

import contextlib
import io
import itertools
import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from cloud.datasets import csv_text, headings, packing
from cloud.errors import UserError
from table_schema.columns import Dialect

JSON = (".json", ".jsonl", ".ndjson")
BATCH_ROWS = 65_536

# A place such as `line 12`, and the cells there or why there are none.
Record = tuple[str, list[str] | str]

NESTED = "holds lists or structures; the model takes one value a column"


class Format:
    """One file of a kind; the base of all kinds.

    Args:
        path: of the file.
        dialect: what is known of it.

    Attributes:
        dialect: how it is written, as far as that matters to its kind.
        titles: lines above the headings that are no rows, each with its place.
        total: the last line, with its place, where it is no row but their sum; else empty.
        left_out: why columns are not given, by heading.
        comments: how many lines are no rows, as they begin with #.

    Raises:
        UserError: it cannot be read.
    """

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.path = path
        self.dialect = dialect
        self.titles: list[str] = []
        self.total = ""
        self.left_out: dict[str, str] = {}
        self.comments = 0

    def records(self) -> Iterator[Record]:
        """Gives the headings, then the rows.

        Raises:
            UserError: the file cannot be read.
        """
        raise NotImplementedError

    def other_sheets(self) -> str:
        """Says which sheets were not read; empty where there is nothing of the kind."""
        return ""

    def _without_total(self, records: Iterable[Record]) -> Iterator[Record]:
        last = None
        for record in records:
            if last is not None:
                yield last
            last = record
        if last is not None:
            place, cells = last
            if headings.is_total(cells):
                self.total = f"{place}, {_joined(cells)!r}"
            else:
                yield last

    def _without_titles(self, records: Iterable[Record]) -> Iterator[Record]:
        rest = iter(records)
        begin = list(itertools.islice(rest, headings.LOOKED_AT))
        above = headings.titles([cells for _place, cells in begin])
        self.titles = [f"{place}, {_joined(cells)!r}" for place, cells in begin[:above]]
        return itertools.chain(begin[above:], rest)


def format_of(path: Path, dialect: Dialect) -> Format:
    """Returns a file as one of its kind, which its first bytes and its name tell.

    Raises:
        UserError: it cannot be read, or is of no kind that is.
    """
    begin = _first_bytes(path)
    if begin.startswith(b"PAR1"):
        return Parquet(path, dialect)
    if begin.startswith(b"PK") and _is_workbook(path):
        return Workbook(path, dialect)
    return (Json if packing.plain_suffix(path) in JSON else Text)(path, dialect)


class Text(Format):
    """Comma-separated values of any dialect."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        encoding = dialect.encoding or csv_text.find_encoding(path)
        super().__init__(path, replace(dialect, encoding=encoding))
        with _opened(path, encoding) as file:
            begin = file.read(csv_text.SNIFFED_CHARACTERS)
        if "\0" in begin:
            raise UserError(
                f"{path}: expected a table as CSV, JSON lines, Parquet or Excel (.xlsx), got"
                " bytes of another kind; save it as CSV."
            )
        given = dialect.delimiter
        candidates = (given,) if given else csv_text.DELIMITERS
        delimiter, self._width = csv_text.find_delimiter(begin, candidates)
        self.dialect = replace(self.dialect, delimiter=delimiter)
        check_given_headings(path, dialect, self._width)

    def records(self) -> Iterator[Record]:
        if not self.dialect.headings:
            yield from self._without_total(self._without_titles(self._lines()))
        else:
            yield "line 0", list(self.dialect.headings)
            yield from self._lines()

    def _lines(self) -> Iterator[Record]:
        self.comments = 0
        dialect = self.dialect
        try:
            with _opened(self.path, dialect.encoding) as file:
                found = csv_text.records(file, dialect.delimiter, self._width, dialect.line_breaks)
                for number, cells in found:
                    if csv_text.is_comment(cells) and len(cells) != self._width:
                        self.comments += 1
                    else:
                        yield f"line {number}", cells
        except UnicodeError as error:
            raise UserError(
                f"{self.path}: is not text in {dialect.encoding} ({error}); name its encoding"
                " with --encoding, such as cp1252."
            ) from error


class Json(Format):
    """JSON lines, or a list of objects: the headings are the keys of all of them."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        super().__init__(path, replace(dialect, encoding=dialect.encoding or "utf-8-sig"))

    def records(self) -> Iterator[Record]:
        keys: dict[str, None] = {}
        plain: set[str] = set()
        nested: set[str] = set()
        faults = []
        for place, found in self._objects():
            if isinstance(found, str):
                faults.append((place, found))
                continue
            keys |= dict.fromkeys(found)
            for key, value in found.items():
                if value is not None:
                    (nested if isinstance(value, dict | list) else plain).add(key)
        if not keys:
            yield from faults[:1]
            return
        self.left_out = {key: NESTED for key in keys if key in nested - plain}
        given = [key for key in keys if key not in self.left_out]
        yield "line 1", given
        for place, found in self._objects():
            if isinstance(found, str):
                yield place, found
                continue
            mixed = [key for key in given if isinstance(found.get(key), dict | list)]
            if mixed:
                yield place, f"{mixed[0]!r} holds an object or a list, and single values elsewhere"
                continue
            yield place, [_json_text(found.get(key)) for key in given]

    def _objects(self) -> Iterator[tuple[str, dict[str, Any] | str]]:
        with _opened(self.path, self.dialect.encoding) as file:
            begin = file.read(1)
            if begin == "[":
                parsed = _parsed(f"{begin}{file.read()}")
                listed = parsed if isinstance(parsed, list) else [parsed]
                found = ((f"object {n}", each) for n, each in enumerate(listed, start=1))
            else:
                lines = enumerate(itertools.chain([f"{begin}{file.readline()}"], file), start=1)
                found = ((f"line {n}", _parsed(line)) for n, line in lines if line.strip())
            for place, value in found:
                is_object = isinstance(value, dict)
                yield place, value if is_object else f"expected a JSON object, got {value!r:.60}"


class Parquet(Format):
    """Parquet, whose types are forgotten."""

    def records(self) -> Iterator[Record]:
        import pyarrow as pa
        from pyarrow import parquet

        file = parquet.ParquetFile(self.path)
        schema = file.schema_arrow
        self.left_out = {each.name: NESTED for each in schema if pa.types.is_nested(each.type)}
        given = [name for name in schema.names if name not in self.left_out]
        yield "row 0", given
        number = 1
        for batch in file.iter_batches(BATCH_ROWS, columns=given):
            columns = [list(map(_cell_text, column.to_pylist())) for column in batch.columns]
            for number, cells in enumerate(zip(*columns, strict=True), start=number):  # noqa: B020
                yield f"row {number}", list(cells)
            number += 1


class Workbook(Format):
    """A sheet of an Excel workbook."""

    def other_sheets(self) -> str:
        with self._book() as book:
            read = self._sheet(book)
            others = ", ".join(name for name in book.sheetnames if name != read)
        return f" This is the sheet {read!r}; --sheet takes another: {others}." if others else ""

    def records(self) -> Iterator[Record]:
        yield from self._without_total(self._padded())

    def _padded(self) -> Iterator[Record]:
        width = 0
        for place, cells in self._without_titles(self._rows()):
            assert isinstance(cells, list)  # noqa: S101
            width = width or len(cells)
            yield place, cells + [""] * (width - len(cells))

    def _rows(self) -> Iterator[tuple[str, list[str]]]:
        """Gives the rows that are not empty, without the empty cells at their ends."""
        with self._book() as book:
            sheet = book[self._sheet(book)]
            for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
                cells = list(map(_cell_text, values))
                while cells and not cells[-1]:
                    cells.pop()
                if cells:
                    yield f"row {number}", cells

    @contextmanager
    def _book(self) -> Iterator[Any]:
        import openpyxl

        book = openpyxl.load_workbook(self.path, read_only=True, data_only=True)
        with contextlib.closing(book):
            yield book

    def _sheet(self, book: Any) -> str:
        wanted = self.dialect.sheet
        if wanted and wanted not in book.sheetnames:
            raise UserError(
                f"{self.path}: expected a sheet of {', '.join(book.sheetnames)}, got {wanted!r}."
            )
        return wanted or str(book.sheetnames[0])


def _joined(cells: Iterable[str]) -> str:
    return " ".join(cell.strip() for cell in cells if cell.strip())


def check_given_headings(path: Path, dialect: Dialect, columns: int) -> None:
    """Raises UserError where a person gave headings, but not as many as there are columns."""
    given = dialect.headings
    if given and len(given) != columns:
        raise UserError(
            f"--headings: expected {columns} names, as many as {path} has columns, got"
            f" {len(given)}."
        )


@contextmanager
def _opened(path: Path, encoding: str) -> Iterator[TextIO]:
    with packing.opened(path) as raw:
        yield io.TextIOWrapper(raw, encoding, newline="")


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path.") from error


def _is_workbook(path: Path) -> bool:
    return zipfile.is_zipfile(path) and "xl/workbook.xml" in zipfile.ZipFile(path).namelist()


def _parsed(text: str) -> Any:
    """Returns a JSON value whose numbers are texts as they stand; or why there is none."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except ValueError as error:
        return f"{text.strip()[:40]} ({error})"


def _json_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _cell_text(value: Any) -> str:
    """Returns a typed cell as text: dates in ISO 8601, whole numbers without a point."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1 << 53 else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").removesuffix(" 00:00:00")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
