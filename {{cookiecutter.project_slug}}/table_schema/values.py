"""What the texts and JSON values of files and flags mean: the one home of the words for them.

Training, predict, batch and evaluate read with these rules, so a row means the same to each.
"""

import csv
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any

from table_schema.columns import Column, Kind

# What is no text, by its first bytes.
_OTHER_KINDS = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"PK\x03\x04": "a zip file or an Excel workbook",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF",
}
LONGEST_MAGIC = max(map(len, _OTHER_KINDS))

# Words for a missing value, in any case. For a category and a text the empty one alone is missing:
# NA may be Namibia.
GAPS = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none")
TRUE = ("true", "t", "yes", "y", "1", "1.0")
FALSE = ("false", "f", "no", "n", "0", "0.0")

EXPECTED: dict[Kind, str] = {
    "number": "a number",
    "integer": "a whole number",
    "category": "a text",
    "boolean": "true or false",
    "timestamp": "a date such as 2013-01-31, a date and time such as 2013-01-31 17:05, or a time of"
    " day such as 17:05",
    "text": "a text",
}

# The blanks around a text, which are no part of it: what str.strip takes away, as a pattern of RE2.
BLANKS = r"^[\t-\r\x1c-\x1f\x{85}\pZ]+|[\t-\r\x1c-\x1f\x{85}\pZ]+$"
# The line by which some programs tell Excel how the columns are separated.
_SEPARATOR = re.compile(r'"?sep=(.?)"?[,;\t]*')

MAX_NUMBER = 3.4028234663852886e38  # of a float32
INTEGERS = range(-(2**63), 2**63)  # of an int64
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"([+-]?\d+)(\.0*)?", re.ASCII)
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+")
# ISO 8601, as a pattern of RE2 and of Python; how many days a month has, and that there is no year
# 0, is checked apart.
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
_ZONE = r"(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?"
_DATE = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
TIMESTAMP = rf"(?:{_DATE}(?:[T ]{_TIME}{_ZONE})?|{_TIME}{_ZONE})"
# The day that a time of day is of, where a whole moment is needed.
DAY_OF_TIMES = "1970-01-01"
_TIMESTAMP = re.compile(TIMESTAMP)


def read(kind: Kind, text: str) -> Any:
    """Reads a cell of a file or the value of a flag.

    Returns:
        A float, int, str or bool; None where it is a gap.

    Raises:
        ValueError: it is no value of this kind.
    """
    text = text.strip()
    if text == "" or (kind not in ("category", "text") and text.lower() in GAPS):
        return None
    return _READ[kind](text)


def of_json(column: Column, value: Any) -> Any:
    """Reads a JSON value; what is of another kind stays as it is, for the model server to refuse.

    Returns:
        None where it is a gap.

    Raises:
        ValueError: a text is no date or time, which the model server would take for a gap.
    """
    if isinstance(value, str):
        try:
            return read(column.kind, value)
        except ValueError:
            if column.kind == "timestamp":
                raise
            return value
    if column.kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if column.kind == "boolean" and not isinstance(value, bool) and value in (0, 1):
        return bool(value)
    return value


def other_kind(begin: bytes) -> str:
    """Says what a file is that is no text in UTF-8, by its first bytes; "" where nothing is known.

    Args:
        begin: `LONGEST_MAGIC` bytes, fewer of a short file.
    """
    found = (kind for magic, kind in _OTHER_KINDS.items() if begin.startswith(magic))
    return next(found, "")


def header(line: str) -> list[str]:
    """Returns the names in the first line of a CSV file."""
    return [name.strip() for name in next(csv.reader([line]), [])]


def header_fault(number: int, line: str) -> str:
    """Says what to change in a first line that is no header; empty where nothing is known.

    Args:
        number: of the line, from 1.
        line: the first one that is not blank.
    """
    text = line.strip()
    names = header(line)
    others = [mark for mark in (";", "\t") if mark in text] if len(names) == 1 else []
    commas = f"separate the columns by commas and not by {others[0]!r}" if others else ""
    if marked := _SEPARATOR.fullmatch(text):
        also = "" if marked[1] == "," else ", and separate the columns by commas"
        return f"remove line {number}, {text!r}, which only Excel understands{also}"
    if text.startswith("#"):
        return f"remove line {number}, {text[:40]!r}, if it is a comment"
    return commas


def cells(line: str) -> list[str]:
    """Returns the cells of a line of CSV.

    Raises:
        ValueError: a quote opens a cell and is not closed in the line.
    """
    if has_open_quote(line):
        raise ValueError(OPEN_QUOTE)
    return next(csv.reader([line]), [])


OPEN_QUOTE = "a quote is opened and not closed in the same line; write each row in one line"


def has_open_quote(line: str) -> bool:
    """Whether a cell begins with a quote that the line does not close."""
    if '"' not in line:
        return False
    try:
        list(csv.reader([line], strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


def lines(text: str) -> Iterator[tuple[int, str]]:
    r"""Gives the lines that are not blank, with their numbers from 1, without their ends.

    Only \n, \r\n and \r end a line, and no other character that Unicode calls a separator.
    """
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff")), start=1):
        if line.strip():
            yield number, line


def csv_rows(text: str, wanted: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """Gives the rows of a CSV file with the numbers of their lines.

    Args:
        text: of the file.
        wanted: columns of which one at least must be there, and none twice.

    Raises:
        ValueError: the first line names other columns, or a line has other cells than it; the
            message names the line.
    """
    found = lines(text)
    begin, first = next(found, (0, ""))
    names = header(first)
    fault = header_fault(begin, first)
    remedy = f"; {fault}" if fault else ""
    if names and wanted and not set(wanted) & set(names):
        expected = ", ".join(wanted)
        raise ValueError(
            f"line {begin}: expected columns among {expected}, got {first[:80]!r}{remedy}"
        )
    for name in wanted:
        if names.count(name) > 1:
            raise ValueError(f"line {begin}: expected one column {name!r}, got two; rename one")
    for number, line in found:
        try:
            row = cells(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        if len(row) != len(names):
            raise ValueError(
                f"line {number}: expected {len(names)} cells as in the first line, got"
                f" {len(row)}{remedy}"
            )
        yield number, dict(zip(names, row, strict=True))


def spellings(words: Iterable[str]) -> list[str]:
    """Returns the usual cases of words, for readers that compare exactly."""
    return sorted({each for word in words for each in (word, word.upper(), word.title())})


def moment(text: str) -> str:
    """Returns a timestamp with a date: a time of day is of the first day of 1970."""
    return f"{DAY_OF_TIMES}T{text}" if text[2:3] == ":" else text


def _number(text: str) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    if abs(number) > MAX_NUMBER:
        raise ValueError(f"expected a number, got {text!r}")
    return number


def _integer(text: str) -> int:
    if whole := _WHOLE.fullmatch(text):
        number = int(whole[1])
    elif _HEXADECIMAL.fullmatch(text):
        number = int(text, 16)
    elif _NUMBER.fullmatch(text) and float(text).is_integer():
        number = int(float(text))
    else:
        raise ValueError(f"expected a whole number, got {text!r}")
    if number not in INTEGERS:
        raise ValueError(f"expected a whole number of 64 bits, got {text!r}")
    return number


def _boolean(text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise ValueError(f"expected true or false, got {text!r}")
    return text.lower() in TRUE


def _timestamp(text: str) -> str:
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError(f"expected {EXPECTED['timestamp']}, got {text!r}")
    try:
        date.fromisoformat(moment(text)[:10])
    except ValueError as error:
        raise ValueError(f"expected a date of the calendar, got {text!r}") from error
    return text


_READ: dict[Kind, Callable[[str], Any]] = {
    "number": _number,
    "integer": _integer,
    "category": str,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "text": str,
}
