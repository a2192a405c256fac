import itertools
import math

import numpy as np
import pytest
import sklearn.metrics

from table_schema import metrics
from table_schema.columns import Label


def random_binary(rows: int, levels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of few levels, so that many are equal, and labels that follow them."""
    rng = np.random.default_rng(seed)
    second = rng.integers(1, levels, rows) / levels
    labels = (rng.random(rows) < second).astype(np.int32)
    return np.stack([1 - second, second], axis=1), labels


def test_auc_counts_pairs_in_order_and_ties_as_half() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(60) < 0.4
    scores = rng.integers(0, 12, 60) / 12
    pairs = itertools.product(scores[positive], scores[~positive])
    expected = np.mean([(high > low) + (high == low) / 2 for high, low in pairs])
    assert metrics.roc_auc(positive, scores) == pytest.approx(expected, abs=1e-12)


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """The sum over 15 bins of equal width, as Guo et al. (2017) write it."""
    error = 0.0
    for low in range(15):
        here = (sure * 15 >= low) & ((sure * 15 < low + 1) | (low == 14))
        if here.any():
            error += here.mean() * abs(sure[here].mean() - right[here].mean())
    return float(error)


@pytest.mark.parametrize("levels", [3, 17, 10_000])
def test_scores_of_two_classes_are_those_of_scikit_learn(levels: int) -> None:
    probabilities, labels = random_binary(500, levels)
    second = probabilities[:, 1]
    assert metrics.score(probabilities, labels) == pytest.approx(
        {
            "auc": sklearn.metrics.roc_auc_score(labels, second),
            "pr_auc": sklearn.metrics.average_precision_score(labels, second),
            "log_loss": sklearn.metrics.log_loss(labels, second),
            "accuracy": sklearn.metrics.accuracy_score(labels, second >= 0.5),
            "brier": sklearn.metrics.brier_score_loss(labels, second),
            "ece": calibration_error(second, labels == 1),
        }
    )


def test_scores_of_three_classes_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    probabilities = rng.dirichlet([1, 1, 1], 200) + np.eye(3)[labels] / 3
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    assert metrics.score(probabilities, labels) == pytest.approx(
        {
            "auc": sklearn.metrics.roc_auc_score(labels, probabilities, multi_class="ovr"),
            "log_loss": sklearn.metrics.log_loss(labels, probabilities),
            "accuracy": sklearn.metrics.accuracy_score(labels, probabilities.argmax(axis=1)),
            "ece": calibration_error(
                probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
            ),
        }
    )


def test_scores_of_a_number_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.normal(5, 40, 300).astype(np.float32)
    estimates = (labels * 0.8 + rng.normal(0, 10, 300)).astype(np.float32)
    assert metrics.score(estimates, labels) == pytest.approx(
        {
            "rmse": sklearn.metrics.root_mean_squared_error(labels, estimates),
            "mae": sklearn.metrics.mean_absolute_error(labels, estimates),
            "r2": sklearn.metrics.r2_score(labels, estimates),
        },
        rel=1e-5,
    )


def test_auc_of_more_classes_is_the_mean_over_those_present() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    labels = np.array([0, 1, 1, 0])
    first = metrics.roc_auc(labels == 0, probabilities[:, 0])
    second = metrics.roc_auc(labels == 1, probabilities[:, 1])
    assert metrics.score(probabilities, labels)["auc"] == pytest.approx((first + second) / 2)


def test_rows_of_one_class_or_one_number_have_no_area_and_no_explained_variance() -> None:
    scores = metrics.score(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]))
    assert sorted(scores) == ["accuracy", "brier", "ece", "log_loss"]
    assert sorted(metrics.score(np.array([1.0, 2.0]), np.array([3.0, 3.0]))) == ["mae", "rmse"]


def test_a_weight_counts_a_row_so_many_times() -> None:
    probabilities, labels = random_binary(40, 7)
    weights = np.random.default_rng(1).integers(0, 4, 40)
    repeated = np.repeat(np.arange(40), weights)
    assert metrics.Scorer(probabilities, labels).scores(weights) == pytest.approx(
        metrics.score(probabilities[repeated], labels[repeated])
    )


def test_a_sure_mistake_costs_much_but_not_infinity() -> None:
    scores = metrics.score(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1, 0]))
    assert 8 < scores["log_loss"] < 9


def test_intervals_are_as_wide_as_theory_says_and_the_same_for_the_same_seed() -> None:
    probabilities, labels = random_binary(2_000, 10_000)
    found = metrics.intervals(probabilities, labels, seed=3)
    assert found == metrics.intervals(probabilities, labels, seed=3)
    accuracy = metrics.score(probabilities, labels)["accuracy"]
    low, high = found["accuracy"]
    assert low < accuracy < high
    # The normal interval of a share.
    width = 2 * 1.96 * math.sqrt(accuracy * (1 - accuracy) / 2_000)
    assert high - low == pytest.approx(width, rel=0.2)


def test_intervals_leave_out_draws_without_one_of_the_classes() -> None:
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    low, high = metrics.intervals(probabilities, np.array([0, 0, 1]), seed=0)["auc"]
    assert (low, high) == (1, 1)


def test_scores_are_said_by_their_names() -> None:
    assert metrics.in_words({"auc": 0.9, "log_loss": 0.25, "accuracy": 0.8, "brier": 0.1}) == (
        "log loss 0.2500, ROC AUC 0.9000, accuracy 0.8000"
    )
    assert metrics.in_words({"rmse": 17.5, "mae": 12, "r2": 0.8}) == (
        "RMSE 17.5000, MAE 12.0000, R² 0.8000"
    )


def test_a_comparison_says_by_how_much() -> None:
    model = {"auc": 0.9, "log_loss": 0.2, "accuracy": 0.8}
    said = metrics.compare(model, "guess", {"auc": 0.5, "log_loss": 0.6, "accuracy": 0.85})
    assert "better by 0.4000 in ROC AUC" in said
    assert "better by 0.4000 in log loss" in said
    assert "worse by 0.0500 in accuracy" in said
    said = metrics.compare({"rmse": 10.0}, "mean", {"rmse": 40.0})
    assert said == "Baseline, mean: RMSE 40.0000. The model is better by 30.0000 in RMSE."


def test_where_nine_tenths_are_of_one_class_accuracy_is_not_said() -> None:
    label, three = Label("y", ("no", "yes"), ""), Label("y", ("a", "b", "c"), "")
    scores = {"auc": 0.9, "log_loss": 0.2, "accuracy": 0.94, "brier": 0.05, "pr_auc": 0.4}
    assert metrics.reported(label, (89, 11)) == ("log_loss", "auc", "accuracy")
    assert metrics.reported(label, (90, 10)) == ("pr_auc", "log_loss", "auc")
    assert metrics.primary(label, (90, 10)) == "pr_auc"
    assert metrics.primary(label, (10, 90)) == "auc"  # a guess has a PR AUC of 0.9
    assert "accuracy" not in metrics.reported(label, (10, 90))
    assert metrics.reported(three, (5, 90, 5)) == ("log_loss", "auc")
    assert list(metrics.in_order(scores, label, (90, 10))) == [
        *("pr_auc", "auc", "log_loss", "brier", "accuracy")
    ]
    assert list(metrics.in_order(scores, label, (50, 50))) == list(scores)
    said = metrics.compare(scores, "guess", scores, metrics.reported(label, (90, 10)))
    assert said.startswith("Baseline, guess: PR AUC 0.4000, log loss 0.2000, ROC AUC 0.9000. The")
