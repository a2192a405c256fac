"""Columns of JSON values to arrays and back, for all dtypes and shapes."""

import json
import math
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

FLOAT32 = TensorSpec("x", np.dtype("float32"), "float", (None,))
NUMBERS = st.one_of(st.floats(width=32), st.integers(-(2**24) + 1, 2**24 - 1))


def spec(dtype: str, kind: str, shape: tuple[int | None, ...] | None = (None,)) -> TensorSpec:
    return TensorSpec("x", np.dtype(dtype), kind, shape)


@given(st.lists(st.tuples(NUMBERS, NUMBERS).map(list), min_size=1))
def test_every_float32_arrives_and_returns_unchanged(rows: list[list[float]]) -> None:
    array = pack(TensorSpec("x", FLOAT32.dtype, "float", (None, 2)), rows)
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
    ("dtype", "value", "held"),
    [
        ("float32", 2**24 - 1, 16777215.0),
        ("float32", 2**24 + 1, 16777216.0),
        ("float32", 20130101, 20130100.0),
        ("float32", 1435774380, 1435774336.0),
        ("float32", -1435774380, -1435774336.0),
        ("float32", 2**63 + 2**62, 1.3835058055282164e19),
        ("float32", 0.1, 0.10000000149011612),
        ("float32", 1e39, math.inf),
        ("float32", -1e39, -math.inf),
        ("float32", 10**100, math.inf),
        ("float32", math.nan, math.nan),
        ("float64", 2**53 + 1, 9007199254740992.0),
        ("float64", 2**64 - 1, 18446744073709551616.0),
        ("float64", 10**99, 1e99),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_float_is_the_nearest_that_there_is(dtype: str, value: Any, held: float) -> None:
    """Timestamps, dates and ids in a float column are rounded, as by TensorFlow Serving."""
    found = pack(spec(dtype, "float"), [1.5, value])
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, np.array([1.5, held], dtype))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_a_whole_number_may_have_a_point(dtype: str) -> None:
    """As Google's clients send all numbers."""
    found = pack(spec(dtype, "integer"), [1.0, 2, 0.0, -0.0, 1e2])
    assert found.dtype == np.dtype(dtype)
    assert found.tolist() == [1, 2, 0, 0, 100]


def test_an_int64_with_a_point_is_exact() -> None:
    values: list[Any] = [-(2.0**63), 2.0**53, 2**63 - 1, 2**53 + 1]
    wanted = [-(2**63), 2**53, 2**63 - 1, 2**53 + 1]
    assert pack(spec("int64", "integer"), values).tolist() == wanted


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (2.5, "2.5 Type: Number is not of expected type: int64"),
        (math.nan, "NaN Type: Number is not of expected type: int64"),
        (math.inf, "Infinity Type: Number is not of expected type: int64"),
        (True, "true Type: Boolean is not of expected type: int64"),
        ("1", '"1" Type: String is not of expected type: int64'),
        (2.0**63, "out of the range of int64"),
        (1e300, "out of the range of int64"),
    ],
)
def test_what_is_no_whole_number_is_no_integer(value: Any, reason: str) -> None:
    with pytest.raises(MismatchError, match=reason) as caught:
        pack(spec("int64", "integer"), [1, 2.0, value])
    assert caught.value.row == 2


@pytest.mark.parametrize("dtype", ["float16", "uint16"])
def test_types_that_json_does_not_carry(dtype: str) -> None:
    with pytest.raises(MismatchError, match=f"Conversion of JSON Value: 1 to type: {dtype} is not"):
        pack(spec(dtype, ""), [1])


@pytest.mark.parametrize(
    "text",
    ["aGVsbG8gd29ybGQ=", "aGVsbG8g\nd29ybGQ=\n", "aGVs bG8g\r\nd29y\tbGQ", "aGVsbG8gd29ybGQ"],
)
def test_base64_may_have_line_ends(text: str) -> None:
    """Encoders for mail put them in."""
    assert pack(spec("object", "string"), [{"b64": text}]).tolist() == [b"hello world"]


@pytest.mark.parametrize("text", ["aGV%", "a", "aGVsbG8=d29y", "-_8=", "aGVsbG8g,d29ybGQ="])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(MismatchError, match="Unable to base64 decode"):
        pack(spec("object", "string"), [{"b64": text}])


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


@pytest.mark.parametrize("shape", [None, (), (None,), (None, 1), (None, 2, None), (3,)], ids=str)
def test_the_shape_is_that_of_the_lists(shape: tuple[int | None, ...] | None) -> None:
    """Whatever the signature declares; an op may take more than it says."""
    free = spec("int64", "integer", shape)
    values: list[Any] = [3, [], [1, 2], [[1], [2]], [[], []], [[[]]], [[[1, 2], [3, 4]]]]
    for value in values:
        np.testing.assert_array_equal(pack(free, value), np.array(value, np.int64))


@pytest.mark.parametrize(
    ("value", "row", "reason"),
    [
        ([[1], [2, 3]], 1, "unexpected size: 2 at level: 1 expected size: 1"),
        ([[], [1]], 1, "unexpected size: 1 at level: 1 expected size: 0"),
        ([[[1, 2], [3, 4]], [[1, 2], [3]]], 1, "size: 1 at level: 2 expected size: 2"),
        ([[1], 2], 1, "2 Type: Number is not a list, as the first is"),
        ([1, [2]], 1, r"\[2\] Type: Array is not of expected type"),
    ],
)
def test_lists_of_different_lengths_are_no_tensor(value: Any, row: int, reason: str) -> None:
    with pytest.raises(MismatchError, match=reason) as caught:
        pack(spec("int64", "integer"), value)
    assert caught.value.row == row


def test_deep_lists_are_refused() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(MismatchError, match="nested 100 deep"):
        pack(spec("int64", "integer", None), deep)


@pytest.mark.parametrize(
    ("declared", "shape", "admitted"),
    [
        (None, (1, 2), True),
        ((None,), (5,), True),
        ((None,), (5, 1), False),
        ((None,), (), False),
        ((None, 2), (5, 2), True),
        ((None, 2), (5, 3), False),
        ((3,), (3,), True),
        ((), (), True),
    ],
)
def test_declared_shapes(
    declared: tuple[int | None, ...] | None, shape: tuple[int, ...], admitted: bool
) -> None:
    assert spec("int64", "integer", declared).admits(shape) == admitted


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
