"""What the model answered over time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import fmean

import numpy as np

from cloud.monitoring.columns import Limits
from cloud.monitoring.distances import by_chance, jensen_shannon
from cloud.monitoring.request_log import Logged
from cloud.serving.prediction import outputs
from table_schema.columns import Table

PERIODS = 10
MIN_ROWS = 20  # of a period


@dataclass(frozen=True)
class Period:
    """A part of the predictions, as many in each.

    Attributes:
        begin: when the first was made.
        end: when the last was.
        rows: how many there are.
        shares: of each class; empty where the label is a number.
        mean: of the estimates, where it is one.
    """

    begin: datetime
    end: datetime
    rows: int
    shares: dict[str, float]
    mean: float | None = None


def over_time(table: Table, logged: Sequence[Logged]) -> list[Period]:
    """Returns what was predicted in up to `PERIODS` parts of the time, the oldest first."""
    count = max(1, min(PERIODS, len(logged) // MIN_ROWS))
    ends = np.linspace(0, len(logged), count + 1).round().astype(int)
    parts = (logged[begin:end] for begin, end in pairwise(ends))
    return [_period(table, part) for part in parts if part]


def _period(table: Table, part: Sequence[Logged]) -> Period:
    found = [outputs(each.prediction) for each in part]
    begin, end = part[0].time, part[-1].time
    if not table.label.classes:
        estimates = [each["value"] for each in found if isinstance(each.get("value"), int | float)]
        return Period(begin, end, len(part), {}, fmean(estimates) if estimates else None)
    labels = Counter(str(each.get("label")) for each in found)
    shares = {name: labels[name] / len(part) for name in table.label.classes}
    return Period(begin, end, len(part), shares)


def alarms(table: Table, logged: Sequence[Logged], limits: Limits) -> list[str]:
    """Says where the classes of the later half are others than those of the earlier."""
    halves = logged[: len(logged) // 2], logged[len(logged) // 2 :]
    if not table.label.classes or not all(halves):
        return []
    counts = np.zeros((2, len(table.label.classes)))
    for row, half in enumerate(halves):
        labels = Counter(str(outputs(each.prediction).get("label")) for each in half)
        counts[row] = [labels[name] for name in table.label.classes]
    if not counts.any(axis=1).all():
        return []
    distance, chance = float(jensen_shannon(*counts)), by_chance(*counts)
    if distance <= limits.distance or distance <= chance:
        return []
    return [
        "The later half of the predictions has other classes than the earlier: a distance of"
        f" {distance:.2f}; {limits.distance:g} is the limit, and chance explains up to"
        f" {chance:.2f}."
    ]
