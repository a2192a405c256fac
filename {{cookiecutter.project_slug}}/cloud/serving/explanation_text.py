"""An explanation as a person reads it: a line and a bar for each column."""

from collections.abc import Callable
from typing import Any

from rich.table import Table as Drawn

from cloud.console import Cell, Column, amount, table, text
from cloud.serving.explanation import Explanation
from cloud.serving.instances import Instance
from cloud.serving.prediction import outputs
from cloud.serving.prediction_text import minutes
from table_schema.columns import Table

LINES = 10  # columns that have a line of their own
WIDTH = 30  # of the longest bar
LONGEST = 40  # characters of a value
MORE, LESS = "green", "red"
# How people say what a column holds, by table and column; of others the heading and the value.
SAID: dict[str, dict[str, Callable[[Any], str]]] = {
    "flights": {"dep_delay": lambda value: f"left {minutes(value)}"},
    "flights_delay": {"dep_delay": lambda value: f"left {minutes(value)}"},
}


def summary(described: Table, explanation: Explanation) -> str:
    """Says from where to where the columns lead."""
    label = described.label
    shown = _amount if label.kind == "regression" else _percent
    if label.kind == "regression":
        what = label.heading
    elif label.kind == "binary":
        what = f"The chance that {label.heading} is {label.classes[1]}"
    else:
        what = f"The chance that {label.heading} is {outputs(explanation.prediction)['label']}"
    return (
        f"{what}: {shown(explanation.base)} on average of {explanation.background} training rows,"
        f" {shown(explanation.answer)} here."
    )


def lines(described: Table, instance: Instance, explanation: Explanation) -> Drawn:
    """Draws what each column adds, the most first."""
    found = explanation.contributions
    first = sorted(found, key=lambda name: -abs(found[name]))[:LINES]
    longest = max(abs(found[name]) for name in first) or 1.0
    rest = [name for name in found if name not in first]
    added = {_said(described, name, instance): found[name] for name in first}
    if rest:
        added[f"{len(rest)} other columns"] = sum(found[name] for name in rest)
    rows: list[list[Cell]] = []
    for said, change in added.items():
        bar = "█" * round(WIDTH * abs(change) / longest)
        rows.append([said, _change(described, change), text(bar, MORE if change > 0 else LESS)])
    title = "adds" if described.label.kind == "regression" else "adds, in points"
    return table([Column("column"), Column(title), Column("", 1)], rows)


def doubt(described: Table, explanation: Explanation) -> str:
    """Says how exact the numbers are."""
    shown = _amount if described.label.kind == "regression" else _points
    most = shown(max(explanation.within.values()))
    return f"With other training rows, a line would differ by up to {most} (95 % confidence)."


def _said(described: Table, name: str, instance: Instance) -> str:
    value = instance.get(name)
    column = next(column for column in described.columns if column.name == name)
    if value is None or (value == column.missing_in_json and column.kind != "boolean"):
        return f"{column.heading} is missing"
    if said := SAID.get(described.name, {}).get(name):
        return said(value)
    shown = amount(value) if isinstance(value, float) else str(value)
    shown = {"True": "true", "False": "false"}.get(shown, shown)
    return f"{column.heading} {shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + '…'}"


def _change(described: Table, change: float) -> str:
    if described.label.kind == "regression":
        return f"{'+' if change >= 0 else '-'}{_amount(abs(change))}"
    return f"{100 * change:+z.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _amount(number: float) -> str:
    return amount(float(f"{number:.4g}"))
