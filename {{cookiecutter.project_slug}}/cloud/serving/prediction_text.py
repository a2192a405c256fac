"""A model's predictions in words, beside what really happened."""

from typing import Any

from cloud.console import amount
from cloud.serving.instances import Row
from cloud.serving.prediction import Prediction, outputs
from table_schema.columns import Table

Outputs = dict[str, Any]


def in_words(table: Table, row: Row | None, prediction: Prediction) -> str:
    """Says what was predicted, beside what really happened.

    Args:
        table: the project's table.
        row: of the test file; None where nobody knows what really happened.
        prediction: the model's outputs.
    """
    named = outputs(prediction)
    if row is None:
        label = table.label
        about = f"; {label.heading!r} is {label.about}" if label.about != label.heading else ""
        return f"The model says {as_text(table, named)}{about}."
    describe = {"flights": flight_in_words, "flights_delay": delay_in_words}.get(
        table.name, row_in_words
    )
    return describe(table, row, named)


def flight_in_words(_table: Table, row: Row, prediction: Outputs) -> str:
    """Tells a flight: who flew where, the chance predicted at departure, and its arrival."""
    chance = 100 * prediction["probability"]
    left, arrived = float(row["dep_delay"]), float(row["arr_delay"])
    return (
        f"Flight {row['flight']} left {minutes(left)}. The model gave it a chance of {chance:.0f} %"
        f" to arrive more than 15 minutes late. It arrived {minutes(arrived)}:"
        f" {'late' if arrived > 15 else 'not late'}."
    )


def delay_in_words(_table: Table, row: Row, prediction: Outputs) -> str:
    """Tells a flight: who flew where, the arrival estimated at departure, and the true one."""
    return (
        f"Flight {row['flight']} left {minutes(float(row['dep_delay']))}. The model expected it to"
        f" arrive {minutes(prediction['value'])}. It arrived {minutes(float(row['arr_delay']))}."
    )


def row_in_words(table: Table, row: Row, prediction: Outputs) -> str:
    """Tells the prediction for a row and the truth."""
    name, truth = table.label.heading, row[table.label.name]
    told = f"The model says {as_text(table, prediction)}; {name!r} is"
    if table.label.kind == "regression":
        return f"{told} {amount(float(truth))}."
    sentence = f"{told} {truth}"
    return f"{sentence}: {'right' if prediction['label'] == truth else 'wrong'}."


def as_text(table: Table, prediction: Outputs) -> str:
    """Writes a prediction: the number, or the class and its probability."""
    if table.label.kind == "regression":
        return amount(prediction["value"])
    label = prediction["label"]
    if table.label.kind == "binary":
        second = prediction.get("probability", 0)
        sure = second if label == table.label.classes[1] else 1 - second
    else:
        sure = prediction["probabilities"][table.label.classes.index(label)]
    return f"{label} ({100 * sure:.0f} %)"


def minutes(delay: float) -> str:
    """Writes a delay in minutes: `12 minutes late`, `3 minutes early`, `on time`."""
    if round(delay) == 0:
        return "on time"
    unit = "minute" if abs(round(delay)) == 1 else "minutes"
    return f"{abs(delay):.0f} {unit} {'late' if delay > 0 else 'early'}"
