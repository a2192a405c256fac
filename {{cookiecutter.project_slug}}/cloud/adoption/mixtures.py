"""Columns that are nearly of one kind, and what in them is of none."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cloud.adoption.cells import NUMBERS, SIGNS, Cells, reads
from cloud.adoption.headings import CODE_WORDS, ID_WORDS, LEADING_ZERO
from cloud.adoption.times import DateOrder, both_orders, forms
from cloud.datasets.written import Reader
from table_schema import values

# So many words in so many of the cells, at most, are gaps among numbers or dates.
FEW_WORDS, FEW_CELLS = 5, 0.1
# What says itself that it is no number: none, or a bound of one.
NO_VALUE = re.compile(r"\D*|[<>≤≥~]=?\s*[\d.,]+\D*")
MOSTLY = 0.8  # of the cells
TRIED = 1000  # values that tell how a column is written
SHOWN = 3


@dataclass(frozen=True)
class Mixture:
    """A column of which most cells, but not all, are of one kind.

    Attributes:
        kind: of most cells.
        rows: how many these are.
        forms: how they are written; empty for numbers.
        others: values that are of another kind, the most frequent first.
    """

    kind: str
    rows: int
    forms: tuple[str, ...]
    others: tuple[str, ...]


def gap_words(cells: Cells) -> list[str]:
    """Returns the few words in few cells, such as a note or 1e39, that may stand for gaps."""
    words = [text for text in cells.values if NO_VALUE.fullmatch(text) or is_beyond(text)]
    rows = sum(cells.counts[text] for text in words)
    few = len({word.casefold() for word in words}) <= FEW_WORDS and rows <= FEW_CELLS * cells.rows
    return words if few else []


def is_beyond(text: str) -> bool:
    """Whether a text is a number that float32 has no room for."""
    try:
        return abs(float(text)) > values.MAX_NUMBER
    except ValueError:
        return False


def mixture(cells: Cells, order: DateOrder, few: int) -> Mixture | None:
    """Returns what most cells of a column of words are; None where they are words.

    Args:
        cells: of the column.
        order: of days and months.
        few: so many values name a category each, whatever they look like.
    """
    if len(cells.values) <= few:
        return None
    digits = [text for text in cells.values if re.search(r"\d", text)]
    if sum(cells.counts[text] for text in digits) < MOSTLY * cells.rows:
        return None
    if all(map(str.isdigit, digits)):
        return None if any(map(LEADING_ZERO.fullmatch, digits)) else _numbers(cells)
    return _dates(cells, order) or _numbers(cells)


def _dates(cells: Cells, order: DateOrder) -> Mixture | None:
    both = both_orders(order)
    if not forms(cells.values[:TRIED], both[0])[0]:
        return None
    found = [forms(cells.values, each) for each in both]
    patterns, others = min(found, key=lambda each: len(each[1]))
    neither = set(found[0][1]) & set(found[1][1])
    return _mixture("dates", cells, others, neither, patterns)


def _numbers(cells: Cells) -> Mixture | None:
    names = CODE_WORDS.search(cells.heading) or ID_WORDS.search(cells.heading)
    if names or any(map(LEADING_ZERO.fullmatch, cells.values)):
        return None
    signs = [found for text in cells.values if (found := SIGNS.match(text))]
    usual = {
        name: Counter(found[name].strip() for found in signs if found[name]).most_common(1)
        for name in ("prefix", "suffix")
    }
    prefix, suffix = (usual[name][0][0] if usual[name] else "" for name in ("prefix", "suffix"))
    readers = [Reader("number", f"{prefix}{style}{suffix}") for style in NUMBERS]
    begin = cells.values[:TRIED]
    best = max(readers, key=lambda reader: sum(reads(reader, [text]) for text in begin))
    others = [text for text in cells.values if not reads(best, [text])]
    return _mixture("numbers", cells, others, others)


def _mixture(
    kind: str,
    cells: Cells,
    others: list[str],
    strange: Collection[str],
    patterns: Sequence[str] = (),
) -> Mixture | None:
    """Returns a mixture of others, of which only the strange ones are surely of another kind."""
    rows, strange_rows = (sum(cells.counts[text] for text in each) for each in (others, strange))
    if not others or strange_rows > (1 - MOSTLY) * cells.rows:
        return None
    frequent = sorted(others, key=cells.counts.__getitem__, reverse=True)
    return Mixture(kind, cells.rows - rows, tuple(patterns), tuple(frequent[:SHOWN]))
