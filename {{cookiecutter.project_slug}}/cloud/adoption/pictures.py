"""What the values of a column are, in a few bars."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from cloud.adoption.cells import Cells
from cloud.adoption.inference import Guess

BARS = 10
SECONDS = 86_400  # of a day

# A value or a range of values, and how many rows of the sample have it.
Bar = tuple[str, int]


def bars(cells: Cells, guess: Guess, numbers: Sequence[float] | None) -> tuple[Bar, ...]:
    """Returns the picture of a column.

    Args:
        cells: of the column.
        guess: what it is.
        numbers: the number or the time of each cell, NaN for a gap; None of other columns.
    """
    if numbers is None:
        common = [each for each in cells.counts.most_common(BARS + 1) if each[0] not in cells.gaps]
        return tuple(common[:BARS])
    values = np.asarray(numbers, np.float64)
    counts, edges = np.histogram(values[~np.isnan(values)], BARS)
    names = _times(edges) if guess.kind == "timestamp" else _amounts(edges)
    return tuple((f"from {name}", int(n)) for name, n in zip(names, counts, strict=False))


def _times(edges: Any) -> list[str]:
    days = edges // SECONDS
    shown = "%H:%M" if not days.any() else "%Y-%m-%d %H:%M" if np.ptp(days) < BARS else "%Y-%m-%d"
    return [datetime.fromtimestamp(edge, UTC).strftime(shown) for edge in edges]


def _amounts(edges: Any) -> list[str]:
    """Writes numbers with as many places as tell them apart."""
    step = edges[1] - edges[0]
    places = max(0, 1 - int(np.floor(np.log10(step)))) if step > 0 else 2
    return [f"{edge:,.{min(places, 12)}f}" for edge in edges]
