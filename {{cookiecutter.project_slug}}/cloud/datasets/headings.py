"""Which records of a file are no rows: titles, the headings below them, and a total at the end."""

import itertools
import re
from collections.abc import Sequence

NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?%?")
TOTAL = re.compile(
    r"(grand |sub)?total|sum|summe|gesamt(summe)?|insgesamt|total général|totale", re.I
)
LOOKED_AT = 20  # records of a file's beginning, among which titles are looked for


def titles(begin: Sequence[list[str] | str]) -> int:
    """Returns how many records stand above the headings: each with one filled cell at most.

    Args:
        begin: the first records, each its cells, or why it has none.
    """
    for number, cells in enumerate(begin):
        if isinstance(cells, str):
            return 0
        if sum(bool(cell.strip()) for cell in cells) > 1:
            # In a table of two columns, one of them may have no heading.
            is_clear = len(cells) > 2 or all(len(each) == 1 for each in begin[:number])
            return number if is_clear and not look_like_values(cells) else 0
    return 0


def is_total(cells: list[str] | str) -> bool:
    """Whether a file's last record sums up the others: a word for it, and an empty cell."""
    filled = [] if isinstance(cells, str) else [cell.strip() for cell in cells if cell.strip()]
    return 0 < len(filled) < len(cells) and bool(TOTAL.fullmatch(filled[0].rstrip(":")))


def look_like_values(cells: Sequence[str]) -> bool:
    """Whether headings are rather a row: half of them are numbers, and not a series of years."""
    numbers = [cell.strip() for cell in cells if NUMBER.fullmatch(cell.strip())]
    if not numbers or 2 * len(numbers) < len(cells):
        return False
    if not all(number.isdecimal() for number in numbers):
        return True
    return len({int(b) - int(a) for a, b in itertools.pairwise(numbers)} | {0}) != 2
