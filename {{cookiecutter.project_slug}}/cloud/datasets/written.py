"""How a person's own file writes values, and what the CSV files of the data set have for them.

A column's `written` says it, by an example or a pattern:

- a number: how the file would write 1234.5, such as `1.234,5`, `$1,234.5`, `1 234,5 %`; one below
  zero may have its minus before or after it, or stand in parentheses;
- a timestamp: directives of `strptime` such as `%d.%m.%Y %H:%M` or `%I:%M %p`, or `epoch s`, or
  `epoch ms`, which are read as UTC; several with ` or ` between are tried in their order;
- a boolean: the one word that means true where a gap means false, such as `X`;
- empty: as `table_schema/values.py` reads it.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from table_schema import values
from table_schema.columns import Column, Kind, Label

EPOCHS = {"epoch s": 1, "epoch ms": 1000}
OR = " or "  # between the ways in which one column writes times
# Words for a label that is missing.
LABEL_GAPS = (*values.GAPS, "?", "-", "--", ".")
BLANKS = " \u00a0\u2009\u202f"  # between thousands: they look the same
EXAMPLE = re.compile(
    rf"(?P<prefix>[^\d+-]*)1(?P<thousands>[.,'{BLANKS}]?)234((?P<decimal>[.,])5)?(?P<suffix>\D*)"
)


class CellError(ValueError):
    """A cell is not written as its column is.

    Args:
        index: of the cell among those that were read.
        text: of the cell.
        expected: what it should be.
    """

    def __init__(self, index: int, text: str, expected: str) -> None:
        super().__init__(f"expected {expected}, got {text[:60]!r}")
        self.index = index


class Reader:
    """Reads the cells of one column of a person's own file.

    Args:
        kind: of the column.
        written: how the file writes it.
        gaps: words for a missing value beside those of `table_schema/values.py`.
        read: reads a cell that is no gap, in place of what `written` says.

    Attributes:
        expected: what a cell should be, in words.

    Raises:
        ValueError: `written` is not for columns of this kind, or not understood.
    """

    def __init__(
        self,
        kind: Kind,
        written: str = "",
        gaps: Sequence[str] = (),
        read: Callable[[str], str | None] | None = None,
    ) -> None:
        self.expected = values.EXPECTED[kind] + (f" written as {written!r}" if written else "")
        words = {word.casefold() for word in gaps}
        self._gaps = words | ({""} if kind in ("category", "text") else set(values.GAPS))
        self._is_plain = kind == "number" and not written
        self._read = read or _reader(kind, written)

    def read(self, text: str) -> str | None:
        """Returns a cell as the CSV files have it; None where it is a gap.

        Raises:
            ValueError: it is not written so.
        """
        text = text.strip()
        return None if text.casefold() in self._gaps else self._read(text)

    def read_all(self, texts: Sequence[str]) -> Any:
        """Returns cells as an Arrow array of texts, with nulls for gaps.

        Raises:
            CellError: one is not written so.
        """
        import pyarrow as pa

        if self._is_plain and (found := self._plain_numbers(texts)) is not None:
            return found
        known: dict[str, str | None] = {}
        for index, text in enumerate(texts):
            if text not in known:
                try:
                    known[text] = self.read(text)
                except ValueError as error:
                    raise CellError(index, text, self.expected) from error
        return pa.array([known[text] for text in texts], pa.string())

    def _plain_numbers(self, texts: Sequence[str]) -> Any | None:
        """Returns numbers that are written as usual, many at once; None where one is not."""
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = pc.utf8_trim_whitespace(pa.array(texts, pa.string()))
        gaps = pc.is_in(pc.utf8_lower(cells), pa.array(sorted(self._gaps)))
        cells = pc.if_else(gaps, pa.scalar(None, pa.string()), cells)
        try:
            numbers = pc.cast(cells, pa.float32())
        except pa.ArrowInvalid:
            return None
        return cells if pc.all(pc.is_finite(numbers)).as_py() in (True, None) else None


def reader(column: Column) -> Reader:
    """Returns the reader of a column of a person's own file."""
    return Reader(column.kind, column.written, column.gaps)


def label_reader(label: Label) -> Reader:
    """Returns the reader of the label, whose classes are found whatever their case is."""
    if not label.classes:
        return Reader("number", label.written, LABEL_GAPS)
    known = {normal_form(name): name for name in reversed(label.classes)}
    known |= {name: name for name in label.classes}

    def read(text: str) -> str:
        found = known.get(text) or known.get(normal_form(text))
        if found is None:
            raise ValueError(text)
        return found

    made = Reader("category", gaps=LABEL_GAPS, read=read)
    made.expected = f"a class of {', '.join(label.classes[:10])}"
    return made


def normal_form(name: str) -> str:
    """Returns what all spellings of a class have in common: other capitals, and 1 as 1.0."""
    return re.sub(r"^([+-]?\d+)\.0*$", r"\1", name.strip()).casefold()


def _reader(kind: Kind, written: str) -> Any:
    """Returns the function that reads a cell which is no gap."""
    if kind == "number" and written:
        return _number_reader(written)
    if kind == "timestamp" and written:
        return _time_reader(written)
    if kind == "boolean" and written:
        return _mark_reader(written)
    if written:
        raise ValueError(f"expected no 'written' of a column of kind {kind}, got {written!r}")
    if kind in ("category", "text"):
        return lambda text: " ".join(text.split()) if "\n" in text or "\r" in text else text

    def read(text: str) -> str | None:
        value = values.read(kind, text)
        if value is None or kind in ("number", "timestamp"):
            return text
        return str(value).lower() if kind == "boolean" else str(value)

    return read


def _number_reader(written: str) -> Any:
    """Returns what reads numbers that are written as an example of 1234.5.

    Raises:
        ValueError: it is no such example.
    """
    example = EXAMPLE.fullmatch(written)
    if not example:
        raise ValueError(
            f"expected 'written' to be how the file writes 1234.5, such as '1.234,5', got"
            f" {written!r}"
        )
    thousands = example["thousands"]
    decimal = example["decimal"] or ("," if thousands == "." else ".")
    if thousands == decimal:
        raise ValueError(f"expected two different marks in {written!r}")
    between = f"[{re.escape(BLANKS if thousands in BLANKS and thousands else thousands)}]"
    grouped = rf"\d{{1,3}}({between}\d{{3}})+|" if thousands else ""
    fraction = rf"({re.escape(decimal)}\d*)?([eE][+-]?\d+)?"
    pattern = re.compile(rf"({grouped}\d+){fraction}|{re.escape(decimal)}\d+")
    affixes = [example[name].strip() for name in ("prefix", "suffix")]

    def read(text: str) -> str:
        text = _with_minus_first(text)
        sign = "-" if "-" in (text[:1], text.removeprefix(affixes[0]).lstrip()[:1]) else ""
        plain = text.lstrip("+-").strip().removeprefix(affixes[0]).removesuffix(affixes[1]).strip()
        plain = plain.lstrip("+-")
        if not pattern.fullmatch(plain):
            raise ValueError(f"expected a number written as {written!r}, got {text!r}")
        for mark in BLANKS + "'" + ("." if decimal == "," else ","):
            plain = plain.replace(mark, "")
        found = sign + plain.replace(decimal, ".")
        values.read("number", found)
        return found

    return read


def _mark_reader(written: str) -> Any:
    def read(text: str) -> str:
        if text.casefold() != written.casefold():
            raise ValueError(f"expected {written!r} or nothing, got {text!r}")
        return "true"

    return read


def _with_minus_first(text: str) -> str:
    """Returns a number below zero as -5, that SAP writes as 5-, and accountants as (5)."""
    text = text.replace("\N{MINUS SIGN}", "-")
    if text.startswith("(") and text.endswith(")"):
        return f"-{text[1:-1].strip()}"
    return f"-{text[:-1].strip()}" if text.endswith("-") else text


def _time_reader(written: str) -> Any:
    """Returns what reads timestamps that are written by a pattern.

    Raises:
        ValueError: it is no pattern.
    """
    if OR in written:
        readers = [_time_reader(each.strip()) for each in written.split(OR)]

        def read_any(text: str) -> str:
            for read_one in readers:
                try:
                    return str(read_one(text))
                except ValueError:
                    continue
            raise ValueError(text)

        return read_any
    if written in EPOCHS:
        scale = EPOCHS[written]

        def read_epoch(text: str) -> str:
            seconds = float(values.read("number", text)) / scale
            try:
                return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(" ")
            except (OverflowError, OSError) as error:
                raise ValueError(text) from error

        return read_epoch
    if "%" not in written:
        raise ValueError(
            f"expected 'written' to be directives of strptime, such as '%d.%m.%Y', or"
            f" {' or '.join(map(repr, EPOCHS))}, got {written!r}"
        )
    has_time = re.search("%[HIMSfcX]", written)
    has_date = re.search("%[YymdbBjcx]", written)

    def read(text: str) -> str:
        found = datetime.strptime(text, written)
        if not has_date:
            return found.time().isoformat()
        return found.isoformat(" ") if has_time else found.date().isoformat()

    return read
