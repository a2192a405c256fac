"""What an instance has: its fields, as a client in any language writes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from cloud.console import CONTROLS, amount
from cloud.serving.contract import Contract, PlainContract
from cloud.serving.instances import Instance
from cloud.serving.plain_instances import Input
from cloud.serving.training_values import TrainingValues, known_values
from table_schema.columns import MISSING, NUMBER_MISSING_IN_JSON, Column
from table_schema.values import DAY_OF_TIMES

# `file` is base64 in JSON, {"b64": "…"}, as TensorFlow Serving takes bytes, documented at
# https://www.tensorflow.org/tfx/serving/api_rest#encoding_binary_values; `json` is a list.
Type = Literal["number", "integer", "boolean", "text", "file", "json"]
TYPES: dict[str, Type] = {"image": "file", "bytes": "file", "tensor": "json"}
TYPES |= {kind: kind for kind in ("number", "integer", "boolean")}
# Of a class file of Java, a text of up to 65,535 bytes fits in; an example of more says nothing.
LONGEST_EXAMPLE = 16_000
MOST_CHOICES = 200
# What an instance of a table has in place of a value that is missing.
GAPS: dict[Type, Any] = {
    "number": NUMBER_MISSING_IN_JSON,
    "integer": MISSING["integer"],
    "text": MISSING["text"],
}
# As table_schema/values.py reads them.
DAY, TIME_OF_DAY = "2013-01-31", "17:05"
MAX_SAFE_INTEGER = 2**53 - 1  # of JavaScript, whose numbers are doubles


@dataclass(frozen=True)
class Field:
    """One value of an instance.

    Attributes:
        name: in JSON.
        type: how a client writes it.
        about: what it holds, with its unit and what the training rows had of it; one line.
        example: a value as JSON has it; None where it is too long to be one.
        choices: the values that the model tells apart, where it does.
        shape: of a list that has dtype and shape, in words.
        form: of a text that is a date or a time: how it is written, such as 2013-01-31.
    """

    name: str
    type: Type
    about: str
    example: Any = None
    choices: tuple[Any, ...] = field(default=(), hash=False)
    shape: str = ""
    form: str = ""


def of_contract(taken: Contract, sample: Instance, learned: TrainingValues) -> list[Field]:
    """Returns the fields of what a model takes.

    Args:
        taken: by the model.
        sample: an instance, whole.
        learned: what the training rows held.
    """
    if isinstance(taken, PlainContract):
        return [_of_input(each, sample) for each in taken.inputs.values()]
    columns = taken.table.columns if taken.table else ()
    return [_of_column(each, sample, learned) for each in columns]


def _of_column(column: Column, sample: Instance, learned: TrainingValues) -> Field:
    name, example = column.name, sample[column.name]
    days = learned.dates.get(name)
    form = _form(example, days) if column.kind == "timestamp" else ""
    choices = tuple(learned.vocabulary.get(name, ()))
    # What is called as it is named needs no words for it.
    words = dict.fromkeys(each for each in (column.heading, column.about) if each != name)
    parts = [": ".join(words)]
    if form:
        # A SavedModel refuses all rows of a request or none, so it takes a bad date for a gap.
        parts.append(f"written as {form}, and another text counts as a gap")
    if seen := _seen(column, choices, learned):
        parts.append(f"training rows: {seen}")
    about = one_line("; ".join(filter(None, parts)) or column.about)
    kind = TYPES.get(column.kind, "text")
    return Field(name, kind, about, _short(kind, example), choices[:MOST_CHOICES], form=form)


def _form(example: str, days: tuple[str, str] | None) -> str:
    """Returns how a date, a date and time, or a time of day is written, as the example has it."""
    if example[2:3] == ":" or (not example and _are_times(days)):
        return TIME_OF_DAY
    return f"{DAY} {TIME_OF_DAY}" if ":" in example else DAY


def _are_times(days: tuple[str, str] | None) -> bool:
    return days is not None and set(days) == {DAY_OF_TIMES}


def _seen(column: Column, choices: tuple[Any, ...], learned: TrainingValues) -> str:
    name = column.name
    if name in learned.ranges:
        low, high = learned.ranges[name]
        return f"{amount(low)} to {amount(high)}"
    if name in learned.dates:
        return "" if _are_times(learned.dates[name]) else " to ".join(learned.dates[name])
    if choices and column.kind == "integer":
        return f"{min(choices)} to {max(choices)}"
    return known_values(choices)


def _of_input(taken: Input, sample: Mapping[str, Any]) -> Field:
    kind = TYPES.get(taken.kind, "text")
    about = one_line(": ".join(filter(None, (taken.tensor, taken.about))))
    return Field(taken.name, kind, about, _short(kind, sample.get(taken.name)), (), taken.tensor)


def _short(kind: Type, value: Any) -> Any:
    """Returns an example, with no more digits than a float32 has; None of a long one."""
    if kind == "file":
        value = value.get("b64") if isinstance(value, dict) else value or None
    if len(str(value)) > LONGEST_EXAMPLE:
        return None
    if kind == "number" and value is not None and value != NUMBER_MISSING_IN_JSON:
        return float(str(np.float32(value)))
    return value


def one_line(text: str) -> str:
    """Returns a text that is safe in a comment that ends with its line, in any language."""
    return " ".join(CONTROLS.sub(" ", text).replace("\ufeff", "").split())


def is_exact_in_javascript(field: Field) -> bool:
    """Whether a number of JavaScript can be a field's example."""
    return field.type != "integer" or abs(field.example or 0) <= MAX_SAFE_INTEGER
