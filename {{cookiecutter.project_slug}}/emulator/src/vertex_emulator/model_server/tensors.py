"""JSON values to tensors and tensors to JSON, a whole column at a time.

Which JSON value suits which dtype follows TensorFlow Serving's `json_tensor.cc`: no null, no
number in a string, no fraction for an integer. The shape of a tensor is that of the JSON lists,
whatever the signature declares; a float takes the nearest value that it can hold. Two things
differ. A whole number with a point, such as 1.0, is an integer here: Google's clients send all
numbers so, and Vertex AI writes them without the point before its containers see them. A number
beyond the range of its integer type is refused, where TensorFlow Serving wraps it around.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

Array = npt.NDArray[Any]

# kind of a dtype -> (Python types of the JSON values it takes, what to send)
_KINDS: dict[str, tuple[frozenset[type], str]] = {
    "float": (frozenset({int, float}), "a number, such as 1.5"),
    "integer": (frozenset({int, float}), "a whole number, such as 7"),
    "boolean": (frozenset({bool}), "true or false"),
    "string": (frozenset({str, bytes}), 'a string, or {"b64": "..."} for bytes'),
}
_JSON_TYPES = {
    type(None): "Null",
    bool: "Boolean",
    int: "Number",
    float: "Number",
    str: "String",
    list: "Array",
    tuple: "Array",
    dict: "Object",
}
OUTPUT_TYPES = frozenset(  # of numpy, in which strings are objects
    {"bool", "object", "float32", "float64", "int8", "int16", "int32", "int64", "uint8"}
    | {"uint32", "uint64"}
)
_INPUT_TYPES = "bool, int8 to int64, uint8, uint32, uint64, float32, float64 and string"
_SPACES = str.maketrans("", "", " \t\n\v\f\r")
_LISTS = frozenset({list, tuple})
_MAX_RANK = 32  # far beyond what a model takes, within what numpy can hold
_NON_FINITE = {math.inf: b"Infinity", -math.inf: b"-Infinity"}


class MismatchError(ValueError):
    """A value that does not fit its input.

    Attributes:
        name: the input.
        row: position in the outermost list, None where the outermost value itself is wrong.
    """

    def __init__(self, name: str, row: int | None, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.row = row


@dataclass(frozen=True)
class TensorSpec:
    """What a signature declares of one input or output.

    Attributes:
        name: its key in the signature.
        dtype: numpy's type; object for strings.
        kind: `float`, `integer`, `boolean` or `string`; "" for a type that JSON does not carry.
        shape: sizes of the dimensions, None for any size; None for any rank.
    """

    name: str
    dtype: np.dtype[Any]
    kind: str
    shape: tuple[int | None, ...] | None

    @property
    def batched(self) -> bool:
        """Whether the first dimension is a number of rows that the caller may choose."""
        return bool(self.shape) and self.shape is not None and self.shape[0] is None

    def admits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape is one of those that the signature declares."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            declared in (None, size) for declared, size in zip(self.shape, shape, strict=True)
        )

    def describe(self) -> str:
        """Returns dtype and shape, of one row where there are rows, in words for a message."""
        dtype = "string" if self.kind == "string" else str(self.dtype)
        if self.shape is None:
            return f"{dtype} of any shape"
        sizes = self.shape[1:] if self.batched else self.shape
        shape = f" of shape [{','.join('?' if n is None else str(n) for n in sizes)}]"
        return dtype + (shape if sizes else "") + (" for each row" if self.batched else "")


def pack(spec: TensorSpec, value: Any) -> Array:
    """Converts nested lists of JSON values to one array of the input's dtype.

    Args:
        spec: the input.
        value: nested lists, of one length at each level; the outermost may be any sequence.

    Raises:
        MismatchError: a value does not suit the dtype, or the lists have different lengths.
    """
    rank = _depth(value)
    if rank > _MAX_RANK:
        raise MismatchError(spec.name, None, f"lists are nested {rank} deep, beyond {_MAX_RANK}")
    leaves: Sequence[Any] = [value]
    shape: list[int] = []
    for _axis in range(rank):
        shape.append(_length(spec, leaves, shape))
        leaves = leaves[0] if len(leaves) == 1 else list(chain.from_iterable(leaves))
    return _convert(spec, leaves, shape).reshape(shape)


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, (list, tuple)):
        depth += 1
        if not value:
            break
        value = value[0]
    return depth


def _length(spec: TensorSpec, lists: Sequence[Any], shape: list[int]) -> int:
    """Returns the common length of all lists of one level; `shape` is that of the levels above."""
    if not set(map(type, lists)) <= _LISTS:
        position = next(i for i, item in enumerate(lists) if type(item) not in _LISTS)
        raise MismatchError(
            spec.name,
            _row(position, shape),
            f"JSON Value: {show(lists[position])} Type: {json_type(lists[position])} is not a "
            f"list, as the first is; the signature takes {spec.describe()}",
        )
    wanted = len(lists[0]) if lists else 0
    if not set(map(len, lists)) <= {wanted}:
        position = next(i for i, item in enumerate(lists) if len(item) != wanted)
        raise MismatchError(
            spec.name,
            _row(position, shape),
            f"Encountered list at unexpected size: {len(lists[position])} at level: {len(shape)} "
            f"expected size: {wanted}, as the first has; the signature takes {spec.describe()}",
        )
    return wanted


def _row(position: int, shape: list[int]) -> int | None:
    """Returns the outermost index of an element of the flattened levels of this shape."""
    return position // math.prod(shape[1:]) if shape else None


def _convert(spec: TensorSpec, leaves: Sequence[Any], shape: list[int]) -> Array:
    if not spec.kind:
        value = show(leaves[0]) if leaves else "[]"
        raise MismatchError(
            spec.name,
            None,
            f"Conversion of JSON Value: {value} to type: {spec.dtype} is not supported; "
            f"TensorFlow Serving reads {_INPUT_TYPES}",
        )
    types = set(map(type, leaves))
    if spec.kind == "string" and dict in types:
        leaves = [
            _decode_base64(spec, leaf, _row(position, shape)) if type(leaf) is dict else leaf
            for position, leaf in enumerate(leaves)
        ]
        types = set(map(type, leaves))
    position = _unsuited(spec.kind, leaves, types)
    if position is not None:
        leaf = leaves[position]
        raise MismatchError(
            spec.name,
            _row(position, shape),
            f"JSON Value: {show(leaf)} Type: {json_type(leaf)} is not of expected type: "
            f"{spec.describe()}; send {_KINDS[spec.kind][1]}",
        )
    if spec.kind == "float":
        with np.errstate(over="ignore"):  # beyond the largest is infinite, as in a cast of C++
            return np.array(leaves, dtype=spec.dtype)
    if spec.kind == "integer" and float in types:
        leaves = list(map(int, leaves))
    try:
        return np.array(leaves, dtype=spec.dtype)
    except OverflowError:
        limits = np.iinfo(spec.dtype)
        position = next(i for i, n in enumerate(leaves) if not limits.min <= n <= limits.max)
        raise MismatchError(
            spec.name,
            _row(position, shape),
            f"JSON Value: {show(leaves[position])} is out of the range of {spec.dtype}, "
            f"{limits.min} to {limits.max}",
        ) from None


def _unsuited(kind: str, leaves: Sequence[Any], types: set[type]) -> int | None:
    """Returns the position of the first value that does not suit the kind, None where all do."""
    accepted = _KINDS[kind][0]
    if not types <= accepted:
        return next(i for i, leaf in enumerate(leaves) if type(leaf) not in accepted)
    if kind == "integer" and float in types:
        return next((i for i, leaf in enumerate(leaves) if leaf % 1 != 0), None)
    return None


def is_base64(value: Any) -> bool:
    """Whether a JSON value is TensorFlow Serving's form of bytes, `{"b64": "..."}`."""
    return type(value) is dict and len(value) == 1 and isinstance(value.get("b64"), str)


def _decode_base64(spec: TensorSpec, value: dict[str, Any], row: int | None) -> bytes:
    if not is_base64(value):
        raise MismatchError(
            spec.name,
            row,
            f"JSON Value: {show(value)} not formatted correctly for base64 data; send "
            f'{{"b64": "..."}} and nothing beside it',
        )
    text = value["b64"].translate(_SPACES)  # which encoders put in, a line end each 76 characters
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise MismatchError(
            spec.name,
            row,
            f"Unable to base64 decode JSON Value: {show(text)}; send the alphabet with + and /",
        ) from None


def json_type(value: Any) -> str:
    """Returns the name of a JSON value's type."""
    return _JSON_TYPES[type(value)]


def show(value: Any, limit: int = 80) -> str:
    """Returns a JSON value as text that fits an error message."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else _NON_FINITE[value].decode()
    try:
        text = orjson.dumps(value).decode()
    except (TypeError, ValueError):  # an integer beyond 64 bits, or lists nested deeper than that
        text = str(value) if isinstance(value, int) else f"({json_type(value)})"
    if "null" in text and isinstance(value, (list, dict)):  # which may stand for NaN
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= limit else text[:limit] + "..."


def encode_rows(outputs: dict[str, Array]) -> bytes:
    """Writes `{"predictions": [...]}`: a bare value a row for one output, else an object a row.

    Args:
        outputs: arrays whose first dimension is the rows.
    """
    readable = {name: _readable(name, array) for name, array in outputs.items()}
    if len(readable) == 1:
        (values,) = readable.values()
        return b'{"predictions":' + _dump(values) + b"}"
    rows = zip(*(list(values) for values in readable.values()), strict=True)
    text = _dump_plain({"predictions": [dict(zip(readable, row, strict=True)) for row in rows]})
    if b"null" not in text or all(map(_finite, outputs.values())):
        return text
    fragments = ([orjson.Fragment(_dump(row)) for row in values] for values in readable.values())
    rows = zip(*fragments, strict=True)
    return _dump_plain({"predictions": [dict(zip(readable, row, strict=True)) for row in rows]})


def encode_columns(outputs: dict[str, Array]) -> bytes:
    """Writes `{"outputs": ...}`: the bare value of one output, else an object of outputs."""
    parts = {name: encode_value(name, array) for name, array in outputs.items()}
    if len(parts) == 1:
        (part,) = parts.values()
        return b'{"outputs":' + part + b"}"
    return _dump_plain({"outputs": {name: orjson.Fragment(part) for name, part in parts.items()}})


def encode_value(name: str, array: Array) -> bytes:
    """Writes the JSON value of an output."""
    return _dump(_readable(name, array))


def _readable(name: str, array: Array) -> Any:
    """Makes bytes JSON: text, or `{"b64": ...}` for `*_bytes` outputs and for what is no text."""
    if array.dtype != object:
        return np.ascontiguousarray(array) if array.ndim else array[()]
    texts = np.frompyfunc(lambda data: _text(name, data), 1, 1)(array)
    return texts.tolist() if array.ndim else texts


def _text(name: str, data: bytes) -> str | dict[str, str]:
    if not name.endswith("_bytes"):
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(data).decode()}


def _finite(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _dump_plain(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _dump(value: Any) -> bytes:
    """Writes a value as JSON with the tokens NaN, Infinity and -Infinity, as the protocol has."""
    text = _dump_plain(value)
    if b"null" not in text or not isinstance(value, (np.ndarray, np.floating)):
        return text
    # The writer puts null for them, in the array's own order, and nowhere else in numbers.
    array = np.asarray(value)
    tokens = iter([_NON_FINITE.get(v, b"NaN") for v in array[~np.isfinite(array)].tolist()])
    return re.sub(b"null", lambda _match: next(tokens), text)
