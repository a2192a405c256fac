"""What a SavedModel takes and gives, and one row that it was tried with, without TensorFlow.

TensorFlow's import takes seconds, and a page needs a few fields. The numbers of the fields are
those of tensorflow/core/protobuf/saved_model.proto and meta_graph.proto, tensor.proto and
types.proto of tensorflow/core/framework, and, for the warm-up requests that TensorFlow Serving
reads (`assets.extra/tf_serving_warmup_requests`), tensorflow_serving/apis/prediction_log.proto.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

DEFAULT = "serving_default"
FLOAT32, MOST_FLOAT32 = 1, 3.4028235e38  # its number in types.proto; the largest one
FLOATS, INTEGERS, TEXTS, BOOLEANS = {1, 2, 14, 19}, {3, 4, 5, 6, 9, 17, 22, 23}, {7}, {10}
NAMES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string",
    9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
RECORD_HEAD, RECORD_FOOT = 12, 4  # bytes around a TFRecord: length and check sums


class MalformedError(Exception):
    """The bytes are no message of that kind."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a signature.

    Attributes:
        name: in requests and answers.
        dtype: number of types.proto.
        shape: of one row, without the dimension of the rows; None where it is unknown.
    """

    name: str
    dtype: int
    shape: tuple[int, ...] | None

    @property
    def kind(self) -> str:
        """`number`, `integer`, `boolean` or `text`; `json` where one row is no single value."""
        if self.shape != ():
            return "json"
        kinds = {"number": FLOATS, "integer": INTEGERS, "boolean": BOOLEANS, "text": TEXTS}
        return next((kind for kind, numbers in kinds.items() if self.dtype in numbers), "json")

    @property
    def type_name(self) -> str:
        return NAMES.get(self.dtype, f"type {self.dtype}")


@dataclass(frozen=True)
class Signature:
    """The default signature: inputs and outputs by name."""

    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)


def signature(saved_model: bytes) -> Signature | None:
    """Returns the default signature of a `saved_model.pb`; None where it has none.

    Raises:
        MalformedError: it is no SavedModel.
    """
    for graph in _all(saved_model, 2):
        for pair in _all(graph, 5):
            if _first(pair, 1, b"").decode(errors="replace") == DEFAULT:
                found = _first(pair, 2, b"")
                inputs, outputs = ([_tensor(each) for each in _all(found, n)] for n in (1, 2))
                return Signature(
                    *(sorted(each, key=lambda t: t.name) for each in (inputs, outputs))
                )
    return None


def warm_up_row(records: bytes) -> dict[str, Any]:
    """Returns the first row of the first warm-up request, by input; {} where there is none.

    Raises:
        MalformedError: the file is another one.
    """
    if len(records) < RECORD_HEAD:
        return {}
    [length] = struct.unpack_from("<Q", records)
    log = records[RECORD_HEAD : RECORD_HEAD + length]
    request = _first(_first(log, 6, b""), 1, b"")  # PredictionLog.predict_log.request
    row = {}
    for pair in _all(request, 2):
        values = _values(_first(pair, 2, b""))
        if values:
            row[_first(pair, 1, b"").decode(errors="replace")] = values[0]
    return row


def _tensor(pair: bytes) -> Tensor:
    info = _first(pair, 2, b"")
    shape = None
    for each in _all(info, 3):
        sizes = [_signed(_first(size, 1, 0)) for size in _all(each, 2)]
        shape = None if _first(each, 3, 0) else tuple(sizes[1:])
    return Tensor(_first(pair, 1, b"").decode(errors="replace"), _first(info, 2, 0), shape)


def _values(tensor: bytes) -> list[Any]:
    """Returns the values of a TensorProto of numbers, texts or booleans."""
    dtype = _first(tensor, 1, 0)
    content = _first(tensor, 4, b"")
    if dtype == 7:
        return [each.decode(errors="replace") for each in _all(tensor, 8)]
    if content and dtype in (1, 2, 3, 9, 10):
        code = {1: "f", 2: "d", 3: "i", 9: "q", 10: "?"}[dtype]
        return [shortest(each, code) for [each] in struct.iter_unpack(f"<{code}", content)]
    fields = {1: (5, "f"), 2: (6, "d")}
    if dtype in fields:
        number, code = fields[dtype]
        packed = b"".join(each for each in _all(tensor, number) if isinstance(each, bytes))
        return [shortest(each, code) for [each] in struct.iter_unpack(f"<{code}", packed)]
    if dtype in (3, 9, 10):
        number = {3: 7, 9: 10, 10: 11}[dtype]
        found: list[int] = []
        for each in _all(tensor, number):
            found += _varints(each) if isinstance(each, bytes) else [each]
        return [bool(each) if dtype == 10 else _signed(each) for each in found]
    return []


def shortest(value: Any, code: str) -> Any:
    """Returns the number of the fewest digits that is the same float32; others as they are.

    Args:
        value: a number, or anything else.
        code: `f` where it is a float32, as in struct.
    """
    if code != "f" or not isinstance(value, float) or not abs(value) <= MOST_FLOAT32:
        return value  # NaN and infinity, too
    digits = (float(f"{value:.{count}g}") for count in range(6, 10))
    return next(each for each in digits if struct.pack("<f", each) == struct.pack("<f", value))


# Protocol buffers: https://protobuf.dev/programming-guides/encoding/


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yields the fields of a message: whole numbers, and bytes of all else.

    Raises:
        MalformedError: it is none.
    """
    place = 0
    try:
        while place < len(message):
            key, place = _varint(message, place)
            kind = key & 7
            if kind == 0:
                value, place = _varint(message, place)
                yield key >> 3, value
                continue
            if kind == 2:
                length, place = _varint(message, place)
            else:
                length = {1: 8, 5: 4}[kind]
            if place + length > len(message):
                raise MalformedError
            yield key >> 3, message[place : place + length]
            place += length
    except (IndexError, KeyError) as error:
        raise MalformedError from error


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, place


def _varints(packed: bytes) -> list[int]:
    found, place = [], 0
    while place < len(packed):
        value, place = _varint(packed, place)
        found.append(value)
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _all(message: Any, number: int) -> list[Any]:
    if not isinstance(message, bytes):
        raise MalformedError
    return [value for key, value in _fields(message) if key == number]


def _first(message: Any, number: int, default: Any) -> Any:
    found = _all(message, number)
    if found and type(found[-1]) is not type(default):
        raise MalformedError
    return found[-1] if found else default
