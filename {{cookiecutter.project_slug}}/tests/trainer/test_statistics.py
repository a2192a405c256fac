"""What the training rows say about each column."""

from typing import Any

import numpy as np
import pytest

from table_schema.columns import Column, Label, Table
from trainer.errors import UserError
from trainer.tabular import statistics
from trainer.tabular.data import Rows
from trainer.tabular.statistics import measure

from .test_preprocess import TABLE, make_rows


def test_statistics_leave_out_what_is_missing() -> None:
    found = measure([make_rows()], TABLE, min_count=1)
    assert found.mean == {"miles": 2.0, "full": 4.0}
    assert found.scale == {"miles": 1.0, "full": 1.0}  # a constant column divides by 1
    assert found.has_gaps == {"miles": True, "full": False}
    assert found.vocabulary == {"month": [5, 7], "town": ["Rome", "Oslo"]}
    assert (found.rows, found.class_rows) == (4, (2, 2))


def test_blocks_give_what_all_rows_at_once_give() -> None:
    rng = np.random.default_rng(0)

    def block(count: int) -> Rows:
        features: dict[str, np.ndarray[Any, Any]] = {
            "miles": rng.normal(1e4, 1, count).astype(np.float32),
            "month": rng.integers(1, 13, count),
            "full": rng.random(count).astype(np.float32),
            "town": rng.choice(np.array(["Rome", "Oslo", ""], object), count),
            "night": rng.random(count) < 0.5,
        }
        return Rows("memory", features, rng.integers(0, 2, count).astype(np.int32))

    blocks = [block(count) for count in (5, 300, 77)]
    found = measure(blocks, TABLE, min_count=3)
    miles = np.concatenate([b.features["miles"] for b in blocks]).astype(np.float64)
    assert found.mean["miles"] == pytest.approx(miles.mean(), rel=1e-12)
    assert found.scale["miles"] == pytest.approx(miles.std(), rel=1e-9)
    months, counts = np.unique(
        np.concatenate([b.features["month"] for b in blocks]), return_counts=True
    )
    assert set(found.vocabulary["month"]) == set(months[counts >= 3].tolist())
    assert found.rows == sum(found.class_rows) == 382


def test_rare_values_are_not_told_from_unknown_ones() -> None:
    found = measure([make_rows()], TABLE, min_count=2)
    assert found.vocabulary == {"month": [5], "town": ["Rome"]}


def test_a_label_that_is_a_number_is_measured() -> None:
    table = Table("trips", "trip", Label("delay", (), "minutes"), TABLE.columns)
    rows = Rows("memory", make_rows().features, np.array([0, 2, 4, 2], np.float32))
    found = measure([rows], table, min_count=1)
    assert found.label_mean == 2
    assert found.label_scale == pytest.approx(2**0.5)
    assert found.class_rows == ()


def test_labels_that_are_all_the_same_are_refused() -> None:
    rows = Rows("memory", make_rows().features, np.ones(4, np.int32))
    with pytest.raises(UserError, match="different values in column 'late' of the training rows"):
        measure([rows], TABLE, min_count=1)


def test_columns_that_teach_nothing_are_named() -> None:
    count = 200
    rng = np.random.default_rng(0)
    features: dict[str, np.ndarray[Any, Any]] = {
        "gone": np.full(count, np.nan, np.float32),
        "one": np.ones(count, np.float32),
        "place": np.array(["Rome"] * count, object),
        "blank": np.array([""] * count, object),
        "number": rng.permutation(count).astype(np.float32),
        "ticket": np.array([f"T{i}" for i in range(count)], object),
        "fine": rng.normal(size=count).astype(np.float32),
        "month": rng.integers(1, 13, count),
    }
    kinds = {"O": "category", "f": "number", "i": "integer"}
    columns = tuple(Column(n, kinds[v.dtype.kind], "") for n, v in features.items())  # type: ignore[arg-type]
    table = Table("t", "key", Label("late", ("no", "yes"), ""), columns)
    rows = Rows("memory", features, rng.integers(0, 2, count).astype(np.int32))
    found = measure([rows], table, min_count=1)
    assert [warning.split("'")[1] for warning in found.warnings] == [
        *("gone", "one", "number", "place", "blank", "ticket")
    ]
    said = dict(zip(("gone", "one", "number"), found.warnings, strict=False))
    assert "has no values in the training rows" in said["gone"]
    assert "has only one value" in said["one"]
    assert "the model cannot learn from an id" in said["number"]
    assert (found.mean["gone"], found.scale["gone"]) == (0.0, 1.0)


def test_bins_hold_as_many_rows_each_and_reach_from_the_smallest_to_the_largest() -> None:
    values = np.random.default_rng(0).lognormal(size=4_000).astype(np.float32)
    moments = statistics._Moments()
    for part in np.split(values, [7, 1_000, 1_003]):
        moments.add(part)
    ends = moments.bins(16, 0.0)
    assert (ends[0], ends[-1]) == (values.min(), values.max())
    rows, _ = np.histogram(values, ends)
    np.testing.assert_allclose(rows, 250, atol=1)


def test_bins_of_more_rows_than_are_kept_are_of_every_second_or_fourth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics, "SAMPLED", 1_000)
    values = np.random.default_rng(0).permutation(20_000).astype(np.float32)
    moments = statistics._Moments()
    for part in np.array_split(values, 23):
        moments.add(part)
    kept = np.concatenate(moments._sample)
    np.testing.assert_array_equal(kept, values[:: 20_000 // len(kept)])
    np.testing.assert_allclose(moments.bins(4, 0.0), [0, 5e3, 1e4, 1.5e4, 19_999], atol=900)


def test_few_values_have_few_bins_and_none_has_none() -> None:
    moments = statistics._Moments()
    assert moments.bins(32, 0.0) == ()
    moments.add(np.array([1, 1, 2, np.nan] * 20, np.float32))
    assert moments.bins(32, 0.0) == (1, 2)
