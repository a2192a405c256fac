"""python -m trainer.card MODEL_DIR: makes the model card again, out of evaluation.json.

The card is one HTML file that needs no network: what the model is for, how good it is, where it is
not, and how it came about. Source of the idea: Mitchell et al., Model Cards for Model Reporting
(2019).
"""

import base64
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from trainer import charts, console
from trainer.columns import TABLES, Table
from trainer.metrics import NAMES
from trainer.settings import RISING, as_flag, as_text

FILE = "model_card.html"
SLICED_AGAIN = 3  # weakest slices that the limits name

STYLE = """
:root { --ink: #1c2733; --soft: #5a6673; --line: #dfe4ea; --model: #1f5fa8; color-scheme: light }
* { box-sizing: border-box }
body { margin: 0; background: #f4f6f8; color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px }
header p, .note { color: var(--soft) }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px }
h2 { font-size: 19px; margin: 44px 0 12px }
p { max-width: 74ch; margin: 8px 0 }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 24px 0 0 }
.tiles div { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 14px }
.tiles b { display: block; font-size: 27px; line-height: 1.2; font-variant-numeric: tabular-nums }
.tiles span { color: var(--soft); font-size: 13px; display: block }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr));
  gap: 14px; align-items: start }
figure { margin: 0; background: #fff; border: 1px solid var(--line); border-radius: 8px;
  padding: 12px }
figure img { display: block; width: 100%; max-width: 420px; height: auto; margin: 0 auto }
.scroll { overflow-x: auto; background: #fff; border: 1px solid var(--line); border-radius: 8px }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: 8px 14px; border-top: 1px solid var(--line);
  vertical-align: top }
thead th { border-top: 0; color: var(--soft); font-weight: 600; font-size: 13px }
tbody th { font-weight: 500 }
tr.model th, tr.model td { font-weight: 650; color: var(--model) }
td.number, th.number { text-align: right; white-space: nowrap }
td small { color: var(--soft); font-weight: 400; display: block }
code { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere }
li { max-width: 74ch; margin: 4px 0 }
@media print { body { background: #fff } figure, .scroll { break-inside: avoid } }
"""


def write(folder: Path, document: Mapping[str, Any]) -> None:
    """Writes the card beside the model; the file appears when it is whole.

    Args:
        folder: of evaluation.json.
        document: what evaluation.json holds.
    """
    unfinished = folder / f".{FILE}"
    unfinished.write_text(render(document, TABLES[document["table"]]), encoding="utf-8")
    unfinished.replace(folder / FILE)


def render(document: Mapping[str, Any], table: Table) -> str:
    """Returns the card, HTML."""
    title = f"{table.name}, {table.label.name}"
    sections = {
        "Against the baselines": _comparison(document),
        "Where it is right and where it is wrong": _quality(document, table),
        "Slices of the test rows": _slices(document),
        "What it looks at, and how it learned": _learned(document),
        "Limits": _limits(document, table),
        "Columns": _columns(table),
        "Data": _data(document),
        "Settings": _settings(document),
    }
    content = "".join(f"<h2>{escape(name)}</h2>{html}" for name, html in sections.items() if html)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Model card: {escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"{_header(document, table)}{content}</main></body></html>\n"
    )


def _header(document: Mapping[str, Any], table: Table) -> str:
    kinds = {
        "binary": f"The probability of “{'”, “'.join(table.label.classes[1:])}”",
        "multiclass": f"One of {', '.join(table.label.classes)}",
        "regression": "A number",
    }
    versions = " · ".join(f"{name} {version}" for name, version in document["versions"].items())
    tiles = "".join(
        f"<div><span>{NAMES[name]}</span><b>{_number(value)}</b>"
        f"<span>{_interval(document['intervals'].get(name))}</span></div>"
        for name, value in document["test"].items()
    )
    rows = document["rows"]
    return (
        f"<header><p>Model card</p><h1>{escape(table.name)}: {escape(table.label.name)}</h1>"
        f"<p>{escape(kinds[table.label.kind])}: {escape(table.label.about)}. A wide and deep"
        f" network over {len(table.columns)} columns of the table {escape(table.name)}, trained on"
        f" {rows['train']:,} rows and judged here on {rows['test']:,} test rows, which were looked"
        f" at once, after training.</p><p>{escape(versions)}</p></header>"
        f'<div class="tiles">{tiles}</div>'
    )


def _comparison(document: Mapping[str, Any]) -> str:
    metrics = list(document["test"])
    rows = [_row("this model", document["test"], metrics, document["intervals"])]
    rows += [_row(name, scores, metrics, {}) for name, scores in document["baselines"].items()]
    head = [
        "",
        *(f"{NAMES[name]} {'↑' if name in RISING | {'pr_auc'} else '↓'}" for name in metrics),
    ]
    return _table(head, rows, numbers=True) + (
        '<p class="note">The arrows show which way is better. Below a score of the model is where'
        " it is in 95 of 100 bootstrap samples of the test rows.</p>"
    )


def _row(
    name: str, scores: Mapping[str, float], metrics: Sequence[str], ends: Mapping[str, Any]
) -> str:
    cells = [
        f'<td class="number">{_number(scores[metric]) if metric in scores else "-"}'
        + (f"<small>{_interval(ends[metric])}</small>" if metric in ends else "")
        + "</td>"
        for metric in metrics
    ]
    chosen = ' class="model"' if ends else ""
    return f"<tr{chosen}><th>{escape(name)}</th>{''.join(cells)}</tr>"


def _quality(document: Mapping[str, Any], table: Table) -> str:
    figures = charts.of_curves(document["curves"], table.label.name)
    content = _charts(figures)
    confusion = document.get("confusion")
    if confusion is None:
        return content
    names, matrix = table.label.classes, confusion["matrix"]
    rows = [
        f"<tr><th>really {escape(name)}</th>"
        + "".join(f'<td class="number">{count:,}</td>' for count in counts)
        + "</tr>"
        for name, counts in zip(names, matrix, strict=True)
    ]
    said = "The likeliest class is predicted."
    if "threshold" in confusion:
        said = (
            f"“{escape(names[1])}” is predicted from a probability of {confusion['threshold']:.2f}"
            " on, which has the best F1 on the evaluation rows:"
            f" {confusion['precision']:.0%} of the rows so predicted are right (precision), and"
            f" {confusion['recall']:.0%} of the rows that really are so are found (recall)."
        )
    head = ["test rows", *(f"predicted {name}" for name in names)]
    return f"{content}<p>{said}</p>{_table(head, rows, numbers=True)}"


def _slices(document: Mapping[str, Any]) -> str:
    metric = document["primary"]["metric"]
    overall = document["test"][metric]
    figures = {
        f"By {column}": charts.slices(column, found, metric, overall)
        for column, found in document["slices"].items()
        if found
    }
    if not figures:
        return ""
    return _charts(figures) + (
        '<p class="note">In brackets how many test rows there are; the lines are the 95 % intervals'
        " of the bootstrap. Values of few rows are left out.</p>"
    )


def _learned(document: Mapping[str, Any]) -> str:
    metric, best = document["primary"]["metric"], document["best_epoch"]
    figures = {"Importance of the columns": charts.importance(document["importance"], metric)}
    figures |= charts.history(document["history"], metric, best)
    return _charts(figures) + (
        '<p class="note">A column is as important as the score gets worse when its values are'
        " shuffled among the test rows; columns that tell much the same share their importance. Of"
        f" {document['epochs']} epochs, the weights after epoch {best} are kept.</p>"
    )


def _limits(document: Mapping[str, Any], table: Table) -> str:
    said = [
        *table.limits,
        "The intervals tell how the scores would move with other test rows of the same kind. They"
        " say nothing about another time or place.",
        "A category that the training rows do not have, or hardly, counts as missing.",
    ]
    weakest = _weakest(document)
    if weakest:
        said.insert(0, f"It is weakest where {'; '.join(weakest)}.")
    return "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in said) + "</ul>"


def _weakest(document: Mapping[str, Any]) -> list[str]:
    """Says the slices whose whole interval is worse than the score of all test rows."""
    metric = document["primary"]["metric"]
    sign = 1 if document["primary"]["higher_is_better"] else -1
    overall = document["test"][metric]
    found = [
        (sign * scores[metric], f"{column} is {value} ({NAMES[metric]} {_number(scores[metric])})")
        for column, by_value in document["slices"].items()
        for value, scores in by_value.items()
        if max(sign * end for end in scores["interval"]) < sign * overall
    ]
    return [said for _, said in sorted(found)[:SLICED_AGAIN]]


def _columns(table: Table) -> str:
    return _table(
        ["column", "kind", "what it holds"],
        [
            f"<tr><th><code>{escape(column.name)}</code></th><td>{column.kind}</td>"
            f"<td>{escape(column.about)}</td></tr>"
            for column in table.columns
        ],
    )


def _data(document: Mapping[str, Any]) -> str:
    rows = document["rows"]
    counts = ", ".join(f"{rows[split]:,} {split}" for split in ("train", "eval", "test"))
    files = [
        f"<tr><th><code>{escape(name)}</code></th><td><code>{escape(digest)}</code></td></tr>"
        for name, digest in document["data"].items()
    ]
    return f"<p>Rows: {counts}.</p>" + _table(["file", "fingerprint"], files)


def _settings(document: Mapping[str, Any]) -> str:
    flags = {
        as_flag(name): as_text(tuple(value) if isinstance(value, list) else value)
        for name, value in document["settings"].items()
    }
    return _table(
        ["flag", "value"],
        [
            f"<tr><th><code>{name}</code></th><td><code>{escape(value)}</code></td></tr>"
            for name, value in flags.items()
            if value
        ],
    )


def _charts(figures: Mapping[str, Any]) -> str:
    shown = ""
    for name, figure in figures.items():
        content = base64.b64encode(charts.svg(figure)).decode()
        source = f"data:image/svg+xml;base64,{content}"
        shown += f'<figure><img src="{source}" alt="{escape(name)}"></figure>'
    return f'<div class="charts">{shown}</div>'


def _table(head: Iterable[str], rows: Iterable[str], numbers: bool = False) -> str:
    """Returns a table that scrolls by itself where the window is narrow."""
    first, *others = head
    kind = ' class="number"' if numbers else ""
    cells = f"<th>{escape(first)}</th>" + "".join(f"<th{kind}>{escape(o)}</th>" for o in others)
    return (
        f'<div class="scroll"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _number(value: float) -> str:
    return f"{value:z.4f}" if abs(value) < 2 else f"{value:,.2f}"


def _interval(ends: Sequence[float] | None) -> str:
    return f"{_number(ends[0])} to {_number(ends[1])}" if ends else ""


def main() -> int:
    """Makes the card again."""
    if len(sys.argv) != 2 or not (path := Path(sys.argv[1]) / "evaluation.json").is_file():
        console.fail("Expected one folder that has an evaluation.json, as a training writes it.")
        return 2
    write(path.parent, json.loads(path.read_text(encoding="utf-8")))
    console.say(f"Wrote {path.with_name(FILE)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
