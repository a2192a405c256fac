"""What was found out of a table, as a person reads it: at the terminal, and in the browser."""

import math
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import jinja2

from cloud.adoption.findings import SCORES, Adoption, Finding
from cloud.console import Cell, Column, counted, out, say, table

SHOWN = 40  # characters of a cell
SHOWN_CLASSES = 10


def show(found: Adoption) -> None:
    """Prints a table of the columns, and what a person should know."""
    label = found.table.label
    columns = [
        Column("column"),
        Column("kind"),
        Column("gaps", 3),
        Column("values", 4),
        Column("such as", 5),
        Column(f"alone, {SCORES[label.kind]}", 2),
        Column("the model gets", 1),
    ]
    rows: list[list[Cell]] = [_row(family, found) for family in _families(found)]
    out.print(table(columns, rows))
    learned = ", ".join(map(_short, label.classes[:SHOWN_CLASSES])) or "a number"
    if len(label.classes) > SHOWN_CLASSES:
        learned += f", … ({len(label.classes)} classes)"
    split = found.table.split
    by = f"{split.by} ({split.column})" if split.column else split.by
    say(f"\n{counted(found.rows, 'row')}. Predicts {label.heading!r}: {learned}. Split by {by}.")
    for note in found.notes:
        say(f"- {note}", "yellow")


def _families(found: Adoption) -> Iterator[list[Finding]]:
    """Gives columns that differ only in a number, such as f000 to f299, together."""

    def family(finding: Finding) -> tuple[str, ...]:
        stem, digits = re.fullmatch(r"(.*?)(\d*)", finding.heading, re.DOTALL).groups()  # type: ignore[union-attr]
        own = "" if digits else finding.heading
        return stem, own, finding.guess.kind, finding.role, finding.why_not

    for _key, together in groupby(found.findings, family):
        yield list(together)


def _row(family: list[Finding], found: Adoption) -> list[Cell]:
    first, last, guess = family[0], family[-1], family[0].guess
    name = first.heading if first is last else f"{first.heading} … {last.heading} ({len(family)})"
    missing = sum(each.guess.missing for each in family) / (found.sample_rows * len(family))
    gets = f"no: {first.why_not}" if first.column is None else _gets(first)
    if first.role == "label":
        gets = "is predicted"
    scores = [each.alone for each in family if not math.isnan(each.alone)]
    distinct = max(each.guess.distinct for each in family)
    return [
        _short(name),
        guess.kind,
        f"{missing:.1%}" if missing else "",
        f"{distinct:,}",
        _short(", ".join(guess.examples)),
        f"{max(scores):.3f}" if scores else "",
        gets,
    ]


def _gets(finding: Finding) -> str:
    guess = finding.guess
    how = f"{guess.buckets:,} hashed codes" if guess.buckets else guess.why
    return f"{how}, written {guess.written}" if guess.written else how


def _short(content: str) -> str:
    content = " ".join(content.split())
    return content if len(content) <= SHOWN else f"{content[: SHOWN - 1]}…"


def write(path: Path, found: Adoption) -> None:
    """Writes a page of all columns, with a picture of each; it needs no network."""
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    rows = [
        {
            "finding": each,
            "missing": each.guess.missing / found.sample_rows,
            "alone": "" if math.isnan(each.alone) else f"{each.alone:.3f}",
            "gets": _gets(each),
            "most": max((count for _name, count in each.bars), default=1) or 1,
        }
        for each in found.findings
    ]
    score = SCORES[found.table.label.kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    page = environment.from_string(template).render(found=found, rows=rows, score=score)
    path.write_text(page, encoding="utf-8")
