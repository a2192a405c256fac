"""The network's first weights and its heads."""

import dataclasses
import random
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from table_schema.tables import TABLES
from trainer.errors import UserError
from trainer.tabular import heads, model
from trainer.tabular.preprocess import Preprocessor
from trainer.tabular.settings import Settings
from trainer.tabular.statistics import Statistics
from trainer.tabular.steps import Steps

FILES = {"train_data": "a", "eval_data": "b", "test_data": "c"}


def statistics_of(table_name: str, **values: Any) -> Statistics:
    """Returns what a table of two categories a column would give."""
    columns = TABLES[table_name].columns
    numbers = [column.name for column in columns if column.kind == "number"]
    vocabulary: dict[str, list[Any]] = {
        column.name: [1, 2] if column.kind == "integer" else ["a", "b"]
        for column in columns
        if column.kind != "number"
    }
    return Statistics(
        mean=dict.fromkeys(numbers, 0.0),
        scale=dict.fromkeys(numbers, 1.0),
        has_gaps=dict.fromkeys(numbers, False),
        vocabulary=vocabulary,
        **values,
    )


def build(settings: Settings, **values: Any) -> Any:
    statistics = statistics_of(settings.table, **values)
    preprocessor = Preprocessor(TABLES[settings.table], statistics)
    head = heads.make_head(TABLES[settings.table], statistics, settings)
    return model.build(preprocessor, head, settings)


def test_the_seed_alone_decides_the_first_weights() -> None:
    """A thread that draws from Python's random numbers meanwhile, as uploads do, changes none."""
    settings = Settings.tiny(**FILES, table="penguins", dropout=0.1)
    weights = build(settings, class_rows=(1, 1, 1)).get_weights()
    random.seed(1)
    again = build(settings, class_rows=(1, 1, 1)).get_weights()
    for first, second in zip(weights, again, strict=True):
        np.testing.assert_array_equal(first, second)
    others = build(dataclasses.replace(settings, seed=1), class_rows=(1, 1, 1)).get_weights()
    kernels = [i for i, weight in enumerate(weights) if np.ndim(weight) == 2 and weight.any()]
    assert kernels
    assert all((weights[i] != others[i]).any() for i in kernels)


def test_a_hashed_column_has_an_embedding_of_as_many_rows() -> None:
    settings = Settings.tiny(**FILES, table="penguins")
    network = build(settings, class_rows=(1, 1, 1), buckets={"island": 50})
    # Two numbers of the wide part, for three classes, and two that the hidden layers take.
    assert network.get_layer("embed_island").embeddings.shape == (51, 4)
    assert network.get_layer("embed_sex").embeddings.shape[0] == 3


def test_l2_is_the_weighted_sum_of_squares() -> None:
    network = build(Settings.tiny(**FILES, table="penguins", l2=0.5), class_rows=(1, 1, 1))
    kept = ("kernel", "embeddings", "factors")
    squares = sum(float((w.numpy() ** 2).sum()) for w in network.weights if w.name in kept)
    assert float(sum(network.losses)) == pytest.approx(0.5 * squares, rel=1e-5)


def test_two_classes_are_logistic_regression() -> None:
    head = heads.ClassesHead(("no", "yes"), (1.0, 1.0))
    logits = tf.constant([[[0.3]], [[-2.0]]])
    second = 1 / (1 + np.exp(-logits.numpy()[:, 0, 0]))
    np.testing.assert_allclose(head.predictions(logits)[:, 1], second, rtol=1e-6)
    losses = head.losses(logits, tf.constant([1, 0]))
    np.testing.assert_allclose(losses, -np.log([second[0], 1 - second[1]]), rtol=1e-5)


def test_class_weights_multiply_the_losses_of_their_rows() -> None:
    settings = Settings.tiny(**FILES, table="penguins")
    logits = tf.constant([[[0.3, 1.0]], [[-2.0, 0.5]], [[1.0, 1.0]]])
    labels = tf.constant([1, 0, 2])

    def losses(given: str) -> Any:
        statistics = statistics_of("penguins", class_rows=(50, 30, 20))
        weighted = dataclasses.replace(settings, class_weights=given)
        return heads.make_head(TABLES["penguins"], statistics, weighted).losses(logits, labels)

    plain = losses("").numpy()
    np.testing.assert_allclose(losses("1,2,5"), plain * [2, 1, 5], rtol=1e-6)
    balanced = [100 / (3 * rows) for rows in (30, 50, 20)]
    np.testing.assert_allclose(losses("balanced"), plain * balanced, rtol=1e-6)
    with pytest.raises(UserError, match=r"--class-weights: expected 3 numbers, one for each of A"):
        losses("1,2")


def test_a_number_is_learned_in_its_own_deviations_and_told_in_its_unit() -> None:
    head = heads.NumberHead(mean=10, scale=4)
    outputs = tf.constant([[[0.5]], [[-1.0]]])
    np.testing.assert_allclose(head.predictions(outputs), [12, 6])
    np.testing.assert_allclose(head.losses(outputs, tf.constant([14.0, 6.0])), [0.25, 0])


def test_a_number_has_no_class_weights() -> None:
    settings = Settings.tiny(**FILES, table="flights_delay", class_weights="balanced")
    with pytest.raises(UserError, match="--class-weights: 'arr_delay' is a number"):
        heads.make_head(TABLES["flights_delay"], statistics_of("flights_delay"), settings)


def test_the_members_predict_apart_and_their_mean_is_the_prediction() -> None:
    probabilities = np.array([[0.2, 0.6], [0.9, 0.7]])  # rows, members
    logits = tf.constant(np.log(probabilities / (1 - probabilities))[:, :, None], tf.float32)
    head = heads.ClassesHead(("no", "yes"), (1.0, 1.0))
    np.testing.assert_allclose(head.predictions(logits)[:, 1], [0.4, 0.8], rtol=1e-5)
    losses = head.losses(logits, tf.constant([1, 0]))
    expected = -np.log([[0.2, 0.6], [0.1, 0.3]]).mean(axis=1)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)

    number = heads.NumberHead(mean=10, scale=4)
    outputs = tf.constant([[[0.5], [-1.0]]])
    np.testing.assert_allclose(number.predictions(outputs), [9])
    np.testing.assert_allclose(number.losses(outputs, tf.constant([10.0])), [(0.25 + 1) / 2])


def test_a_member_is_a_network_of_its_own_factors_biases_and_last_layer() -> None:
    """Each member's output is computed here from its own weights alone."""
    settings = Settings.tiny(**FILES, table="penguins", members=3, hidden_units=(5, 4))
    network = build(settings, class_rows=(1, 1, 1))
    rng = np.random.default_rng(0)
    for weight in network.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    numbers = rng.normal(size=(6, network.inputs[0].shape[1])).astype(np.float32)
    codes = rng.integers(3, size=(6, network.inputs[1].shape[1])).astype(np.int32)
    found = network([numbers, codes]).numpy()

    weights = {weight.path: weight.numpy() for weight in network.weights}
    embedded = [
        weights[f"embed_{name}/embeddings"][codes[:, place]]
        for place, name in enumerate(statistics_of("penguins").vocabulary)
    ]
    features = np.concatenate([numbers, *(each[:, 2:] for each in embedded)], axis=1)
    wide = sum(each[:, :2] for each in embedded)
    wide = wide + numbers @ weights["wide_numbers/kernel"] + weights["wide_numbers/bias"]
    for member in range(3):
        hidden = features * weights["hidden_1/factors"][:, member]
        hidden = hidden @ weights["hidden_1/kernel"] + weights["hidden_1/bias"][member]
        hidden = np.maximum(hidden, 0) @ weights["hidden_2/kernel"] + weights["hidden_2/bias"]
        last = np.maximum(hidden, 0) @ weights["deep/kernel"][member]
        expected = last + weights["deep/bias"][member] + wide
        np.testing.assert_allclose(found[:, member], expected, rtol=1e-4, atol=1e-4)


def test_a_number_is_its_place_in_bins() -> None:
    statistics = Statistics(
        mean={"a": 10.0, "b": 0.0},
        scale={"a": 2.0, "b": 1.0},
        has_gaps={"a": False, "b": False},
        vocabulary={},
        bins={"a": (8.0, 10.0, 14.0), "b": (0.0, 1.0)},
    )
    scaled = tf.constant([[-3.0, 0.0], [-0.5, 0.0], [1.0, 0.0], [9.0, 0.0]])
    (places,) = model._in_bins(scaled, statistics)  # of one bin the number itself says as much
    np.testing.assert_allclose(places, np.array([[0, 0], [0.5, 0], [1, 0.5], [1, 1]]))


def test_a_network_learns_from_all_rows_but_those_of_its_fold() -> None:
    settings = Settings.tiny(**FILES, table="penguins", members=2, folds=3)
    places = tf.constant(np.tile(np.arange(6.0), (4, 1))[:, :, None])
    folds = tf.constant([0, 2, 1, 2])
    found = model.left_out(places, folds, settings).numpy()[:, :, 0]
    assert found.tolist() == [[0, 1], [4, 5], [2, 3], [4, 5]]
    others = model.learning(places, folds, settings).numpy()[:, :, 0]
    assert others.tolist() == [[2, 3, 4, 5], [0, 1, 2, 3], [0, 1, 4, 5], [0, 1, 2, 3]]

    network = build(settings, class_rows=(1, 1, 1))
    numbers = np.ones((4, network.inputs[0].shape[1]), np.float32)
    codes = np.ones((4, network.inputs[1].shape[1]), np.int32)
    with tf.GradientTape() as tape:
        outputs = model.learning(network([numbers, codes]), tf.zeros([4], tf.int32), settings)
        loss = tf.reduce_sum(tf.square(outputs - 1))
    variables = [weight.value for weight in network.trainable_variables]
    moved = [tf.convert_to_tensor(each).numpy().any() for each in tape.gradient(loss, variables)]
    of_each = len(moved) // 3
    assert not any(moved[:of_each])
    assert any(moved[of_each : 2 * of_each])
    assert any(moved[2 * of_each :])


def test_what_predicts_is_an_average_of_the_weights() -> None:
    settings = Settings.tiny(**FILES, table="penguins", averaging=0.2)
    statistics = statistics_of("penguins", class_rows=(1, 1, 1))
    head = heads.make_head(TABLES["penguins"], statistics, settings)
    network = build(settings, class_rows=(1, 1, 1))
    strategy = tf.distribute.get_strategy()
    steps = Steps(settings, strategy, network, head, batch=4, learning_rate=0.1)
    vector, average, *_ = steps.variables
    numbers = np.random.default_rng(0).normal(size=(4, network.inputs[0].shape[1]))
    codes = np.ones((4, network.inputs[1].shape[1]), np.int32)
    labels = np.array([0, 1, 2, 1], np.int32)
    rows = [tf.constant(each) for each in (numbers.astype(np.float32), codes, labels, 0 * labels)]
    batches = tf.tile([[0, 1, 2, 3]], [settings.steps_per_execution, 1])
    expected = average.numpy()
    for taken in (1, 2, 3):
        steps.take(batches, tf.constant(1), *rows)
        kept = min(0.2, taken / (taken + 10))
        expected = kept * expected + (1 - kept) * vector.numpy()
        np.testing.assert_allclose(average.numpy(), expected, rtol=1e-4, atol=1e-6)
    steps.update_model()
    first = np.ravel(network.trainable_variables[0])
    np.testing.assert_array_equal(first, average.numpy()[: len(first)])
