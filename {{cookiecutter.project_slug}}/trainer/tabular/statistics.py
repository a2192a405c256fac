"""What the training rows say about each column: one vectorised pass, block by block."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from table_schema.columns import ID_ROWS, Column, Table, is_id
from trainer.errors import UserError
from trainer.tabular import texts, timestamps
from trainer.tabular.data import Array, Rows

COUNTED = 1_000_000  # distinct values of a column from which on it is counted no further
BIN_ROWS = 48  # of a number's bin, at least: of fewer it learns their chance
FEW_BINS = 8  # of a number of many rows, as each costs time in each row
MANY_ROWS = 100_000
SAMPLED = 50_000  # values of a number, at least, that its bins are made of where there are more
AN_ID = (
    "has a different value in almost every row: the model cannot learn from an id; remove it from"
    " its description in trainer/tables/."
)


@dataclass(frozen=True)
class Statistics:
    """What preprocessing, the network and its head take from the training rows; saved as JSON.

    Attributes:
        mean: of each number column, in its own unit; of each timestamp, in days after its
            reference.
        scale: its standard deviation; 1 for a constant column.
        has_gaps: whether it has gaps, which then are a feature of their own.
        vocabulary: values of each category and integer column that are frequent enough, the most
            frequent first; the code of a value is its place, from 1. Of a timestamp `when` also
            `when.month`, `when.weekday` and `when.hour`, where there are two such values or more.
        references: of each timestamp a day near the middle, in days since 1970-01-01.
        dates: first and last day of each timestamp that has any, such as 2013-01-31.
        words: words and pairs of words of each text that are frequent enough, the most frequent
            first, with what each weighs: the logarithm of one in how many rows has it.
        lengths: codes that the network takes of a row of each text, at most.
        ranges: smallest and largest value of each number column that has any.
        bins: of each number column and timestamp, where one bin ends and the next begins, from its
            smallest to its largest value, in the unit of `mean`; as many rows are in each.
        buckets: codes of each category and integer column that the description gives buckets, or
            that has too many values for a vocabulary; the code is a hash of the value.
        rows: how many there are.
        class_rows: how many there are of each class; empty where the label is a number.
        label_mean: of a label that is a number, in its own unit.
        label_scale: its standard deviation.
        warnings: what a person should know about columns that can teach nothing.
    """

    mean: dict[str, float]
    scale: dict[str, float]
    has_gaps: dict[str, bool]
    vocabulary: dict[str, list[Any]]
    buckets: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    class_rows: tuple[int, ...] = ()
    label_mean: float = 0.0
    label_scale: float = 1.0
    warnings: tuple[str, ...] = ()
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    references: dict[str, int] = field(default_factory=dict)
    dates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: dict[str, dict[str, float]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    bins: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def told(self, column: Column) -> str:
        """Says what the network gets of a column."""
        name = column.name
        if column.kind == "boolean":
            return "0 or 1"
        if column.kind == "text":
            return (
                f"the {self.lengths[name]} rarest, of each row, of {len(self.words[name]):,} words"
                f" and pairs of words that {texts.MIN_ROWS} training rows or more have"
            )
        if column.kind in ("category", "integer"):
            if name in self.buckets:
                return f"one of {self.buckets[name]:,} codes, the value's hash"
            return f"one of {len(self.vocabulary[name]):,} known values"
        gaps = ", and whether it is a gap" if self.has_gaps[name] else ""
        if column.kind == "number":
            bins = max(1, len(self.bins.get(name, ())) - 1)
            return f"the number in standard deviations, and its place in {bins} bins{gaps}"
        parts = [part for part in timestamps.PARTS if f"{name}.{part}" in self.vocabulary]
        return f"{', '.join(['days', *parts])} as written, time zones not converted{gaps}"

    def codes(self, name: str) -> int:
        """Returns how many codes a category or integer column has, 0 for a gap among them."""
        return 1 + (self.buckets.get(name) or len(self.vocabulary[name]))


def measure(
    blocks: Iterable[Rows],
    table: Table,
    min_count: int,
    max_vocabulary: int = COUNTED,
    bins: int = FEW_BINS,
) -> Statistics:
    """Measures the training rows, and never any others.

    Args:
        blocks: the rows, each once.
        table: their columns.
        min_count: rows a value needs for a code of its own; below 1, `enough` of all rows.
        max_vocabulary: values a vocabulary has at most; a column of more is hashed, and one that
            the description gives buckets.
        bins: that a number has at most; below 1, as many as `affordable_bins` says.

    Raises:
        UserError: all labels are the same.
    """
    kinds = {column.name: column.kind for column in table.columns}
    dated = [name for name, kind in kinds.items() if kind == "timestamp"]
    numbers = {
        name: _Moments(may_be_id=kind == "number")
        for name, kind in kinds.items()
        if kind in ("number", "timestamp")
    }
    categories = {
        column.name: _Counts(column.missing)
        for column in table.columns
        if column.kind in ("integer", "category")
    }
    parts = {f"{name}.{part}": _Counts(-1) for name in dated for part in timestamps.PARTS}
    words = {name: texts.Counts() for name, kind in kinds.items() if kind == "text"}
    labels = _Moments()
    class_rows = np.zeros(len(table.label.classes), np.int64)
    for block in blocks:
        values = dict(block.features)
        for name in dated:
            values |= _parts(name, values[name])
        for name, moments in numbers.items():
            moments.add(values[name])
        for name, counts in (categories | parts | words).items():
            counts.add(values[name])
        labels.add(block.labels)
        if len(class_rows):
            class_rows += np.bincount(block.labels, minlength=len(class_rows))
    if not labels.scale:
        told = ", as float32 tells numbers apart" if not table.label.classes else ""
        raise UserError(
            f"Expected different values in column {table.label.name!r} of the training rows, got"
            f" one value in all {labels.rows:,}{told}; add rows with other values."
        )
    if min_count < 1:
        min_count = enough(labels.rows)
    if bins < 1:
        bins = affordable_bins(labels.rows)
    vocabulary = {name: counts.frequent(min_count) for name, counts in categories.items()}
    buckets = {column.name: column.buckets for column in table.columns if column.buckets}
    buckets |= {
        name: max_vocabulary
        for name, values in vocabulary.items()
        if len(values) > max_vocabulary and name not in buckets
    }
    vocabulary = {name: [] if name in buckets else each for name, each in vocabulary.items()}
    frequent = {name: counts.frequent(min_count) for name, counts in parts.items()}
    vocabulary |= {name: values for name, values in frequent.items() if len(values) > 1}
    frequent_words = {name: counts.frequent() for name, counts in words.items()}
    references = {name: round(numbers[name].mean) for name in dated}
    ranges = {name: moments.range for name, moments in numbers.items() if moments.rows}
    warnings = {name: moments.fault(labels.rows) for name, moments in numbers.items()}
    warnings |= {name: counts.fault(labels.rows) for name, counts in categories.items()}
    warnings |= {name: counts.fault() for name, counts in words.items()}
    return Statistics(
        mean={name: each.mean - references.get(name, 0) for name, each in numbers.items()},
        scale={name: moments.scale or 1.0 for name, moments in numbers.items()},
        has_gaps={name: moments.rows < labels.rows for name, moments in numbers.items()},
        vocabulary=vocabulary,
        buckets=buckets,
        ranges={name: ends for name, ends in ranges.items() if name not in dated},
        bins={
            name: moments.bins(bins, references.get(name, 0)) for name, moments in numbers.items()
        },
        references=references,
        words={
            name: {word: math.log((1 + labels.rows) / (1 + rows)) for word, rows in each.items()}
            for name, each in frequent_words.items()
        },
        lengths={name: counts.length() for name, counts in words.items()},
        dates={name: _dates(*ranges[name]) for name in dated if name in ranges},
        rows=labels.rows,
        class_rows=tuple(class_rows.tolist()),
        label_mean=0.0 if table.label.classes else labels.mean,
        label_scale=1.0 if table.label.classes else labels.scale,
        warnings=tuple(f"Column {name!r} {fault}" for name, fault in warnings.items() if fault),
    )


def enough(rows: int) -> int:
    """Returns how many of so many training rows a category needs to count as known."""
    return 2 if rows < 2_000 else 5 if rows < 20_000 else 10


def affordable_bins(rows: int) -> int:
    """Returns how many bins of a number so many training rows leave time for."""
    return FEW_BINS if rows >= MANY_ROWS else 32


def _parts(name: str, values: Array) -> dict[str, Array]:
    """Returns a timestamp's days since 1970-01-01 by its name, and its categories by theirs."""
    found = timestamps.parts(values)
    return {name: timestamps.days(found)} | {
        f"{name}.{part}": found[part].numpy() for part in timestamps.PARTS
    }


def _dates(*days: float) -> tuple[str, ...]:
    """Writes days since 1970-01-01, such as 2013-01-31."""
    return tuple((date(1970, 1, 1) + timedelta(math.floor(day))).isoformat() for day in days)


class _Moments:
    """Mean and standard deviation of a number, merged block by block.

    Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing
    sample variances (1979).
    """

    def __init__(self, may_be_id: bool = False) -> None:
        self.rows = 0
        self.mean = 0.0
        self.range = (math.inf, -math.inf)
        self._squares = 0.0  # sum of the squared distances from the mean
        self._may_be_id = may_be_id
        self._sample: list[Array] = []  # every so many-th known value
        self._step = 1

    @property
    def scale(self) -> float:
        """The standard deviation; 0 where float32, in which the network divides, has no other."""
        found = math.sqrt(self._squares / self.rows) if self.rows else 0.0
        return found if found >= np.finfo(np.float32).tiny else 0.0

    def add(self, values: Array) -> None:
        known = values[np.isfinite(values)].astype(np.float64)
        if not len(known):
            return
        mean, rows = float(known.mean()), self.rows + len(known)
        apart = mean - self.mean
        self._squares += float(((known - mean) ** 2).sum())
        self._squares += apart**2 * self.rows * len(known) / rows
        self.mean += apart * len(known) / rows
        self._sample.append(known[-self.rows % self._step :: self._step])
        if sum(map(len, self._sample)) > 2 * SAMPLED:
            self._sample, self._step = [np.concatenate(self._sample)[::2]], 2 * self._step
        low, high = self.range
        self.range = (min(low, float(known.min())), max(high, float(known.max())))
        self.rows = rows
        if self._may_be_id:
            whole = bool((known == np.floor(known)).all())
            self._may_be_id = whole and len(np.unique(known)) == len(values)

    def bins(self, most: int, reference: float) -> tuple[float, ...]:
        """Returns the ends of bins of as many rows, fewer where many rows have one value."""
        if not self.rows:
            return ()
        shares = np.linspace(0, 1, 1 + max(1, min(most, self.rows // BIN_ROWS)))
        found = np.quantile(np.concatenate(self._sample), shares)
        found[[0, -1]] = self.range
        return tuple(np.unique(found - reference).tolist())

    def fault(self, rows: int) -> str:
        if not self.rows or not self.scale:
            return _nothing_new(bool(self.rows))
        return AN_ID if self._may_be_id and rows >= ID_ROWS else ""


class _Counts:
    """How many rows have each value of a category or integer column."""

    def __init__(self, missing: Any) -> None:
        self._missing = missing
        self._counts: Counter[Any] = Counter()

    def add(self, values: Array) -> None:
        if len(self._counts) > COUNTED:
            return  # bounds the memory that an id in disguise takes
        counted = pa.array(values).value_counts()
        found = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))
        found.pop(self._missing, None)
        self._counts.update(found)

    def frequent(self, min_count: int) -> list[Any]:
        """Returns the values of so many rows, the most frequent first."""
        kept = sorted(value for value, count in self._counts.items() if count >= min_count)
        return sorted(kept, key=self._counts.__getitem__, reverse=True)

    def fault(self, rows: int) -> str:
        if len(self._counts) < 2:
            return _nothing_new(bool(self._counts))
        return AN_ID if is_id(len(self._counts), rows) else ""


def _nothing_new(has_values: bool) -> str:
    values = "only one value" if has_values else "no values"
    return f"has {values} in the training rows, so the model cannot learn from it."
