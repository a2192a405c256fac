import itertools
import math

import numpy as np
import pytest

from trainer import evaluate
from trainer.columns import Column, Label, Table
from trainer.data import Rows


def test_auc_counts_pairs_in_order_and_ties_as_half() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(60) < 0.4
    scores = rng.integers(0, 12, 60) / 12
    pairs = itertools.product(scores[positive], scores[~positive])
    expected = np.mean([(high > low) + (high == low) / 2 for high, low in pairs])
    assert evaluate.roc_auc(positive, scores) == pytest.approx(expected, abs=1e-12)


def test_scores_of_two_classes() -> None:
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]])
    scores = evaluate.score(probabilities, np.array([0, 1, 1]))
    assert scores["auc"] == 1
    assert scores["accuracy"] == pytest.approx(2 / 3)
    expected = -(math.log(0.9) + math.log(0.6) + math.log(0.2)) / 3
    assert scores["log_loss"] == pytest.approx(expected)


def test_auc_of_more_classes_is_the_mean_over_those_present() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    labels = np.array([0, 1, 1, 0])
    first = evaluate.roc_auc(labels == 0, probabilities[:, 0])
    second = evaluate.roc_auc(labels == 1, probabilities[:, 1])
    assert evaluate.score(probabilities, labels)["auc"] == pytest.approx((first + second) / 2)


def test_a_sure_mistake_costs_much_but_not_infinity() -> None:
    scores = evaluate.score(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1, 0]))
    assert 8 < scores["log_loss"] < 9


def rows(numbers: list[float], labels: list[int]) -> Rows:
    return Rows("memory", {"x": np.array(numbers, np.float32)}, np.array(labels, np.int32), "")


def table(classes: tuple[str, ...]) -> Table:
    label = Label("y", classes, "what")
    return Table("t", "key", label, (Column("x", "number", "x"),), baseline="x")


def test_the_majority_baseline_gives_each_class_its_share_of_the_training_rows() -> None:
    train = rows([0, 0, 0, 0], [0, 0, 0, 1])
    test = rows([0, 0], [0, 1])
    found = evaluate.baselines(table(("no", "yes")), train, test)["majority class"]
    assert found["auc"] == 0.5
    assert found["accuracy"] == 0.5
    assert found["log_loss"] == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)


def test_the_column_baseline_is_the_most_likely_logistic_curve() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(5, 3, 2_000).astype(np.float32)
    labels = (rng.random(2_000) < 1 / (1 + np.exp(2 - 0.7 * numbers))).astype(np.int32)
    numbers[:20] = np.nan
    train = Rows("memory", {"x": numbers}, labels, "")
    found = evaluate.baselines(table(("no", "yes")), train, train)["x alone"]
    filled = np.nan_to_num(numbers.astype(np.float64), nan=float(np.nanmean(numbers)))

    def log_loss(intercept: float, slope: float) -> float:
        p = 1 / (1 + np.exp(-intercept - slope * filled))
        return float(-np.log(np.where(labels == 1, p, 1 - p)).mean())

    # No curve near the one that made the data is likelier.
    around = [
        log_loss(-2 + i, 0.7 + s)
        for i in np.linspace(-0.5, 0.5, 41)
        for s in np.linspace(-0.2, 0.2, 41)
    ]
    assert found["log_loss"] <= min(around) + 1e-6


def test_a_column_that_separates_the_classes_is_a_baseline_too() -> None:
    found = evaluate.baselines(
        table(("no", "yes")), rows([1, 2, 3, 4], [0, 0, 1, 1]), rows([0, 5], [0, 1])
    )
    assert found["x alone"]["auc"] == 1
    assert math.isfinite(found["x alone"]["log_loss"])


def test_more_than_two_classes_have_the_majority_baseline_only() -> None:
    train = rows([1, 2, 3], [0, 1, 2])
    assert list(evaluate.baselines(table(("a", "b", "c")), train, train)) == ["majority class"]


def test_a_comparison_says_by_how_much() -> None:
    model = {"auc": 0.9, "log_loss": 0.2, "accuracy": 0.8}
    said = evaluate.compare(model, "guess", {"auc": 0.5, "log_loss": 0.6, "accuracy": 0.85})
    assert "better by 0.4000 in ROC AUC" in said
    assert "better by 0.4000 in log loss" in said
    assert "worse by 0.0500 in accuracy" in said
