"""What is learned: told from the values of the label's column, or refused."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloud.adoption import inference
from cloud.adoption.cells import NUMBERS, Cells
from cloud.adoption.inference import Habits
from cloud.console import counted
from cloud.datasets.written import LABEL_GAPS, label_reader, normal_form
from cloud.errors import UserError
from table_schema import values
from table_schema.columns import Label

FEW_CLASSES = 10  # whole numbers with more values are a number, not classes
MOST_CLASSES = 200
ROWS_A_CLASS = 5
STRANGE_LABELS = 0.1  # of the rows, that are no numbers in a column of numbers
SHOWN = 3  # of these
RARE = 0.1  # of the share that each class would have if all had as many rows


@dataclass(frozen=True)
class Truths:
    """The label in a sample.

    Attributes:
        values: index of the class or the number, float64 [rows], NaN where there is none.
        there: whether a row has one, bool [rows].
    """

    values: Any
    there: Any


@dataclass(frozen=True)
class Learned:
    """What is learned.

    Attributes:
        label: its description.
        truths: the label of each row of the sample.
        notes: what a person should know, in whole sentences.
    """

    label: Label
    truths: Truths
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Classes:
    """The values of a label, each in one form however it is spelt.

    Attributes:
        rows: how many have each form.
        names: how each form is spelt most often.
    """

    rows: Counter[str]
    names: dict[str, str]


def learned(cells: Cells, habits: Habits, kind: str | None, name: str) -> Learned:
    """Tells what is learned.

    Args:
        cells: of the label's column.
        habits: of the file.
        kind: `classes` or `number`, where the person has said it.
        name: of the label.

    Raises:
        UserError: it cannot be learned, or is not of that kind.
    """
    found = _classes(cells)
    has_words = any(text.casefold() not in LABEL_GAPS for text in cells.gaps)
    styles = [] if has_words else cells.number_styles
    if kind == "number" and not styles:
        strange = next((form for form in found.rows if not _is_number(form)), "")
        raise UserError(
            f"--label-kind number: expected numbers in {cells.heading!r}, got {strange!r}."
        )
    if kind is None:
        _check_numbers(cells, found)
    few = len(found.rows) == 2 or (
        len(found.rows) <= FEW_CLASSES
        and all(map(_is_whole, found.rows))
        and min(found.rows.values(), default=0) >= ROWS_A_CLASS
    )
    if styles and len(found.rows) > 1 and (kind == "number" or (kind is None and not few)):
        style = inference.number_style(styles, habits)
        written = "" if style == NUMBERS[0] else style
        notes: list[str] = []
        label = Label(name, (), cells.heading, cells.heading, written)
    else:
        label, notes = _label_of_classes(cells, name, found)
    gaps = sum(count for text, count in cells.counts.items() if text.casefold() in LABEL_GAPS)
    if gaps:
        notes.append(
            f"{counted(gaps, 'row')} of {len(cells.texts):,} looked at have no label, and are left"
            " out."
        )
    return Learned(label, _truths(cells, label), tuple(notes))


def _check_numbers(cells: Cells, found: _Classes) -> None:
    """Raises UserError where a label holds numbers, but for a few rows, whose number is unknown."""
    others = [form for form in found.rows if not _is_number(form)]
    rows, count = sum(found.rows.values()), sum(found.rows[form] for form in others)
    if others and count <= STRANGE_LABELS * rows and len(found.rows) - len(others) > FEW_CLASSES:
        named = ", ".join(repr(found.names[form]) for form in others[:SHOWN])
        raise UserError(
            f"Column {cells.heading!r} cannot be learned: it holds numbers, but"
            f" {counted(count, 'row')} of {rows:,} have {named}, which is no number that a"
            " float32 has; correct them, or empty the cells, and the rows are left out. If all are"
            " classes, say --label-kind classes."
        )


def _classes(cells: Cells) -> _Classes:
    rows: Counter[str] = Counter()
    spelt: dict[str, Counter[str]] = {}
    for text, count in cells.counts.items():
        if text.casefold() not in LABEL_GAPS:
            form = normal_form(text)
            rows[form] += count
            spelt.setdefault(form, Counter())[text] += count
    usual = {form: each.most_common(1)[0][0] for form, each in spelt.items()}
    return _Classes(rows, {form: form if _is_whole(form) else name for form, name in usual.items()})


def _label_of_classes(cells: Cells, name: str, found: _Classes) -> tuple[Label, list[str]]:
    rows, names = found.rows, found.names
    cannot = f"Column {cells.heading!r} cannot be learned"
    if len(rows) < 2:
        only = f"only {next(iter(names.values()))!r}" if names else "no value"
        empty = len(cells.texts) - sum(rows.values())
        mark = ""
        if names and empty:
            mark = f", and {counted(empty, 'gap')}; if a gap means no, write a word there"
        raise UserError(
            f"{cannot}: expected two different labels at least, got {only} in"
            f" {counted(sum(rows.values()) or empty, 'row')}{mark}."
        )
    if len(rows) > MOST_CLASSES:
        raise UserError(
            f"{cannot}: it has {len(rows):,} different values that are no numbers, such as"
            f" {next(iter(names.values()))!r}; expected {MOST_CLASSES} classes at most. Choose"
            " another column with --label."
        )
    kept = [form for form in rows if rows[form] >= ROWS_A_CLASS]
    rare = [form for form in rows if rows[form] < ROWS_A_CLASS]
    if len(kept) < 2:
        few = ", ".join(f"{names[form]!r} {count}" for form, count in rows.most_common(10))
        raise UserError(
            f"{cannot}: expected two classes of {ROWS_A_CLASS} rows at least, got {few}; bring more"
            " rows."
        )
    notes = []
    if rare:
        listed = ", ".join(f"{names[form]!r} ({rows[form]})" for form in rare)
        notes.append(f"Rows of classes with under {ROWS_A_CLASS} rows are left out: {listed}.")
    share = min(rows[form] for form in kept) / sum(rows[form] for form in kept)
    if share * len(kept) < RARE:
        notes.append(
            f"Only {share:.1%} of the rows are of the rarest class: judge the model by log loss and"
            " the precision-recall curve, not by accuracy."
        )
    classes = tuple(names[form] for form in sorted(kept, key=_order_of_classes(rows, len(kept))))
    left_out = tuple(names[form] for form in rare)
    return Label(name, classes, cells.heading, cells.heading, "", left_out), notes


def _truths(cells: Cells, label: Label) -> Truths:
    reader = label_reader(label)
    excluded = set(map(normal_form, label.left_out))
    known = {}
    for text in cells.counts:
        read = None if normal_form(text) in excluded else reader.read(text)
        if read is None:
            known[text] = np.nan
        else:
            known[text] = float(label.classes.index(read) if label.classes else read)
    found = np.array([known[text] for text in cells.texts])
    return Truths(found, ~np.isnan(found))


def _order_of_classes(counts: Counter[str], number: int) -> Callable[[str], Any]:
    """Returns the key that sorts classes: of two, the one that is looked for comes second."""
    if number != 2:
        return lambda form: (float(form) if _is_number(form) else float("inf"), form)
    words = {word: place for place, pair in enumerate((values.FALSE, values.TRUE)) for word in pair}
    if counts.keys() <= words.keys():
        return lambda form: words[form]
    if all(map(_is_number, counts)):
        return float
    return lambda form: (-counts[form], form)


def _is_whole(form: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+", form))


def _is_number(form: str) -> bool:
    try:
        return values.read("number", form) is not None
    except ValueError:
        return False
