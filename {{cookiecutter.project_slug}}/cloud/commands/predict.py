"""predict: asks the endpoint about rows, in plain REST, as any language would."""

import argparse
import json
from pathlib import Path
from typing import Any

from cloud import config, lookup
from cloud.client import Client
from cloud.console import (
    Cell,
    Column,
    counted,
    err,
    next_commands,
    out,
    say,
    step,
    table,
    text,
)
from cloud.errors import UserError
from cloud.serving import (
    contract,
    explanation,
    explanation_text,
    instances,
    prediction,
    traffic,
    training_values,
)
from cloud.serving.contract import Contract
from cloud.serving.instances import Instance, Row
from cloud.serving.prediction import Prediction
from cloud.serving.prediction_text import in_words
from cloud.serving.training_values import TrainingValues
from table_schema.columns import Table

SHOWN_ROWS = 3
LONGEST_LINE = 4_000  # characters
OWN_FLAGS = ("help", "row", "instance", "file", "all-versions", "explain", "allow-missing")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags.

    Raises:
        UserError: the project's values do not name a table, whose features are flags.
    """
    parser.add_argument(
        "--row", type=int, help=f"row of the test file; default: {instances.SAMPLE_ROW}"
    )
    parser.add_argument("--instance", help="an instance as a JSON object")
    parser.add_argument(
        "--file",
        type=Path,
        help="many instances: .csv, .jsonl, .json with a list or a request's body, or images for a"
        " model that takes one; prints a prediction a line as JSON",
    )
    parser.add_argument(
        "--all-versions",
        action="store_true",
        help="compare the versions that get traffic; sends the instance until each has answered",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="say what each column adds to the answer, compared with training rows",
    )
    parser.add_argument("--allow-missing", action="store_true", help=instances.ALLOW_MISSING)
    values = config.load()
    if not values.data_set:
        return  # a model that is no table's takes JSON alone
    features = parser.add_argument_group("features", "an instance, a flag for each feature")
    for column in lookup.table(values).columns:
        flag = column.name.replace("_", "-")
        spellings = dict.fromkeys((flag.lower(), flag))  # capitals are easily forgotten
        features.add_argument(
            *(f"--feature-{each}" if each in OWN_FLAGS else f"--{each}" for each in spellings),
            dest=f"feature {column.name}",
            metavar=column.kind.upper(),
            help=column.about.replace("%", "%%"),
        )


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints the equal curl command, the answers, and what really happened where that is known.

    Raises:
        UserError: the rows cannot be read, or the endpoint refuses them.
    """
    url = prediction.endpoint_url(client)
    taken = contract.of_default(client)
    if options.explain:
        explanation.table_of(taken)
        if options.all_versions:
            raise UserError(
                "--explain: explains the default version, got --all-versions; give one."
            )
    if options.file is not None:
        only_one_source(options)
        if options.explain:
            return explain_file(client, taken, options)
        return predict_file(client, url, taken, options)
    instance, row = one_instance(client, taken, options)
    body = taken.body([instance])
    say(shortened(client.curl(url, json.dumps(body))))
    if options.all_versions:
        compare_versions(client, url, body)
        return 0
    with step("Predicting"):
        answer = prediction.ask(client, url, body)
    say(json.dumps(answer.predictions[0]), "bold")
    say(f"(version {answer.version} of {client.config.model})", "dim")
    if taken.table is not None:
        say(in_words(taken.table, row, answer.predictions[0]))
    if options.explain:
        show_explanation(client, taken, instance)
    for surprise in learned_by(client, answer.version).surprises(instance):
        say(f"Note: {surprise}", "yellow")
    return 0


def show_explanation(client: Client, taken: Contract, instance: Instance) -> None:
    """Prints what each column adds to the default version's answer.

    Raises:
        UserError: the model is no table's, or has no training rows beside it.
    """
    described = explanation.table_of(taken)
    explain = explanation.explainer(client, taken)
    with step("Explaining"):
        found = explain(instance)
    say(explanation_text.summary(described, found), "bold")
    out.print(explanation_text.lines(described, instance, found))
    say(explanation_text.doubt(described, found), "dim")


def only_one_source(options: argparse.Namespace) -> None:
    """Raises UserError where instances are given in two ways."""
    given = [f"--{name}" for name in ("row", "instance", "file") if vars(options)[name] is not None]
    if feature_flags(options):
        given.append("flags of features")
    if options.file is not None and options.all_versions:
        raise UserError("--all-versions: compares the answers about one row, got --file; give one.")
    if len(given) > 1:
        raise UserError(f"Expected instances from one place, got {' and '.join(given)}; give one.")


def one_instance(
    client: Client, taken: Contract, options: argparse.Namespace
) -> tuple[Instance, Row | None]:
    """Returns the instance of the flags, and its row where it comes from the test file.

    Raises:
        UserError: it cannot be read, or the model has no test file.
    """
    only_one_source(options)
    flags = feature_flags(options)
    if options.instance is not None:
        return taken.parse(options.instance), None
    if taken.table is None:
        if options.row is not None or taken.sample is None:
            raise UserError(
                "Expected --instance or --file, as this model is no table's and has no test file."
            )
        return taken.sample, None
    check_table(client, taken.table)
    if flags:
        return instances.of_row(taken.table, flags), None
    row = instances.sample_row(client.config, options.row)
    return instances.of_row(taken.table, row), row


def check_table(client: Client, served: Table) -> None:
    """Raises UserError where the default version is of another table than the project's."""
    if served.name != client.config.data_set:
        raise UserError(
            f"The default version is of the table {served.name!r}, and the project's is"
            f" {client.config.data_set!r} now: deploy a model of it ('nox -s submit', then"
            " 'nox -s deploy'), or give --instance or --file with rows of the other."
        )


def shortened(line: str) -> str:
    """Returns a command without the middle of its data, where that would fill a screen."""
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 4 :]}"


def feature_flags(options: argparse.Namespace) -> Row:
    """Returns the features that were given as flags."""
    prefix = "feature "
    return {
        name.removeprefix(prefix): value
        for name, value in vars(options).items()
        if name.startswith(prefix) and value is not None
    }


def predict_file(client: Client, url: str, taken: Contract, options: argparse.Namespace) -> int:
    """Prints a prediction a line, in the order of the file's instances."""
    found = taken.read(options.file, allow_missing=options.allow_missing)
    versions = set()
    for chunk in taken.in_requests(found):
        answer = prediction.ask(client, url, {"instances": chunk})
        versions.add(answer.version)
        for each in answer.predictions:
            print(json.dumps(each))
    summary = f"{counted(len(found), 'prediction')} of version {', '.join(sorted(versions))}"
    err.print(text(summary, "dim"))
    learned = learned_by(client, max(versions, key=int))
    noted = [(row, notes) for row, each in enumerate(found) if (notes := learned.surprises(each))]
    for row, notes in noted[:SHOWN_ROWS]:
        err.print(text(f"Note: row {row}: {' '.join(notes)}", "yellow"))
    if len(noted) > SHOWN_ROWS:
        err.print(text(f"{counted(len(noted), 'row')} have such values.", "yellow"))
    return 0


def explain_file(client: Client, taken: Contract, options: argparse.Namespace) -> int:
    """Prints an explanation a line as JSON, in the order of the file's instances."""
    explain = explanation.explainer(client, taken)
    for instance in taken.read(options.file, allow_missing=options.allow_missing):
        print(json.dumps(explanation.document(explain(instance))))
    return 0


def learned_by(client: Client, number: str) -> TrainingValues:
    """Returns what a version learned from."""
    return training_values.read(client, lookup.version(client, number).artifact_uri)


def compare_versions(client: Client, url: str, body: dict[str, Any]) -> None:
    """Prints what each version answers that gets traffic, and which get none."""
    endpoint = lookup.serving_endpoint(client)
    shares = traffic.version_shares(endpoint)
    awaited = {version for version, share in shares.items() if share > 0}
    answers: dict[str, Prediction] = {}
    with step(f"Predicting until {len(awaited)} of {len(shares)} versions have answered"):
        for _ in range(traffic.tries(min(shares[version] for version in awaited))):
            answer = prediction.ask(client, url, body)
            answers[answer.version] = answer.predictions[0]
            if answers.keys() >= awaited:
                break
    rows: list[list[Cell]] = []
    for version, share in sorted(shares.items(), key=lambda each: int(each[0])):
        shown = json.dumps(answers[version]) if version in answers else "no traffic"
        if version in awaited - answers.keys():
            shown = "no answer; try again"
        rows.append([version, f"{share} %", shown])
    columns = [Column("version"), Column("traffic"), Column("prediction")]
    out.print(table(columns, rows))
    if awaited != shares.keys():
        next_commands(
            ("nox -s versions", "'nox -s deploy -- --traffic PERCENT' gives a version a share")
        )
