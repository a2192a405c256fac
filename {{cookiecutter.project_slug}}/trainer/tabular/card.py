"""python -m trainer.tabular.card MODEL_DIR: makes the model card again, out of evaluation.json.

The card is one HTML file that needs no network: what the model is for, how good it is, where it is
not, and how it came about. Its words and looks are in card.html. Source of the idea: Mitchell et
al., Model Cards for Model Reporting (2019).
"""

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from table_schema.columns import SPLITS, Table
from table_schema.metrics import CONFIDENCE_BINS, NAMES, RISING
from table_schema.tables import TABLES
from trainer import console, files
from trainer.tabular import charts
from trainer.tabular.settings import as_flag, as_text

FILE = "model_card.html"
MOST_CLASSES = 12  # that are listed, and have a row and a column each
MISTAKES = 20  # that are listed of more classes
WEAKEST = 3  # slices that the limits name


def write(folder: Path, document: Mapping[str, Any]) -> None:
    """Writes the card beside the model.

    Args:
        folder: of evaluation.json.
        document: what evaluation.json holds.
    """
    with files.whole(folder / FILE) as unfinished:
        unfinished.write_text(render(document, TABLES[document["table"]]), encoding="utf-8")


def render(document: Mapping[str, Any], table: Table) -> str:
    """Returns the card, HTML."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": "{:,}".format,
        "interval": _interval,
        "number": _number,
        "percent": "{:.0%}".format,
        "plain": _plain,
    }
    template = resources.files("trainer.tabular").joinpath("card.html").read_text(encoding="utf-8")
    metric = document["primary"]["metric"]
    learned = {}
    if document["importance"]:
        learned["Importance of the columns"] = charts.importance(document["importance"], metric)
    learned |= charts.history(document["history"], metric, document["best_epoch"])
    headings = {column.name: column.heading for column in table.columns}
    return environment.from_string(template).render(
        document=document,
        table=table,
        names=NAMES,
        rising=RISING,
        confidence_bins=CONFIDENCE_BINS,
        splits=SPLITS,
        settings=_settings(document),
        quality=_sources(charts.of_curves(document["curves"], table.label.name)),
        slices=_sources(_slices(document)),
        learned=_sources(learned),
        dependence=_sources(charts.dependence(document.get("dependence", {}), headings)),
        headings=headings,
        weakest=_weakest(document),
        most_classes=MOST_CLASSES,
        most_curves=charts.MOST_CURVES,
        mistakes=_mistakes(document, table),
    )


def _mistakes(document: Mapping[str, Any], table: Table) -> list[tuple[str, str, int]]:
    """Returns which class was taken for which, in how many test rows: the most frequent first."""
    classes = table.label.classes
    found = [
        (classes[actual], classes[predicted], rows)
        for actual, counts in enumerate(document.get("confusion", {}).get("matrix", []))
        for predicted, rows in enumerate(counts)
        if rows and actual != predicted
    ]
    return sorted(found, key=lambda mistake: -mistake[2])[:MISTAKES]


def _slices(document: Mapping[str, Any]) -> dict[str, Any]:
    metric = document["primary"]["metric"]
    return {
        f"By {column}": charts.slices(column, found, metric, document["test"][metric])
        for column, found in document["slices"].items()
        if found
    }


def _weakest(document: Mapping[str, Any]) -> list[str]:
    """Describes the slices whose whole interval is worse than the score of all test rows."""
    metric = document["primary"]["metric"]
    sign = 1 if document["primary"]["higher_is_better"] else -1
    overall = document["test"][metric]
    found = [
        (sign * scores[metric], f"{column} is {value} ({NAMES[metric]} {_number(scores[metric])})")
        for column, by_value in document["slices"].items()
        for value, scores in by_value.items()
        if max(sign * end for end in scores["interval"]) < sign * overall
    ]
    return [description for _, description in sorted(found)[:WEAKEST]]


def _settings(document: Mapping[str, Any]) -> dict[str, str]:
    """Returns the settings that are set, by their flags."""
    flags = {
        as_flag(name): as_text(tuple(value) if isinstance(value, list) else value)
        for name, value in document["settings"].items()
    }
    return {flag: value for flag, value in flags.items() if value}


def _sources(figures: Mapping[str, Any]) -> dict[str, str]:
    """Returns figures as the sources of images that need no other file."""
    return {
        title: f"data:image/svg+xml;base64,{base64.b64encode(charts.svg(figure)).decode()}"
        for title, figure in figures.items()
    }


def _number(value: float) -> str:
    return f"{value:z.4f}" if abs(value) < 2 else f"{value:,.2f}"


def _plain(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _interval(ends: Sequence[float]) -> str:
    return f"{_number(ends[0])} to {_number(ends[1])}"


def main() -> int:
    if len(sys.argv) != 2 or not (path := Path(sys.argv[1]) / "evaluation.json").is_file():
        console.fail("Expected a folder with an evaluation.json, which a training writes.")
        return 2
    write(path.parent, json.loads(path.read_text(encoding="utf-8")))
    console.say(f"Wrote {path.with_name(FILE)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
