"""Charts of an evaluation, each made of what `evaluation.json` holds."""

import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from table_schema.metrics import NAMES, RISING

Figure = Any
Points = Sequence[Sequence[float]]

MODEL, OTHER, FAINT = "#1f5fa8", "#d1672b", "#8a94a0"
STYLE: dict[Any, Any] = {
    "axes.edgecolor": FAINT,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": f"cycler('color', {[MODEL, OTHER, '#3b8c5a', '#8457a6', '#a8324a', FAINT]})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "font.size": 9.5,
    "grid.color": "#e6e9ed",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.parse_math": False,  # a name with two dollar signs is a name, and no formula
    "svg.hashsalt": "evaluation",  # the same evaluation makes the same bytes
}
SQUARE = 4.0, 3.7  # inches
# Where axes from 0 to 1 lie in a figure. Finding room for their labels would take half its time.
UNIT_PLACE = {"left": 0.14, "right": 0.97, "bottom": 0.13, "top": 0.92}
MOST_CURVES = 6  # in one chart, each of its own colour, of the classes that most rows have
NAME_LENGTH = 24  # characters of a name in a chart
ROW = 0.24  # inches that a row of a chart of rows takes


@contextmanager
def _style() -> Iterator[None]:
    """Draws in this module's style, whatever the process's own is."""
    # It would say that it looks for fonts, which nobody who trains needs to know.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        yield


def svg(figure: Figure) -> bytes:
    """Returns a figure as SVG, its letters as shapes: it looks the same everywhere."""
    return _saved(figure, "svg", metadata={"Date": None})


def png(figure: Figure) -> bytes:
    """Returns a figure as PNG."""
    return _saved(figure, "png", dpi=100)


def of_curves(curves: Mapping[str, Any], label: str) -> dict[str, Figure]:
    """Draws what an evaluation's `curves` are.

    Args:
        curves: by class, or of a number by the label's name.
        label: the label's name.

    Returns:
        Figures by title: ROC, precision and recall, and calibration of classes; calibration and
        the errors of a number.
    """
    if "errors" in next(iter(curves.values()), {}):
        found = curves[label]
        return {
            "Calibration": number_calibration(found["calibration"], label),
            "Errors": errors(found["errors"], label),
        }
    draw = {"ROC": roc, "Precision and recall": precision_recall, "Calibration": calibration}
    shown = most_frequent(curves)
    return {title: function(shown) for title, function in draw.items()}


def most_frequent(curves: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the curves of the classes that most rows have, as many as a chart has room for."""
    # At a recall of 1 all rows are said to be of the class: the precision there is its share.
    shares = {name: found["precision_recall"][-1][1] for name, found in curves.items()}
    kept = sorted(shares, key=lambda name: -shares[name])[:MOST_CURVES]
    return {name: found for name, found in curves.items() if name in kept}


@_style()
def roc(curves: Mapping[str, Any]) -> Figure:
    """Draws how many of the class are found at the price of how many others."""
    axes = _unit_axes("ROC", "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], ":", color=FAINT, label="chance")
    _lines(axes, curves, "roc")
    return axes.figure


@_style()
def precision_recall(curves: Mapping[str, Any]) -> Figure:
    """Draws how sure a yes is at each share that is found."""
    axes = _unit_axes("Precision and recall", "recall", "precision")
    for name, found in curves.items():
        share = found["precision_recall"][-1][1]
        axes.axhline(share, linestyle=":", color=FAINT, label="chance" if len(curves) == 1 else "")
        axes.plot(*_columns(found["precision_recall"]), label=_short(name))
    axes.legend(loc="lower left")
    return axes.figure


@_style()
def calibration(curves: Mapping[str, Any]) -> Figure:
    """Draws what share of the rows of a predicted probability really is of the class."""
    axes = _unit_axes("Calibration", "mean predicted probability", "share of the class")
    axes.plot([0, 1], [0, 1], ":", color=FAINT, label="perfect")
    _lines(axes, curves, "calibration", "o-")
    return axes.figure


@_style()
def number_calibration(points: Points, label: str) -> Figure:
    """Draws what the label's mean really is where a mean is estimated."""
    axes = _axes("Calibration", f"mean estimate of {label}", f"mean {label}", SQUARE)
    ends = [min(map(min, points)), max(map(max, points))]
    axes.plot(ends, ends, ":", color=FAINT, label="perfect")
    axes.plot(*_columns(points), "o-", label="test rows, in tenths")
    axes.legend(loc="upper left")
    return axes.figure


@_style()
def errors(histogram: Mapping[str, Sequence[float]], label: str) -> Figure:
    """Draws how far estimates are from the label."""
    axes = _axes("Errors", f"estimate minus {label}", "test rows", SQUARE)
    axes.stairs(histogram["rows"], histogram["edges"], fill=True, color=MODEL, alpha=0.85)
    axes.axvline(0, color=FAINT)
    return axes.figure


@_style()
def slices(column: str, found: Mapping[str, Any], metric: str, overall: float) -> Figure:
    """Draws the scores of the rows of each value of a column, with their intervals."""
    names = list(found)[::-1]
    labels = [f"{_short(name)}  ({found[name]['rows']:,})" for name in names]
    axes = _rows_axes(f"By {_short(column)}", NAMES[metric], labels)
    values = [found[name][metric] for name in names]
    ends = [found[name]["interval"] for name in names]
    around = [
        [max(0, value - low) for value, (low, _) in zip(values, ends, strict=True)],
        [max(0, high - value) for value, (_, high) in zip(values, ends, strict=True)],
    ]
    axes.axvline(overall, color=OTHER, linewidth=1.2, label="all test rows")
    places = range(len(names))
    axes.errorbar(values, places, xerr=around, fmt="o", color=MODEL, elinewidth=1.4, markersize=4.5)
    axes.figure.legend(loc="outside lower right", fontsize=8.5)
    return axes.figure


@_style()
def importance(found: Mapping[str, Mapping[str, float]], metric: str) -> Figure:
    """Draws how much worse predictions get without what a column tells."""
    names = list(found)[::-1]
    change = "lost" if metric in RISING else "added"
    labels = [_short(name) for name in names]
    axes = _rows_axes("Importance", f"{NAMES[metric]} {change} by shuffling", labels)
    means, spreads = ([found[name][part] for name in names] for part in ("mean", "spread"))
    axes.barh(names, means, xerr=spreads, color=MODEL, ecolor=FAINT, height=0.62)
    return axes.figure


def dependence(found: Mapping[str, Any], headings: Mapping[str, str]) -> dict[str, Figure]:
    """Draws what a model answers on average at each value of a column.

    All have the same ends: a column that changes little looks so.

    Args:
        found: an evaluation's `dependence`.
        headings: what each column is called.

    Returns:
        Figures by column.
    """
    if not found:
        return {}
    every = [mean for each in found.values() for means in each["means"].values() for mean in means]
    low, high = min(every), max(every)
    ends = low - 0.05 * (high - low), high + 0.05 * (high - low) or 1e-9
    return {name: _dependence(headings[name], each, ends) for name, each in found.items()}


@_style()
def _dependence(heading: str, found: Mapping[str, Any], ends: tuple[float, float]) -> Figure:
    values, means = found["values"], dict(list(found["means"].items())[:MOST_CURVES])
    several = len(means) > 1
    about = "mean prediction" if several else f"mean prediction of {_short(next(iter(means)))}"
    if isinstance(values[0], float):
        axes = _axes(heading, "", about, SQUARE)
        for name, line in means.items():
            axes.plot(values, line, "o-", markersize=3.5, label=_short(name))
        axes.set_ylim(*ends)
    else:
        labels = [_short(str(value)) or "(missing)" for value in values[::-1]]
        axes = _rows_axes(heading, about, labels)
        for name, line in means.items():
            axes.plot(line[::-1], range(len(labels)), "o", markersize=5, label=_short(name))
        axes.set_xlim(*ends)
    if several:
        axes.legend(fontsize=8.5)
    return axes.figure


@_style()
def history(epochs: Sequence[Mapping[str, float]], metric: str, best: int) -> dict[str, Figure]:
    """Draws the loss, and the metric to compare by, epoch by epoch."""
    drawn = {"Loss": {"loss": "training", "eval_log_loss": "evaluation"}}
    drawn[NAMES[metric]] = {f"eval_{metric}": "evaluation"}
    figures = {}
    for title, lines in drawn.items():
        axes = _axes(f"{title} by epoch", "epoch", "", SQUARE)
        numbers = range(1, len(epochs) + 1)
        for (name, label), color in zip(lines.items(), (FAINT, MODEL)[-len(lines) :], strict=True):
            if name in epochs[0]:
                values = [metrics[name] for metrics in epochs]
                axes.plot(numbers, values, "o-", markersize=3.5, color=color, label=label)
        axes.axvline(best, color=OTHER, linestyle=":", label="kept")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
        figures[title] = axes.figure
    return figures


@_style()
def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
        figure.set_layout_engine(None)  # which would draw all of it once more, to do the same
    file = io.BytesIO()
    figure.savefig(file, format=kind, **options)
    return file.getvalue()


def _axes(title: str, x: str, y: str, size: tuple[float, float]) -> Any:
    """Returns axes in a figure that finds room for their labels."""
    from matplotlib.figure import Figure as New

    axes = New(figsize=size, layout="constrained").add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    return axes


def _unit_axes(title: str, x: str, y: str) -> Any:
    """Returns axes of shares and probabilities, both from 0 to 1."""
    axes = _axes(title, x, y, SQUARE)
    axes.figure.set_layout_engine(None)
    axes.figure.subplots_adjust(**UNIT_PLACE)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    return axes


def _rows_axes(title: str, x: str, labels: Sequence[str]) -> Any:
    """Returns axes with a row for each label, from the bottom."""
    axes = _axes("", x, "", (SQUARE[0], 1.2 + ROW * len(labels)))
    # Above the labels too, which may leave the axes little room.
    axes.figure.suptitle(title, x=0.01, ha="left")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(-0.7, len(labels) - 0.3)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    return axes


def _lines(axes: Any, curves: Mapping[str, Any], part: str, style: str = "-") -> None:
    for name, found in curves.items():
        axes.plot(*_columns(found[part]), style, markersize=4, label=_short(name))
    axes.legend(loc="lower right" if part == "roc" else "upper left")


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


def _columns(points: Points) -> Iterable[Sequence[float]]:
    return zip(*points, strict=True)
