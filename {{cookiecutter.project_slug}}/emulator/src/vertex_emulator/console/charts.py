"""Numbers over time, for small pictures in a page and for charts that a script draws."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH, HEIGHT = 120, 24  # of a sparkline, in its own units
COLOURS = 6  # that the style sheet has

Points = Sequence[tuple[float, float]]  # seconds since the epoch, value


@dataclass(frozen=True)
class Chart:
    """Lines over the same time.

    Attributes:
        title: what is shown.
        unit: `%`, `bytes`, or another word behind the numbers.
        lines: points by label.
        floor: the least upper end of the axis, so that noise near zero stays low.
        across: what the lines go over, where that is not time.
        gaps: whether a value that is not a number interrupts its line; else there are none.
        scattered: whether the points of the one line are apart, and may share their place.
        log: whether `across` has a logarithmic scale.
        words: what stands at 0, 1, … of `across`, where that is no number.
        looks: colour and dashes of a line by its label, both counted from 0; without, each line has
            the next colour.
    """

    title: str
    unit: str = ""
    lines: Mapping[str, Points] = field(default_factory=dict)
    floor: float = 0.0
    across: str = ""
    gaps: bool = False
    scattered: bool = False
    log: bool = False
    words: Sequence[str] = ()
    looks: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Returns the chart with one list of moments for all lines, as uPlot takes them."""
        if self.scattered:
            [points] = self.lines.values()
            columns = zip(*sorted(points), strict=True)
            moments, values = (list(column) for column in columns)
            found: list[list[float | None]] = [values]
        else:
            moments = sorted({each for points in self.lines.values() for each, _value in points})
            known = [dict(points) for points in self.lines.values()]
            found = [[values.get(each) for each in moments] for values in known]
        lines = []
        for label, line in zip(self.lines, found, strict=True):
            colour, dash = self.look(label)
            lines.append({"label": label, "values": line, "colour": colour, "dash": dash})
        return {
            "title": self.title,
            "unit": self.unit,
            "floor": self.floor,
            "across": self.across,
            "gaps": self.gaps,
            "scattered": self.scattered,
            "log": self.log,
            "words": self.words,
            "moments": moments,
            "lines": lines,
        }

    def look(self, label: str) -> tuple[int, int]:
        """Returns the colour and the dashes of a line."""
        colour, dash = self.looks.get(label) or (list(self.lines).index(label), 0)
        return colour % COLOURS, dash

    def paths(self, width: int = 600, height: int = 120) -> dict[str, str]:
        """Returns each line as the points of an SVG polyline, by its label."""
        everything = [point for points in self.lines.values() for point in points]
        return {
            label: polyline(points, everything, width, height)
            for label, points in self.lines.items()
        }

    def dots(self, width: int = 600, height: int = 120) -> str:
        """Returns scattered points as an SVG path of dots, which fill the picture."""
        [points] = self.lines.values()
        low = min(value for _place, value in points)
        placed = [(math.log(place) if self.log else place, value - low) for place, value in points]
        least = min(place for place, _value in placed)
        placed = [(place - least, value) for place, value in placed]
        return " ".join(f"M{each}h0" for each in polyline(placed, placed, width, height).split())

    @property
    def newest(self) -> dict[str, float]:
        """The last value of each line."""
        known = {label: _known(points) for label, points in self.lines.items()}
        return {label: points[-1][1] for label, points in known.items() if points}


def _known(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(moment, value) for moment, value in points if not math.isnan(value)]


def sparkline(points: Points) -> str:
    """Returns a line from 0 to the largest value as the points of an SVG polyline."""
    return polyline(points, points, WIDTH, HEIGHT)


def polyline(points: Points, frame: Iterable[tuple[float, float]], width: int, height: int) -> str:
    """Returns points in SVG's units.

    Args:
        points: of the line.
        frame: points whose extent fills the picture; from 0 where none is negative.
        width: of the picture.
        height: of the picture.
    """
    moments, values = zip(*frame, strict=True) if (frame := _known(frame)) else ((0.0,), (0.0,))
    begin, end = min(moments), max(moments)
    low, high = min(0.0, *values), max(0.0, *values)
    across, up = (end - begin) or 1.0, (high - low) or 1.0
    return " ".join(
        f"{(moment - begin) / across * width:.1f},"
        f"{height - 1 - (value - low) / up * (height - 2):.1f}"
        for moment, value in _known(points)
    )
