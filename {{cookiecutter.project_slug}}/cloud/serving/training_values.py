"""Which values a model learned from, so that a prediction for others can be seen as a guess."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.api_core import exceptions

from cloud.client import Client
from cloud.console import amount
from cloud.serving.instances import Instance
from table_schema.values import moment

FILE = "statistics.json"  # as the trainer writes it beside its SavedModel
SHOWN = 8
ROUNDED = 1e-6


@dataclass(frozen=True)
class TrainingValues:
    """What the training rows held; a column that is in neither is unknown.

    Attributes:
        vocabulary: the values of category and integer columns that the model tells apart.
        ranges: the smallest and the largest value of number columns.
        dates: the first and the last day of timestamp columns, such as 2013-01-31.
    """

    vocabulary: dict[str, list[Any]] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    dates: dict[str, tuple[str, str]] = field(default_factory=dict)

    def surprises(self, instance: Instance) -> list[str]:
        """Says of each value of an instance that the training rows did not have, how it differs."""
        found = []
        for name, value in instance.items():
            known = self.vocabulary.get(name)
            if known and value not in known:
                found.append(
                    f"{name} {value!r} was not seen in training, or too seldom to learn from;"
                    f" known values: {known_values(known)}."
                )
            if name in self.ranges and isinstance(value, int | float):
                low, high = self.ranges[name]
                # The trainer reads numbers as float32, which may round the ends a little.
                if not low - ROUNDED * abs(low) <= value <= high + ROUNDED * abs(high):
                    found.append(
                        f"{name} {amount(value)} is outside the range of the training rows,"
                        f" {amount(low)} to {amount(high)}."
                    )
            if name in self.dates and isinstance(value, str):
                first, last = self.dates[name]
                if not first <= moment(value)[: len(last)] <= last:
                    found.append(
                        f"{name} {value} is outside the range of the training rows, {first} to"
                        f" {last}."
                    )
        return found


def known_values(known: Sequence[Any]) -> str:
    """Writes the first values that a model tells apart; texts in quotes, as they have commas."""
    return ", ".join(map(repr, sorted(known)[:SHOWN])) + ", …" * (len(known) > SHOWN)


def read(client: Client, folder: str) -> TrainingValues:
    """Reads what a model learned from; nothing where its folder does not say.

    Args:
        client: of the target.
        folder: gs:// URI of the folder with the SavedModel.
    """
    try:
        document = json.loads(client.blob(f"{folder.rstrip('/')}/{FILE}").download_as_bytes())
        hashed = document.get("buckets", {})
        return TrainingValues(
            {name: values for name, values in document["vocabulary"].items() if name not in hashed},
            {name: (low, high) for name, (low, high) in document.get("ranges", {}).items()},
            {name: (first, last) for name, (first, last) in document.get("dates", {}).items()},
        )
    except (exceptions.NotFound, ValueError, KeyError, AttributeError):
        return TrainingValues()
