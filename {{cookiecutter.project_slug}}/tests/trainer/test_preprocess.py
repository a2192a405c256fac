from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from trainer.columns import Column, Label, Table
from trainer.data import Rows
from trainer.preprocess import LIMIT, Preprocessor, Statistics, measure

TABLE = Table(
    name="trips",
    key="trip",
    label=Label("late", ("no", "yes"), "whether it was late"),
    columns=(
        Column("miles", "number", "how far"),
        Column("month", "integer", "when"),
        Column("full", "number", "without gaps"),
        Column("town", "category", "where to"),
    ),
)


def make_rows() -> Rows:
    features: dict[str, np.ndarray[Any, Any]] = {
        "miles": np.array([1, 3, np.nan, np.inf], np.float32),
        "month": np.array([5, 5, -1, 7], np.int64),
        "full": np.array([4, 4, 4, 4], np.float32),
        "town": np.array(["Rome", "", "Oslo", "Rome"], object),
    }
    return Rows("memory", features, np.array([0, 1, 0, 1], np.int32), "")


@pytest.fixture
def statistics() -> Statistics:
    return measure(make_rows(), TABLE, min_count=1)


def test_statistics_leave_out_what_is_missing(statistics: Statistics) -> None:
    assert statistics.mean == {"miles": 2.0, "full": 4.0}
    assert statistics.scale == {"miles": 1.0, "full": 1.0}  # a constant column divides by 1
    assert statistics.has_gaps == {"miles": True, "full": False}
    assert statistics.vocabulary == {"month": [5, 7], "town": ["Rome", "Oslo"]}


def test_rare_values_are_not_told_from_unknown_ones() -> None:
    assert measure(make_rows(), TABLE, min_count=2).vocabulary == {"month": [5], "town": ["Rome"]}


def test_a_column_of_gaps_only_is_measured() -> None:
    rows = make_rows()
    rows.features["miles"][:] = np.nan
    found = measure(rows, TABLE, min_count=1)
    assert (found.mean["miles"], found.scale["miles"]) == (0.0, 1.0)


def test_the_training_rows_are_encoded(statistics: Statistics) -> None:
    encoded = Preprocessor(TABLE, statistics).encode(make_rows())
    np.testing.assert_allclose(
        encoded.numbers, [[-1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]], atol=1e-6
    )
    np.testing.assert_array_equal(encoded.codes, [[1, 1], [1, 0], [0, 2], [2, 1]])
    np.testing.assert_array_equal(encoded.labels, [0, 1, 0, 1])


def test_what_training_never_showed_has_an_answer(statistics: Statistics) -> None:
    numbers, codes = Preprocessor(TABLE, statistics)(
        {
            "miles": tf.constant([1e30, -1e30]),
            "month": tf.constant([13, -7], tf.int64),
            "full": tf.constant([np.nan, np.inf]),
            "town": tf.constant(["Atlantis", "rome"]),
        }
    )
    np.testing.assert_array_equal(numbers, [[LIMIT, 0, 0], [-LIMIT, 0, 0]])
    np.testing.assert_array_equal(codes, [[0, 0], [0, 0]])
