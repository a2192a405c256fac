"""JSON lines to columns, a whole block at once; the way that nearly all rows take.

A block goes this way only where it is certain that each row would give the same tensors on its own
(`rows.py`, and the model server's `tensors.py`). Polars reads lines several times as fast as a
parser that makes Python objects, and refuses most of what the model server refuses. It passes over
fields that it does not expect, and takes any value for a string, so quotes, keys and brackets are
counted too. Whatever does not add up, or is rare, is left to the other way, which says what is
wrong with which row.
"""

import os
from typing import Any, NamedTuple

import numpy as np
import orjson

from vertex_emulator.batch.rows import InstanceConfig
from vertex_emulator.model_server.model import Signature
from vertex_emulator.model_server.tensors import Array, TensorSpec

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # the replicas of a job share the processors
import polars as pl

# Behind a backslash a quote is none, and a list would pass for a string. A string may hold these
# too; that costs time alone.
TELLTALE = (b"\\", b"[")
KINDS: dict[str, Any] = {
    "float32": pl.Float64,  # as a number of JSON is, before it is rounded to what the tensor holds
    "float64": pl.Float64,
    "int32": pl.Int32,
    "int64": pl.Int64,
    "bool": pl.Boolean,
    "object": pl.String,
}
EXACT_INTEGER = 2**53  # up to which a float64 holds all of them
GUESSES: dict[type, Any] = {
    str: pl.String,
    int: pl.Int64,
    float: pl.Float64,
    bool: pl.Boolean,
}


class Columns(NamedTuple):
    """The rows of a block.

    Attributes:
        label: what names a row in the output, `instance` or `key`.
        names: its value for each row, JSON.
        arrays: for each input of the signature, [rows].
    """

    label: str
    names: list[bytes]
    arrays: list[Array]


def read_columns(data: bytes, signature: Signature, config: InstanceConfig) -> Columns | None:
    """Returns the rows of JSON lines, or None where each must be looked at.

    Args:
        data: whole lines.
        signature: whose inputs are wanted.
        config: what is sent of a row, and what names it.
    """
    schema = _schema(data, signature, config)
    if schema is None or any(each in data for each in TELLTALE):
        return None
    arrays = []
    try:
        frame = pl.read_ndjson(data, schema=schema)
        if not _adds_up(data, frame):
            return None
        for spec in signature.inputs:
            array = _array(spec, frame[spec.name])
            if array is None:
                return None
            arrays.append(array)
    except pl.exceptions.PolarsError:
        return None
    if not config.key:
        lines = data.replace(b"\r\n", b"\n").split(b"\n")
        return Columns("instance", lines if lines[-1] else lines[:-1], arrays)
    names = _as_json(frame[config.key])
    return Columns("key", names, arrays) if names is not None else None


def _schema(data: bytes, signature: Signature, config: InstanceConfig) -> dict[str, Any] | None:
    """Returns the type of each field that the rows may have; what is not sent, as in the first."""
    try:
        first = orjson.loads(data[: data.find(b"\n") + 1 or len(data)])
    except orjson.JSONDecodeError:
        return None
    if type(first) is not dict or config.kind == "array":
        return None
    schema = {
        spec.name: KINDS.get(str(spec.dtype)) if spec.shape == (None,) else None
        for spec in signature.inputs
        if config.sends(spec.name)
    }
    if len(schema) < len(signature.inputs):
        return None
    for name in first.keys() - schema.keys():
        schema[name] = None if config.sends(name) else GUESSES.get(type(first[name]))
    wanted = {*config.included, *filter(None, [config.key])}
    return schema if wanted <= schema.keys() and None not in schema.values() else None


def _adds_up(data: bytes, frame: pl.DataFrame) -> bool:
    """Whether each line is a row, and has the frame's fields, each once at most, and no others."""
    characters = np.frombuffer(data, np.uint8)
    is_quote = characters == ord('"')
    keys = np.count_nonzero(is_quote[:-1] & (characters[1:] == ord(":")))
    lines = np.count_nonzero(characters == ord("\n")) + (not data.endswith(b"\n"))
    nulls = {name: frame[name].null_count() for name in frame.columns}
    strings = [name for name in frame.columns if frame[name].dtype == pl.String]
    values = sum(len(frame) - nulls[name] for name in strings)
    return bool(
        len(frame) == lines == np.count_nonzero(characters == ord("{"))
        and keys == frame.width * len(frame) - sum(nulls.values())  # so a null was left out
        and np.count_nonzero(is_quote) == 2 * (keys + values)
    )


def _array(spec: TensorSpec, values: pl.Series) -> Array | None:
    """Returns an input's values; None where one would not be the same as a tensor."""
    if values.null_count():
        return None
    array = np.asarray(values.to_numpy())
    if spec.kind != "float":
        return array
    is_exact = np.abs(array) <= EXACT_INTEGER  # which NaN is not either
    return array.astype(spec.dtype, copy=False) if is_exact.all() else None


def _as_json(keys: pl.Series) -> list[bytes] | None:
    """Returns each key as JSON; None where one may be written otherwise in its line."""
    if keys.null_count() or keys.dtype not in (pl.String, pl.Int64):
        return None
    text = orjson.dumps(keys.to_list())
    if keys.dtype == pl.Int64:
        return text[1:-1].split(b",")
    # No string holds a quote: that would be behind a backslash.
    return [b'"' + key + b'"' for key in text[2:-2].split(b'","')]
