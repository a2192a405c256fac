"""From raw rows to what the network takes."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from table_schema.columns import Column, Label, Table
from trainer.errors import UserError
from trainer.tabular.data import Rows
from trainer.tabular.preprocess import LIMIT, Preprocessor
from trainer.tabular.statistics import Statistics, measure

TABLE = Table(
    name="trips",
    key="trip",
    label=Label("late", ("no", "yes"), "whether it was late"),
    columns=(
        Column("miles", "number", "how far"),
        Column("month", "integer", "when"),
        Column("full", "number", "without gaps"),
        Column("town", "category", "where to"),
        Column("night", "boolean", "whether it is dark"),
    ),
)


def make_rows() -> Rows:
    features: dict[str, np.ndarray[Any, Any]] = {
        "miles": np.array([1, 3, np.nan, np.inf], np.float32),
        "month": np.array([5, 5, -1, 7], np.int64),
        "full": np.array([4, 4, 4, 4], np.float32),
        "town": np.array(["Rome", "", "Oslo", "Rome"], object),
        "night": np.array([True, False, False, True]),
    }
    return Rows("memory", features, np.array([0, 1, 0, 1], np.int32))


@pytest.fixture
def statistics() -> Statistics:
    return measure([make_rows()], TABLE, min_count=1)


def test_the_training_rows_are_encoded(statistics: Statistics) -> None:
    encoded = Preprocessor(TABLE, statistics).encode(make_rows())
    np.testing.assert_allclose(
        encoded.numbers,
        [[-1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]],
        atol=1e-6,
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
            "night": tf.constant([False, True]),
        }
    )
    np.testing.assert_array_equal(numbers, [[LIMIT, 0, 0, 0], [-LIMIT, 0, 0, 1]])
    np.testing.assert_array_equal(codes, [[0, 0], [0, 0]])


def test_a_hashed_value_has_its_bucket_and_a_gap_has_none() -> None:
    statistics = measure([make_rows()], TABLE, min_count=1, max_vocabulary=1)
    assert statistics.buckets == {"month": 1, "town": 1}
    encoded = Preprocessor(TABLE, statistics).encode(make_rows())
    np.testing.assert_array_equal(encoded.codes, [[1, 1], [1, 0], [0, 1], [1, 1]])
    many = Statistics(
        statistics.mean, statistics.scale, statistics.has_gaps, {"month": [], "town": []},
        buckets={"month": 1_000, "town": 1_000},
    )  # fmt: skip
    codes = Preprocessor(TABLE, many).encode(make_rows()).codes
    assert len({codes[0, 0], codes[3, 0], 0}) == 3
    assert len({codes[0, 1], codes[2, 1], 0}) == 3
    assert codes[0, 1] == codes[3, 1]


def test_a_column_is_hashed_where_its_description_gives_buckets() -> None:
    columns = tuple(
        dataclasses.replace(column, buckets={"month": 900, "town": 800}.get(column.name, 0))
        for column in TABLE.columns
    )
    table = dataclasses.replace(TABLE, columns=columns)
    statistics = measure([make_rows()], table, min_count=3)
    assert statistics.buckets == {"month": 900, "town": 800}
    assert (statistics.codes("month"), statistics.codes("town")) == (901, 801)
    preprocessor = Preprocessor(table, statistics)
    codes = preprocessor.encode(make_rows()).codes
    assert codes[0, 0] == codes[1, 0] != codes[3, 0]
    assert (codes[2, 0], codes[1, 1]) == (0, 0)  # gaps
    assert codes[:, 1].tolist() == [codes[0, 1], 0, codes[2, 1], codes[0, 1]]
    # A value that training never showed has a bucket as well, always the same.
    unseen = make_rows().features | {"town": np.array(["Bergen"] * 4, object)}
    found = preprocessor.encode(Rows("memory", unseen, make_rows().labels)).codes[:, 1]
    assert 1 <= found[0] <= 800
    assert set(found) == {found[0]}


def test_blocks_on_disk_are_what_is_in_memory(statistics: Statistics, tmp_path: Path) -> None:
    preprocessor = Preprocessor(TABLE, statistics)
    expected = preprocessor.encode(make_rows())
    found = preprocessor.encode_blocks([make_rows()] * 3, 12, tmp_path)
    for array, values in zip(found.arrays, expected.arrays, strict=True):
        assert isinstance(array, np.memmap) or array.strides == (0,)
        np.testing.assert_array_equal(array, np.concatenate([values] * 3))


def test_too_little_disk_is_told_before_anything_is_written(
    statistics: Statistics, tmp_path: Path
) -> None:
    preprocessor = Preprocessor(TABLE, statistics)
    with pytest.raises(UserError, match=r"expected 16000000.0 GB of free disk space .* set TMPDIR"):
        preprocessor.encode_blocks([], 10**15, tmp_path)
    assert not list(tmp_path.iterdir())
