"""What each column adds to an answer, of models whose Shapley values are known."""

import io
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from rich.console import Console

from cloud.errors import UserError
from cloud.serving import explanation, explanation_text
from cloud.serving.contract import PlainContract
from cloud.serving.instances import Instance
from cloud.serving.prediction import Prediction
from table_schema.columns import NUMBER_MISSING_IN_JSON, Column, Label, Table

NUMBER = Label("price", (), "what it costs", "Price (€)")
ROWS: list[Instance] = [{"a": float(n % 5), "b": float(n % 3), "c": "x"} for n in range(30)]
HERE: Instance = {"a": 7.0, "b": -2.0, "c": "y"}


def asked(model: Callable[[Instance], Prediction]) -> explanation.Ask:
    return lambda rows: [model(row) for row in rows]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def test_columns_that_only_add_up_have_their_distance_from_the_mean() -> None:
    def model(row: Instance) -> float:
        return float(3 * row["a"] - row["b"] + 10 * (row["c"] == "y"))

    found = explanation.explain(HERE, ROWS, NUMBER, asked(model))
    assert found.answer == model(HERE)
    assert found.base == pytest.approx(mean([model(row) for row in ROWS]))
    assert found.contributions == pytest.approx(
        {"a": 3 * (7 - mean([row["a"] for row in ROWS])), "b": 2 + 1, "c": 10}
    )
    assert found.within["c"] == 0  # it is the same beside each row


def test_columns_that_work_together_share_what_they_do_and_all_add_up() -> None:
    def model(row: Instance) -> dict[str, Any]:
        chance = 0.1 + 0.1 * row["a"] * (row["c"] == "y")
        return {"label": "yes" if chance > 0.5 else "no", "probability": chance}

    label = Label("y", ("no", "yes"), "")
    found = explanation.explain(HERE, ROWS, label, asked(model))
    total = found.base + sum(found.contributions.values())
    assert total == pytest.approx(found.answer) == pytest.approx(0.8)
    # Shapley's own formula: with `c` after `a` it adds 0.7, before it 0.1 times the other's `a`.
    of_c = mean([(0.7 + 0.1 * row["a"]) / 2 for row in ROWS])
    assert found.contributions == pytest.approx({"a": 0.7 - of_c, "b": 0.0, "c": of_c})
    assert found == explanation.explain(HERE, ROWS, label, asked(model))


def test_of_many_classes_the_answer_is_explained() -> None:
    def model(row: Instance) -> dict[str, Any]:
        second = 0.9 if row["c"] == "y" else 0.2
        return {"label": "B", "probabilities": [1 - second, second, 0.0]}

    found = explanation.explain(HERE, ROWS, Label("y", ("A", "B", "C"), ""), asked(model))
    assert found.answer == 0.9
    assert found.base == pytest.approx(0.2)
    assert found.contributions == pytest.approx({"a": 0, "b": 0, "c": 0.7})


def test_a_model_is_asked_about_each_row_once_and_about_so_many_at_most() -> None:
    names = [f"x{number}" for number in range(400)]
    here, rows = dict.fromkeys(names, 1.0), [dict.fromkeys(names, 0.0 - n) for n in range(64)]
    counts: list[int] = []

    def ask(found: list[Instance]) -> list[Prediction]:
        counts.append(len(found))
        assert len({tuple(row.values()) for row in found}) == len(found)
        return [row["x0"] + row["x399"] for row in found]

    found = explanation.explain(here, rows, NUMBER, ask)
    assert counts[0] <= 2 * 401 * explanation.LEAST_BACKGROUND
    assert found.background == explanation.LEAST_BACKGROUND
    assert found.base + sum(found.contributions.values()) == pytest.approx(2.0)
    # What is the same in both rows needs no question.
    explanation.explain(here, [here | {"x0": 0.0}] * 3, NUMBER, ask)
    assert counts[1] == 2


def test_a_person_reads_headings_values_and_units() -> None:
    columns = (
        Column("a", "number", "", "Größe (cm)"),
        Column("b", "number", ""),
        *(Column(name, "category", "") for name in ("c", "d")),
        *(Column(f"e{number}", "number", "") for number in range(12)),
    )
    table = Table("t", "key", NUMBER, columns)
    added = {"a": 1234.5, "b": -300.0, "c": 0.0, "d": 20.0} | {f"e{n}": 1.0 for n in range(12)}
    instance = {"a": 182.5, "b": NUMBER_MISSING_IN_JSON, "c": "", "d": "w" * 60}
    instance |= {f"e{number}": float(number) for number in range(12)}
    answer = 5000.0 + sum(added.values())
    found = explanation.Explanation(answer, answer, 5000.0, added, dict.fromkeys(added, 2.0), 64)
    assert explanation_text.summary(table, found) == (
        "Price (€): 5,000 on average of 64 training rows, 5,966 here."
    )
    page = io.StringIO()
    Console(file=page, width=120).print(explanation_text.lines(table, instance, found))
    lines = [line.rstrip() for line in page.getvalue().splitlines()]
    assert lines[1].split("  ")[0] == "Größe (cm) 182.5"
    assert "+1,234" in lines[1]
    assert lines[1].endswith("█" * explanation_text.WIDTH)
    assert lines[2].startswith("b is missing")
    assert "-300" in lines[2]
    assert lines[3].startswith(f"d {'w' * 39}…")
    assert lines[-1].startswith("6 other columns")
    flights = Table(
        "flights", "key", Label("y", ("no", "yes"), ""), (Column("dep_delay", "number", ""),)
    )
    found = explanation.Explanation({}, 0.7, 0.24, {"dep_delay": 0.46}, {"dep_delay": 0.02}, 64)
    page = io.StringIO()
    drawn = explanation_text.lines(flights, {"dep_delay": 60.0}, found)
    Console(file=page, width=120).print(drawn)
    assert "left 60 minutes late  +46.0" in page.getvalue()
    assert explanation_text.summary(flights, found) == (
        "The chance that y is yes: 24 % on average of 64 training rows, 70 % here."
    )


def test_a_model_of_no_table_is_not_explained() -> None:
    with pytest.raises(UserError, match="--explain: expected a model of a table"):
        explanation.table_of(PlainContract({}, None))


def test_a_model_without_training_rows_beside_it_is_trained_again() -> None:
    def blob(uri: str) -> Any:
        def download_as_bytes() -> bytes:
            if "old" in uri:
                raise exceptions.NotFound(uri)
            return b"[]"

        return SimpleNamespace(download_as_bytes=download_as_bytes)

    client: Any = SimpleNamespace(blob=blob)
    with pytest.raises(UserError, match=r"There is no gs://b/old/background\.json, whose"):
        explanation.read_background(client, "gs://b/old/")
    with pytest.raises(UserError, match="expected the rows that the trainer writes"):
        explanation.read_background(client, "gs://b/other")
