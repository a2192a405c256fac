"""What the model answered over time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np

from cloud.monitoring.columns import Limits, numbers_in_bins
from cloud.monitoring.distances import by_chance, jensen_shannon
from cloud.monitoring.request_log import Logged
from cloud.serving.prediction import outputs
from table_schema.columns import Label

MIN_ROWS = 20  # of a period, as a mean of all
MOST_PERIODS = 60
UNITS = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(weeks=1),
    timedelta(weeks=4),
)
MONDAY = datetime(1970, 1, 5, tzinfo=UTC)  # so that days begin at midnight and weeks on it
QUANTILES = {"10 %": 0.1, "median": 0.5, "90 %": 0.9}
OTHER = "no class of the table"


@dataclass(frozen=True)
class Period:
    """The predictions of a minute, an hour, a day or the like.

    Attributes:
        begin: of the period.
        end: of it.
        rows: how many predictions there are.
        shares: of each class; of a number its quantiles, in place of them.
    """

    begin: datetime
    end: datetime
    rows: int
    shares: dict[str, float]


def over_time(label: Label, logged: Sequence[Logged]) -> list[Period]:
    """Returns what was predicted in each period that had predictions, the oldest first.

    Periods are as short as leaves enough rows in them, and not too many.
    """
    if not logged:
        return []
    for unit in UNITS:
        periods = _in_periods(logged, unit)
        span = periods[-1][0] - periods[0][0] + 1
        rows = len(logged) / len(periods)
        if span <= MOST_PERIODS and (rows >= MIN_ROWS or len(periods) == 1):
            break
    return [
        Period(
            MONDAY + number * unit,
            MONDAY + (number + 1) * unit,
            len(part),
            shares(label, Counter(map(_answer, part))),
        )
        for number, part in periods
    ]


def _in_periods(logged: Sequence[Logged], unit: timedelta) -> list[tuple[int, list[Logged]]]:
    """Returns the predictions of each period that has some, with its number."""
    numbered = groupby(logged, lambda each: (each.time - MONDAY) // unit)
    return [(number, list(part)) for number, part in numbered]


def shares(label: Label, found: Mapping[Any, int]) -> dict[str, float]:
    """Returns the shares of classes, or the quantiles of numbers; nothing of nothing.

    Args:
        label: what is predicted.
        found: how many rows have each class, or each number.
    """
    if label.classes:
        whole = sum(found.values())
        known = {name: found.get(name, 0) / whole for name in label.classes} if whole else {}
        other = 1 - sum(known.values())
        return known | ({OTHER: other} if whole and other > 1e-9 else {})
    numbers = {each: rows for each, rows in found.items() if isinstance(each, int | float)}
    if not numbers:
        return {}
    ordered = sorted(numbers)
    reached = np.cumsum([numbers[each] for each in ordered])
    places = np.searchsorted(reached, reached[-1] * np.array([*QUANTILES.values()]))
    return {name: ordered[place] for name, place in zip(QUANTILES, places, strict=True)}


def _answer(logged: Logged) -> Any:
    """Returns the class that was predicted, or the number."""
    found = outputs(logged.prediction)
    value = found.get("label", found.get("value"))
    return value if isinstance(value, str | int | float) else None


def alarms(label: Label, logged: Sequence[Logged], limits: Limits) -> list[str]:
    """Says where the predictions of the later half are others than those of the earlier.

    Few classes are never far apart by the divergence, so their shares are compared.
    """
    half = len(logged) // 2
    halves = [Counter(map(_answer, part)) for part in (logged[:half], logged[half:])]
    if label.classes:
        counts = np.array([[each[name] for name in label.classes] for each in halves], float)
    else:
        numbers = [{n: rows for n, rows in each.items() if n is not None} for each in halves]
        counts = numbers_in_bins(numbers[0], numbers[1])[1]
    if not counts.size or not counts.any(axis=1).all():
        return []
    distance, chance = float(jensen_shannon(*counts)), by_chance(*counts)
    if distance <= chance:
        return []
    before, now = counts / counts.sum(axis=1, keepdims=True)
    place = int(np.abs(now - before).argmax())
    if label.classes and abs(now[place] - before[place]) > limits.share:
        return [
            f"The later half of the predictions has {now[place]:.1%} of {label.classes[place]!r},"
            f" the earlier {before[place]:.1%}; {limits.share:.0%} is the limit, and chance does"
            " not explain it."
        ]
    if not label.classes and distance > limits.distance:
        return [
            "The later half of the predictions has other numbers than the earlier: a distance of"
            f" {distance:.2f}; {limits.distance:g} is the limit, and chance explains up to"
            f" {chance:.2f}."
        ]
    return []
