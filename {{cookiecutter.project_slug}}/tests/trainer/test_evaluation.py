import json

import numpy as np
import pytest
from sklearn import metrics

from table_schema.columns import Column, Label, Table
from table_schema.metrics import roc_auc, score
from trainer.tabular import evaluation
from trainer.tabular.data import Array, Rows
from trainer.tabular.dependence import partial_dependence
from trainer.tabular.evaluation import evaluate

TABLE = Table(
    "t",
    "key",
    Label("y", ("no", "yes"), "what"),
    (Column("x", "number", ""), Column("noise", "number", ""), Column("town", "category", "")),
    slices=("town",),
)


def rows(seed: int, count: int = 3_000) -> Rows:
    """The label follows `x`, but in town c, where nothing does."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 2, count).astype(np.float32)
    town = rng.choice(np.array(["a", "b", "c", ""], object), count, p=[0.6, 0.2, 0.195, 0.005])
    chance = np.where(town == "c", 0.5, 1 / (1 + np.exp(-x)))
    noise = rng.normal(0, 1, count).astype(np.float32)
    labels = (rng.random(count) < chance).astype(np.int32)
    return Rows("memory", {"x": x, "noise": noise, "town": town}, labels)


def predict(rows: Rows) -> Array:
    second = 1 / (1 + np.exp(-rows.features["x"]))
    return np.stack([1 - second, second], axis=1)


def test_all_that_is_found_goes_through_json_as_it_is() -> None:
    test = rows(2)
    found = evaluate(TABLE, predict, rows(0), rows(1), test, seed=0)
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["test"] == score(predict(test), test.labels)
    assert found == evaluate(TABLE, predict, rows(0), rows(1), test, seed=0)
    assert list(found["baselines"]) == ["majority class", "x alone"]
    brief = evaluate(TABLE, predict, rows(0), rows(1), test, seed=0, explain=False)
    assert brief == found | {"slices": {}, "importance": {}, "dependence": {}}


def test_slices_are_scored_apart_and_small_ones_left_out() -> None:
    test = rows(2)
    found = evaluation.slices("town", predict(test), test, "auc", seed=0)
    assert next(iter(found)) == "a"  # the most frequent
    assert sorted(found) == ["a", "b", "c"]  # too few rows are without a town
    here = test.features["town"] == "b"
    assert found["b"]["rows"] == here.sum()
    auc = roc_auc(test.labels[here] == 1, predict(test)[here, 1])
    assert found["b"]["auc"] == pytest.approx(auc)
    assert found["c"]["interval"][0] < 0.5 < found["c"]["interval"][1]
    assert found["a"]["interval"][0] > found["c"]["interval"][1]


def test_importance_finds_what_the_model_looks_at() -> None:
    found = evaluation.importance(TABLE, predict, rows(2), "auc", seed=0)
    assert next(iter(found)) == "x"
    assert found["x"]["mean"] > 0.2
    assert found["noise"] == found["town"] == {"mean": 0, "spread": 0}


def test_importance_of_a_number_is_the_error_that_it_adds() -> None:
    table = Table("t", "key", Label("y", (), ""), TABLE.columns)
    test = rows(2)
    test = Rows("memory", test.features, test.features["x"])
    found = evaluation.importance(table, lambda rows: rows.features["x"], test, "rmse", seed=0)
    # The distance of two independent values of the same variance.
    assert found["x"]["mean"] == pytest.approx(2 * 2**0.5, rel=0.05)


def test_curves_lie_on_those_of_scikit_learn() -> None:
    test = rows(2)
    found = evaluation.curves(TABLE.label, predict(test), test.labels)
    assert list(found) == ["yes"]
    fall_out, recall, _ = metrics.roc_curve(test.labels, predict(test)[:, 1])
    roc = np.array(found["yes"]["roc"])
    assert len(roc) <= evaluation.POINTS + 1
    assert roc[0].tolist() == [0, 0]
    assert roc[-1].tolist() == [1, 1]
    exact = np.interp(roc[:, 0], fall_out, recall)
    assert np.abs(exact - roc[:, 1]).max() < 0.02
    recall_and_precision = np.array(found["yes"]["precision_recall"])
    share = test.labels.mean()
    assert recall_and_precision[-1].tolist() == pytest.approx([1, share])


def test_calibration_compares_means_in_bins_of_as_many_rows() -> None:
    predictions = np.linspace(0, 1, 100)
    labels = predictions > 0.5
    found = evaluation.calibration(predictions, labels)
    assert len(found) == evaluation.BINS
    assert found[0] == pytest.approx([predictions[:10].mean(), 0])
    assert found[-1] == pytest.approx([predictions[90:].mean(), 1])


def test_the_threshold_has_the_best_f1_of_all() -> None:
    test = rows(2, 400)
    scores = predict(test)[:, 1]
    threshold = evaluation.best_threshold(test.labels == 1, scores)
    found = metrics.f1_score(test.labels, scores >= threshold)
    assert found == max(metrics.f1_score(test.labels, scores >= each) for each in scores)


def test_confusion_counts_by_the_threshold() -> None:
    second = np.array([0.1, 0.3, 0.6, 0.2, 0.9])
    predictions = np.stack([1 - second, second], axis=1)
    labels = np.array([0, 0, 0, 1, 1])
    assert evaluation.confusion(predictions, labels, 0.3) == {
        "matrix": [[1, 2], [1, 1]],
        "threshold": 0.3,
        "precision": 1 / 3,
        "recall": 1 / 2,
    }
    of_three = np.array([[0.5, 0.2, 0.3], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5]])
    matrix = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert evaluation.confusion(of_three, np.array([0, 1, 2])) == {"matrix": matrix}


def test_errors_of_a_number_are_counted_between_their_far_ends() -> None:
    label = Label("minutes", (), "")
    truths = np.zeros(1_000)
    found = evaluation.curves(label, np.linspace(-1, 1, 1_000), truths)["minutes"]["errors"]
    assert sum(found["rows"]) == 990
    assert found["edges"][0] == pytest.approx(-0.99, abs=0.001)


def test_the_dependence_is_the_mean_answer_where_all_rows_have_a_value() -> None:
    found = partial_dependence(TABLE, predict, rows(2), ["x", "noise", "town"], seed=0)
    assert list(found) == ["x", "noise", "town"]
    of_x = np.array(found["x"]["values"])
    assert len(of_x) == 15
    assert (np.diff(of_x) > 0).all()
    # The answer follows `x` alone: at each value it is that of any row with it.
    np.testing.assert_allclose(found["x"]["means"]["yes"], 1 / (1 + np.exp(-of_x)), rtol=1e-6)
    overall = np.ptp(found["noise"]["means"]["yes"])
    assert overall < 1e-9
    assert found["town"]["values"] in ([*"abc", ""], [*"acb", ""])  # the most frequent first
    assert np.ptp(found["town"]["means"]["yes"]) < 1e-9


def test_the_dependence_leaves_out_what_has_one_value_and_takes_values_that_rows_have() -> None:
    few = rows(2, 40)
    few.features["noise"][:] = 3.0
    few.features["x"][::2] = np.nan
    found = partial_dependence(TABLE, predict, few, ["x", "noise", "town"], seed=0)
    assert list(found) == ["x", "town"]
    assert set(found["x"]["values"]) <= set(few.features["x"][1::2].tolist())
