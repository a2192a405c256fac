import math
from typing import Any

import numpy as np
import pytest

from table_schema.columns import Column, Label, Table
from trainer.tabular.baselines import PRIOR, baselines, boosting
from trainer.tabular.data import Rows

BINARY = Label("y", ("no", "yes"), "what")
NUMBER = Label("y", (), "what")
COLUMNS = (
    Column("noise", "number", ""),
    Column("signal", "number", ""),
    Column("town", "category", ""),
    Column("on", "boolean", ""),
)


def rows(seed: int, count: int, regression: bool = False) -> Rows:
    """The label follows `signal`, and `town` a little, which is unknown or missing at times."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(0, 2, count).astype(np.float32)
    town = rng.choice(np.array(["a", "b", "", f"only in {seed}"], object), count)
    features: dict[str, Any] = {
        "noise": rng.normal(0, 1, count).astype(np.float32),
        "signal": signal,
        "town": town,
        "on": rng.random(count) < 0.5,
    }
    mean = signal + (town == "a")
    chance = 1 / (1 + np.exp(-mean))
    labels = mean.astype(np.float32) if regression else (rng.random(count) < chance).astype("i4")
    features["signal"][:5] = np.nan
    return Rows("memory", features, labels)


def test_the_majority_gives_each_class_its_share_of_the_training_rows() -> None:
    def of(labels: list[int]) -> Rows:
        return Rows("", {"noise": np.zeros(len(labels), np.float32)}, np.array(labels, np.int32))

    table = Table("t", "key", BINARY, COLUMNS[:1])
    found = baselines(table, of([0, 0, 0, 1]), of([0, 1]), of([0, 1]))["majority class"]
    assert found["auc"] == 0.5
    assert found["accuracy"] == 0.5
    assert found["log_loss"] == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)


def test_the_best_column_is_found_and_nearly_as_good_as_its_true_curve() -> None:
    table = Table("t", "key", BINARY, (*COLUMNS[:2], COLUMNS[2], COLUMNS[3]))
    test = rows(2, 4_000)
    found = baselines(table, rows(0, 20_000), rows(1, 2_000), test)
    assert list(found) == ["majority class", "signal alone"]
    known = np.isfinite(test.features["signal"])
    chance = 1 / (1 + np.exp(-test.features["signal"][known] - 0.25))
    truth = -np.log(np.where(test.labels[known] == 1, chance, 1 - chance)).mean()
    assert found["signal alone"]["log_loss"] == pytest.approx(truth, abs=0.02)


def test_a_category_predicts_by_its_values_and_unknown_ones_by_the_prior() -> None:
    def of(towns: list[str], labels: list[int]) -> Rows:
        return Rows("", {"town": np.array(towns, object)}, np.array(labels, np.int32))

    table = Table("t", "key", BINARY, COLUMNS[2:3])
    train = of(["a"] * 30 + ["b"] * 10, [1] * 30 + [0] * 10)
    found = baselines(table, train, train, of(["a", "c"], [1, 0]))["town alone"]
    prior = 30 / 40
    known = (30 + PRIOR * prior) / (30 + PRIOR)
    assert found["log_loss"] == pytest.approx(-(math.log(known) + math.log(1 - prior)) / 2)


def test_a_number_has_the_mean_and_its_best_column() -> None:
    table = Table("t", "key", NUMBER, COLUMNS)
    test = rows(2, 2_000, regression=True)
    found = baselines(table, rows(0, 8_000, regression=True), rows(1, 1_000, regression=True), test)
    assert list(found) == ["mean", "signal alone"]
    assert found["mean"]["r2"] == pytest.approx(0, abs=0.01)
    assert found["signal alone"]["r2"] > 0.9


def test_a_column_without_any_value_is_no_worse_than_the_majority() -> None:
    def of(labels: list[int]) -> Rows:
        gaps = np.full(len(labels), np.nan, np.float32)
        return Rows("", {"noise": gaps}, np.array(labels, np.int32))

    table = Table("t", "key", BINARY, COLUMNS[:1])
    found = baselines(table, of([0, 0, 1, 1]), of([0, 1]), of([0, 1]))
    assert found["noise alone"] == pytest.approx(found["majority class"])


def test_boosting_learns_from_categories_numbers_and_gaps() -> None:
    table = Table("t", "key", BINARY, COLUMNS)
    found = boosting(table, rows(0, 4_000), rows(1, 1_000), 3_000, seed=0)
    assert found["rows"] == 3_000
    alone = baselines(table, rows(0, 4_000), rows(2, 1_000), rows(1, 1_000))
    assert found["scores"]["log_loss"] < alone["signal alone"]["log_loss"] + 0.05
    assert found["scores"]["auc"] > 0.8


def test_boosting_of_a_number_and_of_a_class_that_was_not_drawn() -> None:
    table = Table("t", "key", NUMBER, COLUMNS)
    test = rows(1, 500, regression=True)
    found = boosting(table, rows(0, 2_000, regression=True), test, 2_000, seed=0)
    assert found["scores"]["r2"] > 0.9
    three = Table("t", "key", Label("y", ("a", "b", "c"), "what"), COLUMNS[:1])
    features = {"noise": np.arange(60, dtype=np.float32)}
    labels = np.array([0, 1] * 30, np.int32)
    found = boosting(three, Rows("", features, labels), Rows("", features, labels), 60, seed=0)
    assert "log_loss" in found["scores"]


def test_boosting_wants_a_column_that_is_no_text() -> None:
    table = Table("t", "key", BINARY, (Column("words", "text", "words"),))
    none = Rows("", {"words": np.array(["a"], object)}, np.array([0], np.int32))
    assert boosting(table, none, none, 10, seed=0) == {}
