"""A block of JSON lines becomes the tensors that its rows would become one by one, or is left."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vertex_emulator.batch.columns import read_columns
from vertex_emulator.batch.rows import InstanceConfig, read_rows
from vertex_emulator.batch.task import Task
from vertex_emulator.http.errors import RequestError
from vertex_emulator.model_server import payload, tensors
from vertex_emulator.model_server.model import Signature
from vertex_emulator.model_server.tensors import Array, TensorSpec

SIGNATURE = Signature(
    name="serving_default",
    inputs=[
        TensorSpec("count", np.dtype("int64"), "integer", (None,)),
        TensorSpec("is_new", np.dtype("bool"), "boolean", (None,)),
        TensorSpec("miles", np.dtype("float32"), "float", (None,)),
        TensorSpec("small", np.dtype("int32"), "integer", (None,)),
        TensorSpec("tail", np.dtype("object"), "string", (None,)),
    ],
    outputs=["y"],
    joinable=True,
    run=lambda *_arrays: [],
)
GOOD = {"count": 1, "is_new": True, "miles": 2.5, "small": -3, "tail": "N1"}


def one_by_one(data: bytes, config: dict[str, Any]) -> tuple[list[bytes], list[Array]]:
    """Returns what names the rows, and the tensors. Raises RequestError for a row that is bad."""
    rows = list(read_rows(data, Task("gs://b/o", "jsonl", config, "", ""), lambda _uri: b""))
    for row in rows:
        if row.problem:
            raise RequestError(400, row.problem)
    body = b'{"instances":[' + b",".join(row.sent for row in rows) + b"]}"
    question = payload.parse(body, {"serving_default": SIGNATURE})
    pairs = zip(SIGNATURE.inputs, question.columns, strict=True)
    try:
        return [row.label for row in rows], [tensors.pack(spec, value) for spec, value in pairs]
    except tensors.MismatchError as error:
        raise RequestError(400, str(error)) from error


def check_same(data: bytes, config: dict[str, Any]) -> bool:
    """Compares both ways; returns whether the block was taken at once."""
    columns = read_columns(data, SIGNATURE, InstanceConfig.of(config))
    if columns is None:
        return False
    labels, arrays = one_by_one(data, config)
    assert [f'"{columns.label}":'.encode() + name for name in columns.names] == labels
    for one, other in zip(columns.arrays, arrays, strict=True):
        assert one.dtype == other.dtype
        as_bytes = [each.encode() if isinstance(each, str) else each for each in one.tolist()]
        wanted = [each.encode() if isinstance(each, str) else each for each in other.tolist()]
        assert repr(as_bytes) == repr(wanted)  # in which a NaN is like another
    return True


def lines(*rows: dict[str, Any] | str) -> bytes:
    texts = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    return "".join(text + "\n" for text in texts).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    ("data", "config"),
    [
        (lines(GOOD, GOOD | {"miles": 3, "tail": "ü"}), {}),
        (lines(GOOD, GOOD | {"miles": 2**24 + 1}, GOOD | {"miles": 1435774380}), {}),  # rounded
        (lines(GOOD | {"miles": 0.1}, GOOD | {"miles": 16777217.0000001}), {}),
        (lines(GOOD)[:-1], {}),
        (lines(GOOD, GOOD).replace(b"\n", b"\r\n"), {}),
        (lines(GOOD, GOOD).replace(b"\n", b"\r\n")[:-2], {}),
        (lines(GOOD | {"id": "a"}, GOOD | {"id": "b,c"}), {"keyField": "id"}),
        (lines(GOOD | {"id": 7}, GOOD | {"id": 8}), {"keyField": "id"}),
        (lines(GOOD | {"id": 7, "x": 1.5}, GOOD | {"id": 8}), {"excludedFields": ["id", "x"]}),
        (lines(GOOD | {"x": "y"}, GOOD), {"includedFields": [*GOOD]}),
    ],
)
def test_rows_that_are_alike_are_taken_at_once(data: bytes, config: dict[str, Any]) -> None:
    assert check_same(data, config)


def with_values(name: str, *values: Any) -> list[str]:
    """Lines that are good but for one value."""
    return [json.dumps(GOOD | {name: value}) for value in values]


@pytest.mark.parametrize(
    "bad",
    [
        *with_values("count", 1.5, 2.0, "1", True, None, [1], 2**63),
        *with_values("is_new", 1, "true", None),
        *with_values("miles", "1", True, None, [1], {}, 2**53 + 2, 1e39, 1e300),
        *with_values("small", 2**31, -(2**31) - 1, 1.0),
        *with_values("tail", 5, True, None, ["x"], {"b64": "eA=="}),
        json.dumps(GOOD | {"other": 1}),
        '{"count": 1, "count": 2, "is_new": true, "small": 1, "tail": "x"}',
        '{"count": 1, "is_new": true, "small": 1, "miles": NaN}',
        '{"count": 1, "is_new": true, "small": 1, "tail": "\\ud800"}',
        '{"count": 1, "is_new": true}',
        '{"count": 1, "is_new": true, "small": 1, "miles": 1.5}',
        '{"count": 1, "is_new": true, "small": 1, "other": 1}',
        "[1, 2]",
        "7",
        "",
        "{",
        json.dumps(GOOD) + json.dumps(GOOD),
    ],
)
def test_a_block_with_a_row_that_is_not_like_them_is_left(bad: str) -> None:
    assert not check_same(lines(GOOD, bad, GOOD), {})
    assert not check_same(lines(bad, GOOD), {})


VALUES = st.one_of(
    st.integers(-(2**64), 2**64),
    st.floats(),
    st.text(max_size=4),
    st.booleans(),
    st.none(),
    st.lists(st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
ROWS = st.builds(
    lambda changes, left_out: {k: v for k, v in (GOOD | changes).items() if k not in left_out},
    st.dictionaries(st.sampled_from([*GOOD, "id", "x"]), VALUES, max_size=2),
    st.sets(st.sampled_from([*GOOD]), max_size=1),
)
CONFIGS = st.sampled_from(
    [{}, {}, {"keyField": "id"}, {"excludedFields": ["x", "id"]}, {"includedFields": ["count"]}]
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROWS, min_size=1, max_size=4), CONFIGS)
def test_no_block_gives_other_tensors(rows: list[dict[str, Any]], config: dict[str, Any]) -> None:
    check_same(lines(*rows), config)
