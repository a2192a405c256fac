"""The pictures of the report of drift: where things lie, in units that the page stretches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloud.console import amount
from cloud.monitoring.predictions import MIN_ROWS, QUANTILES, Period

WIDTH, HEIGHT = 1000.0, 100.0
MOST_CLASSES = 8  # that are told apart by colour
OTHERS = "others"


@dataclass(frozen=True)
class Box:
    """A part of a period: a class, or the range of a number.

    Attributes:
        x: of its left edge.
        y: of its upper edge.
        width: of it.
        height: of it.
        color: number of the colour, from 0.
        is_pale: whether the period has few rows.
        title: what it is, in words.
    """

    x: float
    y: float
    width: float
    height: float
    color: int
    is_pale: bool
    title: str


@dataclass(frozen=True)
class Picture:
    """Predictions over time.

    Attributes:
        boxes: of all periods.
        ticks: heights of short lines across a period, the medians: x, y, width.
        lines: heights at which the training rows' labels lie.
        legend: what the colours mean, in their order.
        top: what the upper edge means.
        bottom: what the lower edge means.
    """

    boxes: Sequence[Box]
    ticks: Sequence[tuple[float, float, float]]
    lines: Sequence[float]
    legend: Sequence[str]
    top: str
    bottom: str


def over_time(
    periods: Sequence[Period], training: Mapping[str, float], *, of_classes: bool
) -> Picture | None:
    """Returns the picture of predictions; None where there are none.

    Args:
        periods: what was predicted.
        training: the shares of the training rows' labels, or their quantiles.
        of_classes: whether a class is predicted.
    """
    shown = [each for each in periods if each.shares]
    if not shown:
        return None
    return _stacked(shown, training) if of_classes else _ranges(shown, training)


def _stacked(periods: Sequence[Period], training: Mapping[str, float]) -> Picture:
    """Stacks the shares; the frequent class of the training rows lies at the bottom."""
    names = {name for each in periods for name in each.shares}
    ordered = sorted(names, key=lambda name: (-training.get(name, 0), name))
    told = ordered if len(ordered) <= MOST_CLASSES else ordered[: MOST_CLASSES - 1]
    boxes = []
    for each in periods:
        parts = _parts(each.shares, told)
        x, width = _place(periods, each)
        below = 0.0
        for color, (name, share) in enumerate(parts.items()):
            below += share
            title = f"{_when(each)}: {name} {share:.1%} of {each.rows:,}"
            y, height = HEIGHT * (1 - below), HEIGHT * share
            boxes.append(Box(x, y, width, height, color, each.rows < MIN_ROWS, title))
    shares = list(_parts(training, told).values())[:-1] if training else []
    lines = [HEIGHT * (1 - sum(shares[: place + 1])) for place in range(len(shares))]
    legend = [*told, *([OTHERS] if len(told) < len(ordered) else [])]
    return Picture(boxes, (), lines, legend, "100 %", "0 %")


def _parts(shares: Mapping[str, float], told: Sequence[str]) -> dict[str, float]:
    known = {name: shares.get(name, 0.0) for name in told}
    other = sum(share for name, share in shares.items() if name not in known)
    return known | ({OTHERS: other} if other else {})


def _ranges(periods: Sequence[Period], training: Mapping[str, float]) -> Picture:
    """Draws the middle eight tenths of the predictions, and their medians."""
    low, median, high = QUANTILES
    ends = [value for each in (*(p.shares for p in periods), training) for value in each.values()]
    bottom, top = min(ends), max(ends)
    scale = HEIGHT / (top - bottom or 1)
    boxes, ticks = [], []
    for each in periods:
        x, width = _place(periods, each)
        begin, middle, end = (each.shares[name] for name in (low, median, high))
        title = (
            f"{_when(each)}: median {amount(middle)}, eight tenths {amount(begin)} to"
            f" {amount(end)}, of {each.rows:,}"
        )
        y, height = scale * (top - end), scale * (end - begin)
        boxes.append(Box(x, y, width, height, 0, each.rows < MIN_ROWS, title))
        ticks.append((x, scale * (top - middle), width))
    lines = [scale * (top - value) for value in training.values()]
    legend = ["the middle eight tenths of the predictions, and their median"]
    return Picture(boxes, ticks, lines, legend, amount(top), amount(bottom))


def _place(periods: Sequence[Period], period: Period) -> tuple[float, float]:
    """Returns where a period begins, and how wide it is."""
    begin = periods[0].begin
    span = periods[-1].end - begin
    x = WIDTH * ((period.begin - begin) / span)
    return x, 0.96 * WIDTH * ((period.end - period.begin) / span)


def _when(period: Period) -> str:
    return f"{period.begin:%Y-%m-%d %H:%M}"
