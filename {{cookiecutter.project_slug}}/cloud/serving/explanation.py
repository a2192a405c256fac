"""Why a model answers as it does: what each column of a row adds to the answer.

A row is compared with training rows, the background: column by column a background row takes the
values of the row that is explained, in an order drawn at random, and each step's change of the
answer is that column's. The mean of it over orders and background rows is the column's Shapley
value; all of them and the mean answer of the background add up to the row's answer. Nothing but
predictions is needed, so any model of a table is explained, wherever it is served.

Source: Strumbelj and Kononenko, Explaining Prediction Models and Individual Predictions with
Feature Contributions (2014); each order is also taken backwards, as in Mitchell et al., Sampling
Permutations for Shapley Value Estimation (2022), section 4.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from google.api_core import exceptions

from cloud import lookup
from cloud.client import Client
from cloud.errors import UserError
from cloud.serving.contract import Contract
from cloud.serving.instances import Instance
from cloud.serving.prediction import Prediction, of_version, outputs
from table_schema.columns import Label, Table

FILE = "background.json"  # as the trainer writes it beside its SavedModel
MOST_ROWS = 6_000  # that a model is asked about for one explanation
LEAST_BACKGROUND = 8  # rows of the background, also where the columns are many
CONFIDENCE = 1.96  # standard errors, each way, of an interval of 95 %

Ask = Callable[[list[Instance]], Sequence[Prediction]]


@dataclass(frozen=True)
class Explanation:
    """An answer, and what each column adds to it.

    Attributes:
        prediction: the model's outputs for the row.
        answer: the number that is explained: a probability, or the estimate.
        base: its mean over the background rows.
        contributions: by column; with `base` they add up to `answer`.
        within: how far each contribution is off at most, with 95 % confidence, as orders and
            background rows are drawn.
        background: how many rows of it there were.
    """

    prediction: Prediction
    answer: float
    base: float
    contributions: dict[str, float]
    within: dict[str, float]
    background: int


def table_of(taken: Contract) -> Table:
    """Returns the table whose columns an explanation names.

    Raises:
        UserError: the model is no table's.
    """
    if taken.table is None:
        raise UserError(
            "--explain: expected a model of a table, whose columns have names and values to compare"
            " with; this model takes whole tensors, of which no part means anything alone."
        )
    return taken.table


def explainer(client: Client, taken: Contract) -> Callable[[Instance], Explanation]:
    """Returns what explains rows by the default version.

    Raises:
        UserError: it has no training rows beside it.
    """
    version = lookup.version(client, "default")
    described = table_of(taken)
    background = read_background(client, version.artifact_uri)
    names = [column.name for column in described.columns]

    def of_columns(instance: Instance) -> Instance:
        whole = taken.whole(instance)
        return {name: whole[name] for name in names}

    def ask(rows: list[Instance]) -> list[Prediction]:
        return of_version(client, version.version_id, taken, rows)

    compared = [of_columns(row) for row in background]
    return lambda instance: explain(of_columns(instance), compared, described.label, ask)


def read_background(client: Client, folder: str) -> list[Instance]:
    """Reads the training rows that are kept beside a model.

    Args:
        client: of the target.
        folder: gs:// URI of the folder with the SavedModel's numbered folder.

    Raises:
        UserError: it has none.
    """
    uri = f"{folder.rstrip('/')}/{FILE}"
    try:
        rows = json.loads(client.blob(uri).download_as_bytes())["rows"]
    except exceptions.NotFound as error:
        raise UserError(
            f"There is no {uri}, whose training rows an explanation compares with: train the model"
            " again, without --background-rows=0."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{uri}: expected the rows that the trainer writes, got something else ({error!r});"
            " train the model again."
        ) from error
    return list(rows)


def explained_number(label: Label, prediction: Prediction) -> Callable[[Prediction], float]:
    """Returns what reads the number to explain out of predictions.

    It is the estimate; of two classes the probability of the second one; of more that of the class
    that is the answer.

    Args:
        label: what is predicted.
        prediction: the one to explain.
    """
    if label.kind == "regression":
        return lambda each: float(outputs(each)["value"])
    if label.kind == "binary":
        return lambda each: float(outputs(each)["probability"])
    place = label.classes.index(outputs(prediction)["label"])
    return lambda each: float(outputs(each)["probabilities"][place])


def explain(
    instance: Instance, background: Sequence[Instance], label: Label, ask: Ask
) -> Explanation:
    """Explains the answer for one row.

    Args:
        instance: the row, with all columns of the table and no others.
        background: training rows, likewise.
        label: what is predicted.
        ask: returns the model's predictions for rows, in their order.
    """
    names = list(instance)
    turns = random.Random(0)  # noqa: S311 - the same explanation each time
    orders = 2 * (len(names) + 1)  # rows of an order and of its reverse
    count = min(len(background), max(LEAST_BACKGROUND, MOST_ROWS // orders))
    used = turns.sample(background, count)
    rows: dict[str, int] = {}  # each different row once, and its place

    def place_of(row: Instance) -> int:
        return rows.setdefault(json.dumps(row, sort_keys=True), len(rows))

    place_of(instance)
    walks: list[list[tuple[str, int, int]]] = []  # by background row: column, before, after
    for other in used:
        order = turns.sample(names, len(names))
        steps = []
        for way in (order, order[::-1]):
            row = {name: other[name] for name in names}
            before = place_of(row)
            for name in way:
                row[name] = instance[name]
                after = place_of(row)
                steps.append((name, before, after))
                before = after
        walks.append(steps)
    predictions = ask([json.loads(row) for row in rows])
    number = explained_number(label, predictions[0])
    answers = [number(each) for each in predictions]
    changes: dict[str, list[float]] = {name: [] for name in names}
    for steps in walks:
        of_walk = dict.fromkeys(names, 0.0)
        for name, before, after in steps:
            of_walk[name] += (answers[after] - answers[before]) / 2
        for name, change in of_walk.items():
            changes[name].append(change)
    within = {
        name: CONFIDENCE * stdev(each) / len(each) ** 0.5 if len(each) > 1 else 0.0
        for name, each in changes.items()
    }
    return Explanation(
        prediction=predictions[0],
        answer=answers[0],
        base=fmean(answers[steps[0][1]] for steps in walks),
        contributions={name: fmean(each) for name, each in changes.items()},
        within=within,
        background=len(used),
    )


def document(explanation: Explanation) -> dict[str, Any]:
    """Returns an explanation as JSON has it."""
    return {
        "prediction": explanation.prediction,
        "answer": explanation.answer,
        "base": explanation.base,
        "contributions": explanation.contributions,
        "within": explanation.within,
    }
