"""Real rows that have not changed raise no alarm, and real changes do."""

import csv
import io
import random
from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest

from cloud.datasets import makers
from cloud.monitoring import columns
from cloud.monitoring.columns import Limits, Values
from cloud.serving.instances import Row, of_row, whole
from table_schema.tables import TABLES

NEVER_WRONG = Limits(distance=0.0, share=0.0)  # chance alone decides


@cache
def rows(name: str) -> tuple[dict[str, Values], list[Row]]:
    """The training rows, counted as `drift` counts them, and others of the same months."""
    splits = makers.make(name, 20_000 if name == "flights" else None)
    texts = {split: frame.to_csv(index=False) for split, frame in splits.items()}
    read = {split: list(csv.DictReader(io.StringIO(text))) for split, text in texts.items()}
    table = TABLES[name]
    counted = {
        column.name: Counter(row[column.name] for row in read["train"]) for column in table.columns
    }
    return columns.of_texts(table, counted), read["eval"] + read["test"]


def alarms(name: str, found: list[Row], limits: Limits) -> dict[str, tuple[str, ...]]:
    table = TABLES[name]
    now = columns.of_instances(table, [whole(table, of_row(table, row)) for row in found])
    compared = columns.compare(table, rows(name)[0], now, limits)
    return {each.name: each.alarms for each in compared if each.alarms}


@pytest.mark.parametrize(
    ("name", "count"),
    [("flights", 50), ("flights", 200), ("flights", 1_000), ("penguins", 20), ("penguins", 60)],
)
def test_streams_of_unchanged_rows_raise_no_alarm(name: str, count: int) -> None:
    """Four of each size: twenty tries, twelve of them of flights."""
    for seed in range(4):
        drawn = random.Random(seed).sample(rows(name)[1], count)  # noqa: S311, no secret
        assert alarms(name, drawn, NEVER_WRONG) == {}, seed


@pytest.mark.parametrize(
    ("keep", "change", "expected"),
    [
        (lambda row: row["month"] in ("6", "7"), {}, {"month", "temp"}),
        (lambda row: row["carrier"] != "UA", {}, {"carrier"}),
        (lambda row: True, {"dep_delay": 1 / 60}, {"dep_delay"}),
    ],
    ids=["other months", "a carrier gone", "minutes sent as hours"],
)
def test_known_changes_of_flights_are_found(
    keep: Callable[[Row], bool], change: dict[str, float], expected: set[str]
) -> None:
    drawn = random.Random(0).sample([row for row in rows("flights")[1] if keep(row)], 300)  # noqa: S311, no secret
    scaled = [
        row | {name: str(float(row[name] or 0) * factor) for name, factor in change.items()}
        for row in drawn
    ]
    found = alarms("flights", scaled, Limits())
    assert found.keys() == expected
