"""What a person should know of a column, in whole sentences."""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from cloud.adoption.cells import Cells
from cloud.adoption.headings import TIME_WORDS
from cloud.adoption.inference import Guess
from cloud.adoption.mixtures import is_beyond
from cloud.adoption.sample import quoted
from cloud.adoption.times import IN_DIGITS
from cloud.console import counted
from cloud.datasets.written import OR

SAME_AS_FLOAT32 = 0.5  # of a column's values, that float32 still tells apart
SHOWN = 3


def of_column(cells: Cells, guess: Guess, numbers: Sequence[float] | None) -> list[str]:
    """Returns what was taken for granted of a column, and how to say otherwise.

    Args:
        cells: of the column.
        guess: what it is.
        numbers: the number or the time of each cell; None of other columns.
    """
    found = (
        _of_digits(cells, guess, numbers),
        _of_gaps(cells, guess),
        _of_forms(cells, guess),
        _of_mixture(cells, guess),
        _of_float32(cells, guess, numbers),
    )
    return [each for each in found if each]


def of_spellings(cells: Cells, guess: Guess) -> list[str]:
    """Returns which values of a category differ only in how they are spelt."""
    if guess.kind != "category":
        return []
    forms: dict[str, list[str]] = {}
    for text in cells.values:
        form = "".join(unicodedata.normalize("NFKC", text).casefold().split())
        forms.setdefault(form, []).append(text)
    alike = [each for each in forms.values() if len(each) > 1]
    if not alike:
        return []
    shown = "; ".join(
        ", ".join(f"{text!r} ({cells.counts[text]:,})" for text in each) for each in alike[:SHOWN]
    )
    more = f"; and {len(alike) - SHOWN:,} more" if len(alike) > SHOWN else ""
    return [
        f"{cells.heading!r} has values that differ only in capitals or blanks: {shown}{more}. The"
        " model takes each for another; if they mean the same, write them alike in the files."
    ]


def _of_digits(cells: Cells, guess: Guess, numbers: Sequence[float] | None) -> str:
    digits = IN_DIGITS.get(guess.written)
    if not numbers or not digits or TIME_WORDS.search(cells.heading):
        return ""
    first, last = (
        datetime.fromtimestamp(moment, UTC).date()
        for moment in (np.nanmin(numbers), np.nanmax(numbers))
    )
    return (
        f"{cells.heading!r} holds numbers that are read as {digits}, from {first} to {last};"
        " 'kind' and 'written' in the description say otherwise."
    )


def _of_gaps(cells: Cells, guess: Guess) -> str:
    if not guess.gaps or guess.kind not in ("number", "integer", "timestamp"):
        return ""
    what = "dates or times" if guess.kind == "timestamp" else "numbers"
    words = ", ".join(map(repr, guess.gaps))
    rows = sum(cells.counts[text] for text in guess.gaps)
    return (
        f"{cells.heading!r} holds {what}, but for {words} in {counted(rows, 'cell')}, which count"
        " as gaps, as 'gaps' in the description says. If they mean something, say kind ="
        " \"category\" there, without 'gaps' and 'written'."
    )


def _of_forms(cells: Cells, guess: Guess) -> str:
    if guess.kind != "timestamp" or OR not in guess.written:
        return ""
    return (
        f"{cells.heading!r} holds dates in several forms, which are read as {guess.written};"
        " 'written' in the description says otherwise."
    )


def _of_mixture(cells: Cells, guess: Guess) -> str:
    mixed = guess.mixture
    if mixed is None:
        return ""
    are = f"{mixed.rows:,} of {counted(cells.rows, 'cell')} of {cells.heading!r} are {mixed.kind}"
    written = f" written as {OR.join(mixed.forms)}" if mixed.forms else ""
    others = ", ".join(map(repr, mixed.others))
    is_out = guess.is_id or mixed.kind == "dates"
    becomes = "is left out" if is_out else "counts as words"
    remedy = (
        f"Correct these in the files; --keep {quoted(cells.heading)} takes all for words."
        if mixed.kind == "dates"
        else 'If it is to be numbers, correct these in the files, or say kind = "number" in the'
        " description and name them in 'gaps'."
    )
    return (
        f"{are}{written}, and the others are not, or are written otherwise, such as {others}, so it"
        f" {becomes}. {remedy}"
    )


def _of_float32(cells: Cells, guess: Guess, numbers: Sequence[float] | None) -> str:
    """Says where the model, which has numbers as float32, cannot tell a column's numbers apart."""
    beyond = [] if numbers else [text for text in cells.values if is_beyond(text)]
    if beyond and cells.without(beyond).number_styles:
        return (
            f"{cells.heading!r} holds numbers beyond 3.4e38, the largest of a float32, such as"
            f" {beyond[0]!r}, and so each of its values counts as a category: write it in a larger"
            " unit, or as its logarithm."
        )
    if numbers is None or guess.kind != "number":
        return ""
    kept, told = np.unique(numbers), np.unique(np.asarray(numbers, np.float32))
    if len(told) > SAME_AS_FLOAT32 * len(kept):
        return ""
    return (
        f"{cells.heading!r} holds numbers that differ in more digits than a float32 has, such as"
        f" {guess.examples[0]}: of {len(kept):,} values the model tells {len(told):,} apart;"
        " subtract what they share."
    )
