"""A person's own file, as it is: which rows it has, as texts, each with the place it stands at.

CSV in any dialect, JSON lines, Parquet and the sheets of Excel become the same: headings, and rows
of one text a heading. Every row of the file is given, refused with its line, or counted as bad.
"""

import codecs
import contextlib
import csv
import gzip
import io
import itertools
import json
import lzma
import re
import zipfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from cloud.errors import UserError

# Of a file's text, the part that its delimiter is found by.
SNIFFED_CHARACTERS = 1 << 18
SNIFFED_RECORDS = 500
DELIMITERS = (",", ";", "\t", "|")
# Some programs tell Excel by such a first line how the columns are separated.
SEPARATOR = re.compile(r'"?sep=(.?)"?[,;\t]*\s*')
BLOCK_ROWS = 65_536
CHUNK = 1 << 20
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?%?")
JSON = (".json", ".jsonl", ".ndjson")
SUFFIXES = (".csv", ".tsv", ".txt", *JSON, ".parquet", ".xlsx", ".gz", ".zip")

csv.field_size_limit(1 << 30)  # a quoted text may be of any size


@dataclass(frozen=True)
class Dialect:
    r"""How a file is written. What is None is found out.

    Attributes:
        encoding: of the text, a name of Python's codecs.
        delimiter: between the cells of a line.
        headings: of the columns, for a file whose first line is a row already.
        sheet: of an Excel workbook; None takes the first.
        skip_bad: whether rows that cannot be read are counted instead of refused.
        line_breaks: whether line breaks within quotes are right even where the lines look like
            rows.
    """

    encoding: str | None = None
    delimiter: str | None = None
    headings: tuple[str, ...] = ()
    sheet: str | None = None
    skip_bad: bool = False
    line_breaks: bool = False


@dataclass
class Counts:
    """What became of a file's rows.

    Attributes:
        rows: that were given.
        bad: why rows were not, by the place of each.
        comments: lines that begin with # and are no rows.
    """

    rows: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    comments: int = 0


@dataclass(frozen=True)
class Row:
    """A row as texts.

    Attributes:
        place: where it stands, such as `line 12`.
        cells: a text a heading, in the order of the headings.
    """

    place: str
    cells: Sequence[str]


class SourceFile:
    """A file that is open to be read, as often as wanted.

    Args:
        path: of the file.
        dialect: what is known of it; the rest is found out here.

    Attributes:
        headings: of the columns, each once.
        dialect: how the file is written, as far as it is text.
        counts: of the latest reading.

    Raises:
        UserError: it is of a kind that is not read, or has no headings or two of one name.
    """

    def __init__(self, path: Path, dialect: Dialect = Dialect()) -> None:
        self.path = path
        self.dialect = dialect
        self.counts = Counts()
        begin = _first_bytes(path)
        if begin.startswith(b"PAR1"):
            self._read: Any = self._parquet
        elif begin.startswith(b"PK") and _is_workbook(path):
            self._read = self._workbook
        elif _plain_suffix(path) in JSON:
            self._read = self._json
        else:
            self._read = self._text
            self._sniff()
        self.headings = self._checked_headings()

    def other_sheets(self) -> str:
        """Says which sheets of a workbook were not read; empty of another file."""
        if self._read != self._workbook:
            return ""
        import openpyxl

        book = openpyxl.load_workbook(self.path, read_only=True)
        with contextlib.closing(book):
            read = self.dialect.sheet or book.sheetnames[0]
            others = ", ".join(name for name in book.sheetnames if name != read)
        return f" This is the sheet {read!r}; --sheet takes another: {others}." if others else ""

    def rows(self) -> Iterator[Row]:
        """Gives the rows.

        Raises:
            UserError: one cannot be read and bad ones are not skipped.
        """
        self.counts = Counts()
        rows = self._read()
        next(rows, None)  # the headings
        for place, cells in rows:
            if isinstance(cells, str):
                self._refuse(place, cells)
            elif len(cells) != len(self.headings):
                self._refuse(
                    place,
                    f"expected {len(self.headings)} cells as there are headings, got {len(cells)}",
                )
            else:
                self.counts.rows += 1
                yield Row(place, cells)

    def _refuse(self, place: str, reason: str) -> None:
        if not self.dialect.skip_bad:
            raise UserError(
                f"{self.path}, {place}: {reason}. Correct it, or leave such rows out with"
                " --skip-bad."
            )
        self.counts.bad[place] = reason

    def _checked_headings(self) -> list[str]:
        found = next(iter(self._read()), None)
        if found is None:
            raise UserError(f"{self.path}: expected headings and rows, got an empty file.")
        place, cells = found
        if isinstance(cells, str):
            raise UserError(f"{self.path}, {place}: {cells}.")
        self._check_given_headings(len(cells))
        # pandas writes its row numbers under an empty heading, and reads it by such a name.
        headings = [
            cell.strip() or f"Unnamed: {index}"
            for index, cell in enumerate(self.dialect.headings or cells)
        ]
        if _look_like_values(cells) and not self.dialect.headings:
            raise UserError(
                f"{self.path}, {place}: expected headings, got {', '.join(cells)[:80]!r}, which"
                " looks like a row. Write a line of headings above it, or give them:"
                f" --headings {','.join(f'c{n}' for n in range(1, len(cells) + 1))[:60]}"
            )
        twice = [heading for heading, count in Counter(headings).items() if count > 1]
        if twice:
            raise UserError(
                f"{self.path}, {place}: expected each heading once, got {twice[0]!r}"
                f" {headings.count(twice[0])} times; rename one of them, or give all with"
                " --headings."
            )
        return headings

    def _check_given_headings(self, columns: int) -> None:
        given = self.dialect.headings
        if given and len(given) != columns:
            raise UserError(
                f"--headings: expected {columns} names, as many as {self.path} has columns, got"
                f" {len(given)}."
            )

    def _sniff(self) -> None:
        encoding = self.dialect.encoding or find_encoding(self.path)
        self.dialect = replace(self.dialect, encoding=encoding)
        with self._opened() as file:
            begin = file.read(SNIFFED_CHARACTERS)
        if "\0" in begin:
            raise UserError(
                f"{self.path}: expected a table as CSV, JSON lines, Parquet or Excel (.xlsx), got"
                " bytes of another kind; save it as CSV."
            )
        given = self.dialect.delimiter
        delimiter, self._width = find_delimiter(begin, DELIMITERS if given is None else (given,))
        self.dialect = replace(self.dialect, delimiter=delimiter)
        self._check_given_headings(self._width)

    @contextmanager
    def _opened(self) -> Iterator[TextIO]:
        with opened(self.path) as raw:
            yield io.TextIOWrapper(raw, self.dialect.encoding or "utf-8", newline="")

    # Each of these gives the headings first, and a reason in place of the cells of a bad row.

    def _text(self) -> Iterator[tuple[str, list[str] | str]]:
        if self.dialect.headings:
            yield "line 0", list(self.dialect.headings)
        delimiter = self.dialect.delimiter or ","
        try:
            with self._opened() as file:
                for number, cells in records(file, delimiter, self.dialect.line_breaks):
                    if _is_comment(cells) and len(cells) != self._width:
                        self.counts.comments += 1
                    else:
                        yield f"line {number}", cells
        except UnicodeError as error:
            raise UserError(
                f"{self.path}: is not text in {self.dialect.encoding} ({error}); name its encoding"
                " with --encoding, such as cp1252."
            ) from error

    def _json(self) -> Iterator[tuple[str, list[str] | str]]:
        self.dialect = replace(self.dialect, encoding=self.dialect.encoding or "utf-8-sig")
        headings: dict[str, None] = {}
        faults = []
        for place, found in self._json_objects():
            if isinstance(found, dict):
                headings |= dict.fromkeys(found)
            else:
                faults.append((place, found))
        if not headings:
            yield from faults[:1]
            return
        yield "line 1", list(headings)
        for place, found in self._json_objects():
            if isinstance(found, str):
                yield place, found
                continue
            nested = [name for name, value in found.items() if isinstance(value, dict | list)]
            if nested:
                yield place, f"{nested[0]!r} holds an object or a list; give it columns of its own"
                continue
            yield place, [_json_text(found.get(heading)) for heading in headings]

    def _json_objects(self) -> Iterator[tuple[str, dict[str, Any] | str]]:
        with self._opened() as file:
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

    def _parquet(self) -> Iterator[tuple[str, list[str] | str]]:
        import pyarrow as pa
        from pyarrow import parquet

        file = parquet.ParquetFile(self.path)
        schema = file.schema_arrow
        nested = [each.name for each in schema if pa.types.is_nested(each.type)]
        if nested:
            raise UserError(
                f"{self.path}: column {nested[0]!r} holds lists or structures; give it columns of"
                " its own."
            )
        yield "row 0", schema.names
        number = 1
        for batch in file.iter_batches(BLOCK_ROWS):
            columns = [list(map(_cell_text, column.to_pylist())) for column in batch.columns]
            for number, cells in enumerate(zip(*columns, strict=True), start=number):  # noqa: B020
                yield f"row {number}", list(cells)
            number += 1

    def _workbook(self) -> Iterator[tuple[str, list[str] | str]]:
        import openpyxl

        book = openpyxl.load_workbook(self.path, read_only=True, data_only=True)
        with contextlib.closing(book):
            if self.dialect.sheet is not None and self.dialect.sheet not in book.sheetnames:
                raise UserError(
                    f"{self.path}: expected a sheet of {', '.join(book.sheetnames)}, got"
                    f" {self.dialect.sheet!r}."
                )
            sheet = book[self.dialect.sheet or book.sheetnames[0]]
            width = 0
            for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
                cells = list(map(_cell_text, values))
                while cells and not cells[-1] and len(cells) > width:
                    cells.pop()
                if not any(cells):
                    continue
                cells += [""] * (width - len(cells))
                width = width or len(cells)
                yield f"row {number}", cells


def find_paths(names: Iterable[str | Path]) -> list[Path]:
    """Returns the files that names stand for: a folder stands for the tables in it.

    Raises:
        UserError: there is no such file, or none in a folder.
    """
    found = []
    for name in map(Path, names):
        if name.is_dir():
            inside = [
                each
                for each in sorted(name.iterdir())
                if each.suffix.lower() in SUFFIXES and each.is_file()
            ]
            if not inside:
                raise UserError(
                    f"{name}: expected files that end in {', '.join(SUFFIXES)}, found none."
                )
            found += inside
        elif name.is_file():
            found.append(name)
        else:
            raise UserError(f"{name}: there is no such file; check the path.")
    return found


def open_all(paths: Sequence[Path], dialect: Dialect) -> list[SourceFile]:
    """Opens the files of one table.

    Raises:
        UserError: they have other headings, or in another order.
    """
    files = [SourceFile(path, dialect) for path in paths]
    first, *others = files
    for other in others:
        if other.headings != first.headings:
            different = set(first.headings) ^ set(other.headings)
            which = f", such as {min(different)!r}" if different else " in another order"
            raise UserError(
                f"{other.path}: expected the headings of {first.path}, got others{which}; make"
                " them the same, or adopt the files apart."
            )
    return files


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Opens a file's contents, unpacked where it is gzip, xz, or a zip of one file.

    Raises:
        UserError: a zip holds several files, or none.
    """
    with ExitStack() as stack:
        raw: Any = stack.enter_context(path.open("rb"))
        begin = raw.peek(4)
        if begin.startswith(b"\x1f\x8b"):
            raw = stack.enter_context(gzip.open(raw))
        elif begin.startswith(b"\xfd7zXZ"):
            raw = stack.enter_context(lzma.open(raw))
        elif begin.startswith(b"PK"):
            archive = stack.enter_context(zipfile.ZipFile(raw))
            names = [
                each.filename
                for each in archive.infolist()
                if not each.is_dir() and not each.filename.startswith("__MACOSX")
            ]
            if len(names) != 1:
                raise UserError(
                    f"{path}: expected a zip of one file, got {len(names)}: unpack it, and give"
                    " the files or their folder."
                )
            raw = stack.enter_context(archive.open(names[0]))
        try:
            yield raw
        except (gzip.BadGzipFile, EOFError, zipfile.BadZipFile, lzma.LZMAError) as error:
            raise UserError(f"{path}: cannot be unpacked ({error}); copy it again.") from error


def find_encoding(path: Path) -> str:
    """Returns the encoding of a file's text: by its first bytes, else UTF-8 if all of it is.

    Otherwise it is cp1252, or Latin-1 where it has bytes that cp1252 has not.
    """
    with opened(path) as file:
        begin = file.read(4096)
        if begin.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        for name, zeros in (("utf-16-le", begin[1::2]), ("utf-16-be", begin[::2])):
            if len(begin) > 8 and zeros.count(0) > 0.8 * len(zeros):
                return name
        candidates = {
            name: codecs.getincrementaldecoder(name)() for name in ("utf-8", "cp1252", "latin-1")
        }
        for chunk in itertools.chain([begin], iter(lambda: file.read(CHUNK), b"")):
            for name, decoder in list(candidates.items()):
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    del candidates[name]
    return next(iter(candidates))


def find_delimiter(text: str, candidates: Sequence[str] = DELIMITERS) -> tuple[str, int]:
    """Finds what separates the cells: what gives the headings and the rows one width.

    Returns:
        The delimiter, and how many cells the headings have.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    if marked := SEPARATOR.fullmatch(first):
        candidates = (marked[1] or ",",)
    best, best_width, best_score = candidates[0], 1, 0.0
    for delimiter in candidates:
        found = records(io.StringIO(text, newline=""), delimiter, line_breaks=True)
        widths = [
            len(cells)
            for _number, cells in itertools.islice(found, SNIFFED_RECORDS)
            if not isinstance(cells, str) and not _is_comment(cells)
        ]
        if len(widths) > 2:
            widths.pop()  # the last one may be cut
        if not widths or (widths[0] == 1 and len(candidates) > 1):
            continue
        score = sum(width == widths[0] for width in widths) / len(widths)
        if score > best_score:
            best, best_width, best_score = delimiter, widths[0], score
    return best, best_width


def records(
    lines: Iterable[str], delimiter: str, line_breaks: bool = False
) -> Iterator[tuple[int, list[str] | str]]:
    """Gives the records of CSV with the number of the first line of each, from 1.

    A quote opens a cell at its beginning only, and must close it: RFC 4180. So one stray quote
    would swallow rows up to the next one. A record over several lines that each look like a row
    is therefore bad, and reading goes on in the line after its first.

    Args:
        lines: of the text, with their ends.
        delimiter: between cells.
        line_breaks: whether such records are right.

    Yields:
        The cells, or why there are none. Blank lines are no records.
    """
    numbered = enumerate(lines, start=1)
    pending: deque[tuple[int, str]] = deque()  # read before, to be read again
    width = 0

    def following() -> tuple[int, str] | None:
        return pending.popleft() if pending else next(numbered, None)

    while (found := following()) is not None:
        number, line = found
        if not line.strip() or (number == 1 and SEPARATOR.fullmatch(line)):
            continue
        if '"' not in line:  # as nearly all are
            cells = line.rstrip("\r\n").split(delimiter)
            width = width or len(cells)
            yield number, cells
            continue
        taken = [found]
        cells, fault = _cells(line, delimiter)
        while fault == OPEN:
            more = following()
            if more is None:
                fault = f"{OPEN} before the end of the file"
                break
            taken.append(more)
            if '"' in more[1]:
                cells, fault = _cells("".join(each for _number, each in taken), delimiter)
        if len(taken) > 1 and not fault and not line_breaks and _are_rows(taken, delimiter, width):
            fault = (
                f"a quote joins lines {number} to {taken[-1][0]}, which look like rows; remove it,"
                " or say with --line-breaks that they are one"
            )
        if fault:
            pending.extendleft(reversed(taken[1:]))
            yield number, fault
        else:
            width = width or len(cells)
            yield number, cells


OPEN = "a quote is opened and not closed"
BAD_QUOTE = "a quote stands within a cell that a quote began; write it twice"


def _cells(text: str, delimiter: str) -> tuple[list[str], str]:
    """Returns the cells of a record and what is wrong with it: `OPEN` where it goes on."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True)), ""
    except csv.Error as error:
        return [], OPEN if "unexpected end" in str(error) else BAD_QUOTE


def _are_rows(taken: Sequence[tuple[int, str]], delimiter: str, width: int) -> bool:
    """Whether the lines of a record have each as many cells as a row, by their delimiters."""
    first, *inner, last = (line.count(delimiter) + 1 == width for _number, line in taken)
    return any(inner) or (first and last)


def _is_comment(cells: list[str] | str) -> bool:
    return not isinstance(cells, str) and cells[0].startswith("#")


def _parsed(text: str) -> Any:
    """Returns a JSON value whose numbers are texts as they stand; or why there is none."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except ValueError as error:
        return f"{text.strip()[:40]} ({error})"


def _look_like_values(cells: list[str]) -> bool:
    """Whether headings are rather a row: half of them are numbers, and not a series of years."""
    numbers = [cell.strip() for cell in cells if _is_number(cell)]
    if not numbers or 2 * len(numbers) < len(cells):
        return False
    if not all(number.isdecimal() for number in numbers):
        return True
    return len({int(b) - int(a) for a, b in itertools.pairwise(numbers)} | {0}) != 2


def _is_number(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell.strip()))


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path.") from error


def _plain_suffix(path: Path) -> str:
    """Returns the end of a file's name, without that of its packing."""
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() if suffix in (".gz", ".zip", ".xz") else suffix


def _is_workbook(path: Path) -> bool:
    return zipfile.is_zipfile(path) and "xl/workbook.xml" in zipfile.ZipFile(path).namelist()


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
