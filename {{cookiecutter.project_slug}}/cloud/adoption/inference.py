"""What a column of a person's own file is, told from a sample of its cells."""

import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from cloud.adoption.cells import NUMBERS, OTHER_GAPS, ROWS_A_VALUE, Cells, reads
from cloud.adoption.headings import CODE_WORDS, ID_WORDS, LEADING_ZERO, NUMBER_WORDS, ROW_WORDS
from cloud.adoption.mixtures import Mixture, gap_words, mixture
from cloud.adoption.times import CLOCK, DateOrder, other_order, time_pattern
from cloud.datasets.written import Reader
from table_schema import values
from table_schema.columns import Kind

# Those that are no category either: NA may be Namibia, and unknown is an answer.
CATEGORY_GAPS = ("?", "-", "--", ".", "n/a", "#n/a", "<na>", "nan", "null")
HEXADECIMAL = re.compile("0[xX][0-9a-fA-F]+")

# A whole number with so few values, each of so many rows, names a category.
FEW_VALUES = 12
STRANGE_SHARE = 0.02  # of the cells, that are never worth a category
VOCABULARY = 1000  # with more values a category is hashed
MAX_BUCKETS = 1 << 17
# Numbers that were given in turn, such as those of orders.
MANY_TURNS, TURN_SPAN, SMALL = 100, 10, 2200
WORDS_OF_TEXT = 3  # on average, from which on a text is free text


@dataclass(frozen=True)
class Guess:
    """What a column is.

    Attributes:
        kind: of the column, as `table_schema/columns.py` knows it.
        why: the reason, in words.
        written: how the file writes its values, as a description says it.
        gaps: words for a missing value that only this column has.
        buckets: of a hashed category; 0 for a vocabulary.
        missing: how many cells of the sample are gaps.
        distinct: how many values the others have.
        examples: the most frequent values, as the file writes them.
        is_id: whether each row has a value of its own that means nothing else.
        other_order: whether the days and months of its dates may be the other way round.
        mixture: what most of its cells are, where it counts as words because of the others.
    """

    kind: Kind
    why: str
    written: str = ""
    gaps: tuple[str, ...] = ()
    buckets: int = 0
    missing: int = 0
    distinct: int = 0
    examples: tuple[str, ...] = ()
    is_id: bool = False
    other_order: bool = False
    mixture: Mixture | None = None

    @property
    def is_dated(self) -> bool:
        """Whether its values are moments, by which rows can be put in order."""
        return self.kind == "timestamp" and not CLOCK.fullmatch(self.examples[0])


@dataclass(frozen=True)
class Habits:
    """How a file writes what its single cells leave open.

    Attributes:
        decimal_comma: whether `1,234` is less than two.
        dates: whether days or months come first.
    """

    decimal_comma: bool
    dates: DateOrder = "d/m"


def habits(columns: Collection[Cells], delimiter: str | None, dates: DateOrder | None) -> Habits:
    """Returns how a file writes what single columns leave open."""
    commas = points = 0
    for cells in columns:
        styles = cells.number_styles if "," in "".join(cells.values[:1000]) else []
        kinds = {"1234,5" in style or "1.234,5" in style for style in styles}
        commas += kinds == {True}
        points += kinds == {False}
    return Habits(commas > points or (commas == points and delimiter == ";"), dates or "d/m")


def guess(cells: Cells, habits: Habits) -> Guess:
    """Tells what a column is."""
    cells, found = _kind_without_words(cells, habits)
    is_words = found.kind in ("category", "text")
    mixed = mixture(cells, habits.dates, FEW_VALUES) if is_words and cells.values else None
    missing = len(cells.texts) - sum(cells.counts[text] for text in _values_of(cells, found))
    examples = [text for text, _count in cells.counts.most_common(20) if text not in cells.gaps]
    return replace(
        found,
        missing=missing,
        distinct=len(cells.values),
        examples=tuple(examples[:3]),
        mixture=mixed,
    )


def _kind_without_words(cells: Cells, habits: Habits) -> tuple[Cells, Guess]:
    """Takes the few words among numbers or dates for gaps, and tells the kind of the others.

    Few different numbers name a category, to which a word that is not rare may belong.
    """
    found = _kind(cells, habits)
    words = gap_words(cells) if found.kind in ("category", "text") else []
    if not words:
        return cells, found
    others = cells.without(words)
    other = _kind(others, habits)
    is_rare = cells.rows - others.rows <= STRANGE_SHARE * cells.rows
    is_measured = other.kind in ("number", "timestamp") and len(others.values) > FEW_VALUES
    fits = is_measured or (is_rare and other.kind in ("number", "timestamp", "integer"))
    return (others, other) if fits else (cells, found)


def _values_of(cells: Cells, found: Guess) -> Collection[str]:
    if found.kind not in ("category", "text"):
        return cells.values
    words = {word.casefold() for word in found.gaps} | {""}
    return [text for text in cells.counts if text.casefold() not in words]


def _kind(cells: Cells, habits: Habits) -> Guess:
    if not cells.values:
        return Guess("category", "has no values")
    found = (ask(cells, habits) for ask in (_truth, _mark, _time, _number, _hexadecimal, _words))
    return next(each for each in found if each is not None)


def _truth(cells: Cells, _habits: Habits) -> Guess | None:
    lowered = {text.casefold() for text in cells.values}
    # The trainer takes a gap for false, so a column with gaps is something else.
    is_truth = lowered <= set(values.TRUE + values.FALSE)
    has_both = lowered & set(values.TRUE) and lowered & set(values.FALSE)
    if cells.rows < len(cells.texts) or not is_truth or not has_both:
        return None
    return Guess("boolean", " and ".join(sorted(lowered)))


def _mark(cells: Cells, _habits: Habits) -> Guess | None:
    """A word such as X in some rows, and nothing in the others."""
    [word, *others] = cells.values
    if others or cells.gaps != {""} or not word.isalpha():
        return None
    return Guess("boolean", f"{word} or nothing", written=word)


def _time(cells: Cells, habits: Habits) -> Guess | None:
    written = time_pattern(cells, habits.dates)
    if written is None:
        return None
    other = other_order(written)
    what = "times of day" if CLOCK.fullmatch(cells.values[0]) else "dates"
    return Guess(
        "timestamp",
        f"{what} such as {cells.values[0]}",
        written=written,
        gaps=_number_gaps(cells),
        other_order=bool(other) and reads(Reader("timestamp", other), cells.values),
    )


def _number(cells: Cells, habits: Habits) -> Guess | None:
    styles = cells.number_styles
    is_code = CODE_WORDS.search(cells.heading) and all(map(str.isdigit, cells.values))
    if not styles or is_code or any(map(LEADING_ZERO.fullmatch, cells.values)):
        return None
    gaps = _number_gaps(cells)
    style = number_style(styles, habits)
    written = "" if style == NUMBERS[0] else style
    reader = Reader("number", written)
    numbers = [float(reader.read(text) or "nan") for text in cells.values]
    if not all(number.is_integer() and int(number) in values.INTEGERS for number in numbers):
        return Guess("number", "numbers", written=written, gaps=gaps)
    names = bool(ID_WORDS.search(cells.heading))
    of_row = ROW_WORDS.search(cells.heading) or _are_row_numbers(numbers)
    is_named = names or of_row or NUMBER_WORDS.search(cells.heading)
    if cells.all_differ and (is_named or _are_given_in_turn(numbers)):
        return Guess("integer", "differs in every row", gaps=gaps, is_id=True)
    often = min(cells.counts[text] for text in cells.values) >= ROWS_A_VALUE
    if not written and often and len(set(numbers)) <= FEW_VALUES:
        return Guess("integer", f"{len(set(numbers))} whole numbers", gaps=gaps)
    if not written and names and max(map(abs, numbers)) > 1 << 24:
        buckets = _buckets(len(cells.values))
        return Guess("integer", "numbers that name something", gaps=gaps, buckets=buckets)
    return Guess("number", "whole numbers", written=written, gaps=gaps)


def _hexadecimal(cells: Cells, _habits: Habits) -> Guess | None:
    if not all(HEXADECIMAL.fullmatch(text) for text in cells.values):
        return None
    if max(int(text, 16) for text in cells.values) not in values.INTEGERS:
        return None
    gaps = _number_gaps(cells)
    buckets = _buckets(len(cells.values))
    why = "hexadecimal numbers"
    return Guess("integer", why, gaps=gaps, buckets=buckets, is_id=cells.all_differ)


def _words(cells: Cells, _habits: Habits) -> Guess:
    gaps = tuple(sorted(text for text in cells.gaps if text.casefold() in CATEGORY_GAPS))
    words = sum(len(text.split()) * cells.counts[text] for text in cells.values) / cells.rows
    if words >= WORDS_OF_TEXT and len(cells.values) > max(FEW_VALUES, 0.3 * cells.rows):
        return Guess("text", f"{words:.0f} words a row", gaps=gaps)
    if len(cells.values) > 0.9 * cells.rows > ROWS_A_VALUE:
        return Guess("category", "differs in nearly every row", gaps=gaps, is_id=True)
    buckets = _buckets(len(cells.values))
    why = f"{len(cells.values):,} values" + (", hashed" if buckets else "")
    return Guess("category", why, gaps=gaps, buckets=buckets)


def number_style(styles: list[str], habits: Habits) -> str:
    """Returns the one of several ways to read numbers that a file's other columns suggest."""
    # Without a mark that could be either, the plain way fits as well.
    if styles[0] == NUMBERS[0] and not _is_open(styles):
        return styles[0]
    fitting = [style for style in styles if _has_decimal_comma(style) == habits.decimal_comma]
    return (fitting or styles)[0]


def _is_open(styles: list[str]) -> bool:
    """Whether numbers read otherwise where a comma is the decimal mark."""
    return NUMBERS[0] in styles and "1.234,5" in styles and "1234,5" not in styles


def _has_decimal_comma(style: str) -> bool:
    return "234,5" in style


def _are_row_numbers(numbers: Sequence[float]) -> bool:
    return numbers[0] in (0, 1) and {b - a for a, b in itertools.pairwise(numbers)} == {1.0}


def _are_given_in_turn(numbers: Sequence[float]) -> bool:
    """Whether many different whole numbers lie so close that none can be there by chance.

    Years and ranks do so as well, which are small.
    """
    span = max(numbers) - min(numbers)
    return len(numbers) >= MANY_TURNS and min(numbers) > SMALL and span < TURN_SPAN * len(numbers)


def _buckets(distinct: int) -> int:
    """Returns so many codes for so many values, or 0 where each gets its own."""
    if distinct <= VOCABULARY:
        return 0
    return min(1 << (distinct - 1).bit_length(), MAX_BUCKETS)


def _number_gaps(cells: Cells) -> tuple[str, ...]:
    known = (text for text in cells.gaps if text.casefold() in OTHER_GAPS)
    return tuple(sorted({*known, *cells.strange}))
