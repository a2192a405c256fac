"""gate: judges a job's model beside the default version, and writes what a reviewer looks at.

It is for continuous integration: it deploys nothing, and exits 1 where the model is worse.
"""

import argparse
from pathlib import Path
from typing import Any

from google.api_core import exceptions

from cloud import lookup
from cloud.client import Client
from cloud.console import Column, next_commands, out, say, table
from cloud.errors import UserError
from cloud.serving import evaluations
from cloud.serving.evaluations import Evaluation
from cloud.serving.model_folder import CARD
from cloud.training import trials
from table_schema.metrics import NAMES

FOLDER = "gate"
SUMMARY = "summary.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "job", nargs="?", help="name or number, of a tuning too; default: the newest that succeeded"
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints the scores side by side; exits 1 where the model is worse.

    Raises:
        UserError: the job wrote no scores.
    """
    job = trials.trained(client, options.job)
    folder = lookup.model_folder(job)
    candidate = evaluations.read(client, folder)
    if candidate is None:
        raise UserError(
            f"{job.display_name} wrote no {evaluations.FILE}, so there is nothing to judge it by;"
            " a trainer writes it with its scores (job.save takes them)."
        )
    default = lookup.model(client)
    current = evaluations.read(client, default.artifact_uri) if default is not None else None
    number = default.version_id if default is not None else ""
    titles = [job.display_name, *([f"version {number}"] if current is not None else [])]
    rows = scores(candidate, current)
    out.print(table([Column("test rows"), *map(Column, titles)], [[*row] for row in rows]))
    passes, verdict = evaluations.judge(candidate, current, number)
    say(verdict, "green" if passes else "red")
    written = client.config.runs_folder / FOLDER
    write(client, folder, written, in_markdown(titles, rows, verdict))
    say(f"Wrote {SUMMARY} and the model card to {written}")
    if passes:
        next_commands((f"nox -s deploy -- {job.display_name}", "serve it"))
    return 0 if passes else 1


def scores(candidate: Evaluation, current: Evaluation | None) -> list[list[str]]:
    """Returns a line for each score, the one that decides first: its name, and who has what."""
    names = sorted(candidate.scores, key=lambda name: name != candidate.metric)
    return [
        [NAMES.get(name, name), *(_shown(each, name) for each in (candidate, current) if each)]
        for name in names
    ]


def _shown(found: Evaluation, name: str) -> str:
    """Writes a score, with its interval where the trainer gave one."""
    if name not in found.scores:
        return "-"
    value = f"{found.scores[name]:.4f}"
    if name != found.metric or found.interval is None:
        return value
    low, high = found.interval
    return f"{value} ({low:.4f} to {high:.4f})"


def in_markdown(titles: list[str], rows: list[list[str]], verdict: str) -> str:
    """Returns the scores as a page of Markdown, as code review shows it."""
    lines = [["test rows", *titles], ["---"] * (1 + len(titles)), *rows]
    drawn = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{drawn}\n\n{verdict}\n"


def write(client: Client, model_folder: str, folder: Path, summary: str) -> None:
    """Writes the summary, and the model card where the trainer made one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY).write_text(summary, encoding="utf-8")
    card: Any = client.blob(f"{model_folder}/{CARD}")
    (folder / CARD).unlink(missing_ok=True)
    try:
        contents = card.download_as_bytes()
    except exceptions.NotFound:
        return
    (folder / CARD).write_bytes(contents)
