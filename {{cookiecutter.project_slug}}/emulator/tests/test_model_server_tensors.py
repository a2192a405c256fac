"""Columns of JSON values to arrays and back, for all dtypes and shapes."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertex_emulator.model_server.tensors import (
    MismatchError,
    TensorSpec,
    encode_columns,
    encode_rows,
    pack,
)

FLOAT32 = TensorSpec("x", np.dtype("float32"), "float", (None,), 2**24 - 1, 3.4028234663852886e38)
NUMBERS = st.one_of(st.floats(width=32), st.integers(-(2**24) + 1, 2**24 - 1))


def spec(dtype: str, kind: str, shape: tuple[int | None, ...] | None = (None,)) -> TensorSpec:
    return TensorSpec("x", np.dtype(dtype), kind, shape)


@given(st.lists(st.tuples(NUMBERS, NUMBERS).map(list), min_size=1))
def test_every_float32_arrives_and_returns_unchanged(rows: list[list[float]]) -> None:
    array = pack(TensorSpec("x", FLOAT32.dtype, "float", (None, 2), FLOAT32.exact), rows)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.array(rows, np.float32))
    one = json.loads(encode_rows({"y": array}))["predictions"]
    np.testing.assert_array_equal(np.array(one, np.float32), array)
    two = json.loads(encode_rows({"y": array, "z": array[:, 0]}))["predictions"]
    np.testing.assert_array_equal(np.array([row["y"] for row in two], np.float32), array)
    np.testing.assert_array_equal(np.array([row["z"] for row in two], np.float32), array[:, 0])


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1))
def test_an_int64_is_exact_or_refused(values: list[int]) -> None:
    fits = [-(2**63) <= value < 2**63 for value in values]
    if all(fits):
        assert pack(spec("int64", "integer"), values).tolist() == values
    else:
        with pytest.raises(MismatchError, match="out of the range of int64") as caught:
            pack(spec("int64", "integer"), values)
        assert caught.value.row == fits.index(False)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ([1.0, 1e39], 1),
        ([float("nan"), 1e39], 1),
        ([1e39, float("nan")], 0),
        ([float("inf"), -1e39], 1),
        ([3.5e38, float("inf"), 2**24], 0),
        ([1e30, 2**24], 1),
        ([1.0, 10**400], 1),
    ],
)
def test_a_number_that_would_change_is_found_behind_any_other(
    values: list[Any], wrong: int
) -> None:
    with pytest.raises(MismatchError, match="without loss of precision") as caught:
        pack(FLOAT32, values)
    assert caught.value.row == wrong


@pytest.mark.parametrize(
    ("dtype", "kind", "values"),
    [
        ("bool", "boolean", [True, False]),
        ("uint8", "integer", [0, 255]),
        ("int32", "integer", [-(2**31), 2**31 - 1]),
        ("uint64", "integer", [2**64 - 1]),
        ("float64", "float", [1e300, float("-inf"), 5]),
        ("object", "string", ["ü", b"\x00"]),
    ],
)
def test_dtypes(dtype: str, kind: str, values: list[Any]) -> None:
    array = pack(spec(dtype, kind), values)
    assert array.dtype == np.dtype(dtype)
    assert array.tolist() == values


@pytest.mark.parametrize(
    ("dtype", "kind", "value"),
    [("uint8", "integer", 256), ("uint8", "integer", -1), ("bool", "boolean", 1)],
)
def test_values_that_numpy_would_bend_are_refused(dtype: str, kind: str, value: Any) -> None:
    with pytest.raises(MismatchError):
        pack(spec(dtype, kind), [value])


def test_any_rank_is_taken_where_the_signature_leaves_it_open() -> None:
    free = spec("int64", "integer", None)
    values: list[Any] = [3, [1, 2], [[1], [2]], [[[]]]]
    for value in values:
        np.testing.assert_array_equal(pack(free, value), np.array(value, np.int64))
    with pytest.raises(MismatchError, match="unexpected size: 2 at level: 1 expected size: 1"):
        pack(free, [[1], [2, 3]])
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(MismatchError, match="nested 100 deep"):
        pack(free, deep)


def test_fixed_sizes_are_held() -> None:
    fixed = spec("int64", "integer", (None, 2, None))
    assert pack(fixed, [[[1, 2], [3, 4]]]).shape == (1, 2, 2)
    assert pack(fixed, []).shape == (0, 2, 0)
    with pytest.raises(MismatchError, match="size: 1 at level: 2 expected size: 2") as caught:
        pack(fixed, [[[1, 2], [3, 4]], [[1, 2], [3]]])
    assert caught.value.row == 1


def test_outputs_of_all_kinds_are_written() -> None:
    outputs = {
        "scalar": np.array(0.1, np.float32),
        "text": np.array([b"a", b"\xff"], object),
        "flag": np.array([True]),
        "whole": np.array([2**63 - 1]),
        "word": np.array(b"null", object),
    }
    assert json.loads(encode_columns(outputs)) == {
        "outputs": {
            "scalar": 0.1,
            "text": ["a", {"b64": "/w=="}],
            "flag": [True],
            "whole": [2**63 - 1],
            "word": "null",
        }
    }
