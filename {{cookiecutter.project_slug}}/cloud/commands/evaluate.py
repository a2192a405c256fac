"""evaluate: a version's scores through the endpoint, beside the trainer's own.

On the test rows, or with --labels on what the endpoint was really asked, once the truth is known.
"""

import argparse
from pathlib import Path

from cloud import lookup
from cloud.client import Client
from cloud.console import Cell, Column, counted, out, say, step, table
from cloud.errors import UserError
from cloud.monitoring import live_evaluation, since
from cloud.serving import contract, evaluations, instances, prediction, scoring
from cloud.serving.instances import Row
from table_schema.columns import Label, Table
from table_schema.metrics import NAMES

# The endpoint's answers and the trainer's predictions differ in the last bits of a float32, and
# their mean over the rows by less.
TOLERANCE = 1e-6
# Such a bit may put a row into the next bin of a probability: rows that may, of all.
BINNED_TOLERANCE = {"ece": 1e-3}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "version",
        nargs="?",
        help="number, alias or newest; default: the default version, and with --labels all that"
        " answered",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="score the logged requests in place of the test rows: rows as 'batch --file' takes"
        " them, with their labels; they are found by their features, or with --rows by their key",
    )
    parser.add_argument(
        "--rows",
        type=Path,
        metavar="FILE",
        help="rows with key and features, where the file of --labels has key and label alone",
    )
    since.add_argument(parser)


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints the scores; exits 1 where they are not the trainer's."""
    if options.labels is not None:
        return live_evaluation.run(client, options)
    for flag in ("since", "rows"):
        if vars(options)[flag] is not None:
            raise UserError(
                f"--{flag}: is for logged requests, whose labels come in a file; add --labels FILE."
            )
    version = lookup.version(client, options.version or "default")
    trained = evaluations.read(client, version.artifact_uri)
    taken = contract.of_version(client, version)
    data_table = taken.table
    if data_table is None or data_table.name != client.config.data_set:
        raise UserError(
            f"Expected a version of the project's table to ask about its test rows; version"
            f" {version.version_id} is of {_named(data_table)}. {_trainers_scores(trained)}"
        )
    rows = list(instances.test_rows(client.config))
    truths = labels(data_table.label, rows)
    found = [instances.of_row(data_table, row) for row in rows]
    with step(f"Predicting {counted(len(found), 'row')} with version {version.version_id}"):
        answers = prediction.of_version(client, version.version_id, taken, found)
    threshold = trained.threshold if trained is not None else 0.5
    scores = scoring.score(data_table.label, answers, truths, threshold)
    return show(version.version_id, scores, trained)


def _named(table: Table | None) -> str:
    return "no table" if table is None else f"the table {table.name!r}"


def _trainers_scores(trained: evaluations.Evaluation | None) -> str:
    if trained is None:
        return "Its trainer wrote no scores."
    scores = ", ".join(
        f"{NAMES.get(name, name)} {each:.4f}" for name, each in trained.scores.items()
    )
    return f"Its trainer's own scores: {scores}."


def labels(label: Label, rows: list[Row]) -> list[float]:
    """Returns the labels of rows of the test file: indices of classes, or the numbers themselves.

    Raises:
        UserError: a row has none.
    """
    classes = {name: index for index, name in enumerate(label.classes)}
    found = []
    for number, row in enumerate(rows):
        text = row.get(label.name, "").strip()
        try:
            found.append(classes[text] if classes else float(text))
        except (KeyError, ValueError) as error:
            expected = f"one of {', '.join(classes)}" if classes else "a number"
            raise UserError(
                f"Row {number} of the test file: expected {expected} as {label.name}, got"
                f" {text!r}; make the file again with 'nox -s data'."
            ) from error
    return found


def show(number: str, scores: dict[str, float], trained: evaluations.Evaluation | None) -> int:
    """Prints the scores beside the trainer's; returns the exit code."""
    columns = [
        Column("score"),
        Column(f"version {number}, through the endpoint"),
        Column("trainer"),
    ]
    rows: list[list[Cell]] = []
    differing = []
    order = list(trained.scores) if trained is not None else []
    for name in sorted(scores, key=lambda each: order.index(each) if each in order else len(order)):
        value = scores[name]
        own = trained.scores.get(name) if trained is not None else None
        shown = "-" if own is None else f"{own:.6f}"
        rows.append([NAMES.get(name, name), f"{value:.6f}", shown])
        tolerance = BINNED_TOLERANCE.get(name, TOLERANCE)
        if own is not None and abs(value - own) > tolerance * max(1, abs(own)):
            differing.append(NAMES.get(name, name))
    out.print(table(columns, rows))
    if differing:
        say(
            f"The two differ in {', '.join(differing)}: the endpoint predicts something else than"
            " the trainer, or the test file is not the trainer's ('nox -s data' makes it again).",
            "red",
        )
        return 1
    if trained is not None:
        say("The scores are the same: the endpoint serves what was trained.", "green")
    return 0
