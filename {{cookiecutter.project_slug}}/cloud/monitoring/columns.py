"""Each column of the rows that came beside that of the training rows, and what has changed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloud.console import amount
from cloud.monitoring.distances import THRESHOLD, by_chance, jensen_shannon
from cloud.serving.instances import Instance
from table_schema import values
from table_schema.columns import Column, Table

Values = Counter[Any]  # how many rows have each value; None is a gap

# A share of gaps or of unknown values that differs by less is no alarm, whatever chance says.
SHARE = 0.05
# A value of so many training rows comes no more, if not even one of the rows has it though chance
# would leave it out once in a million times.
VANISHED_SHARE, VANISHED_CHANCE = 0.02, 1e-6
NUMBER_BINS = 10
# Values of a category that are told apart, at most, and how many training rows, and what share of
# them, each needs: the most frequent of many rare ones are so by chance. The rest is one.
MOST_VALUES, MIN_ROWS, MIN_SHARE = 50, 10, 0.005
OTHER, UNKNOWN = "others", "unknown"
# What the share means, for those who read it.
UNKNOWN_MEANS = (
    "Unknown are values that no training row has; of numbers, and of the lengths of texts, those"
    " outside the training rows' range. A timestamp is an alarm by its gaps alone, as no day comes"
    " again; a text that is no date or time is a gap."
)


@dataclass(frozen=True)
class Limits:
    """From where on a difference is an alarm, if chance does not explain it.

    Attributes:
        distance: Jensen-Shannon divergence.
        share: of gaps, of unknown values, and of a class that is predicted.
    """

    distance: float = THRESHOLD
    share: float = SHARE


@dataclass(frozen=True)
class Bar:
    """The share of a value, or of a range of a number, in the training rows and in those now."""

    label: str
    before: float
    now: float


@dataclass(frozen=True)
class Comparison:
    """What became of a column.

    Attributes:
        name: of the column.
        kind: of it.
        about: what it holds.
        gaps: share of the training rows that have none, and of the rows now.
        unknown: share of the rows now whose value no training row has, or of numbers, and of the
            lengths of texts, outside their range.
        distance: Jensen-Shannon divergence of the values; None where they are not compared.
        chance: the largest distance that chance explains.
        bars: of the values, or ranges.
        alarms: what has changed, in sentences; none where nothing has.
    """

    name: str
    kind: str
    about: str
    gaps: tuple[float, float]
    unknown: float
    distance: float | None
    chance: float
    bars: tuple[Bar, ...]
    alarms: tuple[str, ...]


def of_instances(table: Table, found: Sequence[Instance]) -> dict[str, Values]:
    """Counts the values of each column, as the endpoint was sent them."""
    return {
        column.name: Counter(_value(column, each.get(column.name)) for each in found)
        for column in table.columns
    }


def of_texts(table: Table, counted: Mapping[str, Mapping[str, int]]) -> dict[str, Values]:
    """Counts the values of each column of a CSV file, given how many rows have each text.

    Raises:
        ValueError: a text is no value of its column's kind.
    """
    found = {}
    for column in table.columns:
        found[column.name] = Values()
        for text, rows in counted[column.name].items():
            found[column.name][_value(column, values.read(column.kind, text))] += rows
    return found


def _value(column: Column, value: Any) -> Any:
    """Returns what is compared of a value: of a text its length; None for a gap to the model."""
    is_gap = value is None or (value == column.missing_in_json and column.kind != "boolean")
    if is_gap or value == "":
        return None
    if column.kind == "text":
        return len(str(value))
    # As the model reads it: no number falls on the other side of a bin's end by rounding, and a
    # text that is no date or time is a gap.
    try:
        if column.kind == "timestamp":
            return values.read(column.kind, str(value))
        if column.kind == "number" or isinstance(value, float):
            return float(np.float32(value))
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, str | int | bool) else str(value)


def compare(
    table: Table, before: Mapping[str, Values], now: Mapping[str, Values], limits: Limits
) -> list[Comparison]:
    """Compares each column.

    Args:
        table: of both.
        before: the training rows.
        now: the rows that came.
        limits: of what is no alarm.
    """
    return [
        _compare(column, before[column.name], now[column.name], limits) for column in table.columns
    ]


def _compare(column: Column, before: Values, now: Values, limits: Limits) -> Comparison:
    labels, counts, unknown = _as_bins(column, before, now)
    known = counts.sum(axis=1)
    gaps = (_share(before[None], before.total()), _share(now[None], now.total()))
    alarms = []
    if _differ(gaps, limits.share) and _is_no_chance(
        [before[None], before.total() - before[None]], [now[None], now.total() - now[None]]
    ):
        alarms.append(f"{gaps[1]:.1%} of the rows have a gap; of the training rows {gaps[0]:.1%}.")
    new = (_share(unknown[0], known[0]), _share(unknown[1], known[1]))
    goes_on = column.kind == "timestamp"  # no day comes again
    if new[1] > new[0] + limits.share and _is_no_chance(
        [unknown[0], known[0] - unknown[0]], [unknown[1], known[1] - unknown[1]]
    ):
        what = "are outside the training rows' range" if column.kind in NUMBERS else "are unknown"
        alarms += [f"{new[1]:.1%} of the values {what}."] * (not goes_on)
    distance, chance = None, 0.0
    bars: tuple[Bar, ...] = ()
    if all(known) and not goes_on:
        distance, chance = float(jensen_shannon(*counts)), by_chance(*counts)
        if distance > limits.distance and distance > chance:
            alarms.append(
                f"The distribution has moved: a distance of {distance:.2f}; {limits.distance:g} is"
                f" the limit, and chance explains up to {chance:.2f}."
            )
        shares = counts / known[:, None]
        bars = tuple(map(Bar, labels, *shares.tolist()))
        alarms += _vanished(bars, int(known[1])) if column.kind not in NUMBERS else []
    return Comparison(
        column.name, column.kind, column.about, gaps, new[1], distance, chance, bars, tuple(alarms)
    )


NUMBERS = ("number", "text")  # a text is compared by its length


# Labels of bins, counts [2, bins] without gaps, and how many values are unknown, before and now. A
# training row counts as unknown where no other has its value: as many of the rows to come are
# expected to bring a new one (Good, The population frequencies of species, 1953).
Bins = tuple[list[str], Any, tuple[int, int]]


def _as_bins(column: Column, before: Values, now: Values) -> Bins:
    both = [
        {value: rows for value, rows in each.items() if value is not None} for each in (before, now)
    ]
    binned = numbers_in_bins if column.kind in NUMBERS else _categories
    return binned(*both)


def numbers_in_bins(before: dict[Any, int], now: dict[Any, int]) -> Bins:
    """Bins numbers by the deciles of the training rows, so that no outlier makes one bin of all."""
    if not before:
        return [], np.zeros((2, 0)), (0, 0)
    known = sorted(before)
    reached = np.cumsum([before[value] for value in known])
    places = np.searchsorted(reached, reached[-1] * np.arange(1, NUMBER_BINS) / NUMBER_BINS)
    ends = sorted({known[place] for place in places} - {known[-1]})
    counts = np.zeros((2, len(ends) + 1))
    for row, found in enumerate((before, now)):
        for value, rows in found.items():
            counts[row, np.searchsorted(ends, value)] += rows
    written = [amount(end) for end in (known[0], *ends, known[-1])]
    labels = [f"up to {end}" for end in written[1:-1]] + [f"above {written[-2]}"]
    outside = sum(rows for value, rows in now.items() if not known[0] <= value <= known[-1])
    return labels, counts, (sum(before[end] == 1 for end in (known[0], known[-1])), outside)


def _categories(before: dict[Any, int], now: dict[Any, int]) -> Bins:
    enough = max(MIN_ROWS, MIN_SHARE * sum(before.values()))
    frequent = [value for value, rows in before.items() if rows >= enough]
    told = sorted(frequent, key=lambda value: (-before[value], str(value)))[:MOST_VALUES]
    counts = np.zeros((2, len(told) + 2))
    places = {value: place for place, value in enumerate(told)}
    for row, found in enumerate((before, now)):
        for value, rows in found.items():
            is_new = (rows == 1) if found is before else value not in before
            counts[row, places.get(value, len(told) + is_new)] += rows
    labels = [*map(str, told), OTHER, UNKNOWN]
    unknown = int(counts[0, -1]), int(counts[1, -1])
    used = np.flatnonzero(counts.any(axis=0))
    return [labels[place] for place in used], counts[:, used], unknown


def _vanished(bars: Sequence[Bar], rows: int) -> list[str]:
    return [
        f"{each.label!r}, {each.before:.1%} of the training rows, comes no more."
        for each in bars
        if each.now == 0
        and each.before >= VANISHED_SHARE
        and (1 - each.before) ** rows < VANISHED_CHANCE
    ]


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _differ(shares: tuple[float, float], limit: float) -> bool:
    return abs(shares[0] - shares[1]) > limit


def _is_no_chance(before: Sequence[float], now: Sequence[float]) -> bool:
    counts = np.array([before, now], float)
    return float(jensen_shannon(*counts)) > by_chance(*counts)
