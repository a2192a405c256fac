"""Rows of a batch prediction's input, each made into an instance.

Source of the formats and of what each becomes:
https://cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions and the messages
`BatchPredictionJob.InputConfig` and `InstanceConfig`. TFRecord files:
https://www.tensorflow.org/tutorials/load_data/tfrecord (a record is its length, the masked
CRC-32C of the length, the data, and the masked CRC-32C of the data).
"""

import base64
import io
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import google_crc32c
import orjson

from vertex_emulator.batch.task import Task

FORMATS = ("jsonl", "csv", "tf-record", "tf-record-gzip", "file-list")
MAX_ROW_BYTES = 10 * 1024 * 1024
HEADER = struct.Struct("<QI")  # of a TFRecord: length, masked CRC-32C of the length
CHECKSUM = struct.Struct("<I")
CRC_MASK = 0xA282EAD8


class RowError(Exception):
    """Why a row cannot be sent to the model."""


class Record(NamedTuple):
    """A piece of an input file, as it lies there.

    Attributes:
        place: number of its line, or of the TFRecord, from 1.
        data: its bytes.
        problem: why it cannot be read; "" where it can.
    """

    place: int
    data: bytes
    problem: str = ""


class Row(NamedTuple):
    """A row of the input.

    Attributes:
        place: as of its `Record`.
        label: a member of a JSON object that names the row in the output: `"instance":…` or
            `"key":…`.
        sent: the instance for the model, JSON.
        problem: why it is not sent; "" where it is.
    """

    place: int
    label: bytes
    sent: bytes
    problem: str = ""


@dataclass(frozen=True)
class InstanceConfig:
    """`BatchPredictionJob.InstanceConfig`: how a row becomes the instance that is sent.

    Attributes:
        kind: `object`, `array`, or "" for the form that the row has.
        key: field that names the row in the output and is not sent; "" for none.
        included: fields to send, in this order; empty sends all.
        excluded: fields not to send.
    """

    kind: str = ""
    key: str = ""
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "InstanceConfig":
        """Reads the message as JSON has it."""
        return cls(
            given.get("instanceType", ""),
            given.get("keyField", ""),
            tuple(given.get("includedFields", ())),
            tuple(given.get("excludedFields", ())),
        )

    @property
    def as_is(self) -> bool:
        """Whether rows go to the model as they stand in the file."""
        return self == InstanceConfig()

    def sends(self, name: str) -> bool:
        """Whether a field of an object goes to the model."""
        if self.included:
            return name in self.included
        return name != self.key and name not in self.excluded


def read_rows(data: bytes, task: Task, fetch: Callable[[str], bytes]) -> Iterator[Row]:
    """Yields the rows of whole records of a file.

    Args:
        data: the records.
        task: how to read them.
        fetch: returns the content of an object by its gs:// URI, for file-list; raises RowError.

    Raises:
        RowError: the header cannot be read, or has no column of the key's name.
    """
    config, file_format = InstanceConfig.of(task.config), task.file_format
    convert: Callable[[bytes], tuple[bytes, bytes]]
    if file_format == "csv":
        convert = _csv_converter(task, config)
    elif file_format == "jsonl":
        convert = _as_it_is if config.as_is else lambda line: _configured(line, config)
    elif file_format == "file-list":
        convert = lambda line: _fetched(line, fetch)  # noqa: E731, one of four
    else:
        convert = _encoded
    records = _tf_records if file_format.startswith("tf-record") else _lines
    for record in records(data, task.before):
        if record.problem:
            yield Row(record.place, b'"instance":null', b"", record.problem)
            continue
        try:
            label, sent = convert(record.data)
        except RowError as error:
            label = b'"instance":' + orjson.dumps(record.data.decode("utf-8", "replace"))
            yield Row(record.place, label, b"", str(error))
        else:
            yield Row(record.place, label, sent)
    if task.problem:
        yield Row(task.before + 1, b'"instance":null', b"", task.problem)


def _lines(data: bytes, before: int) -> Iterator[Record]:
    """Yields the lines; those that are blank are none."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for place, line in enumerate(lines, start=before + 1):
        if len(line) >= MAX_ROW_BYTES:
            yield Record(place, b"", f"expected a line of at most {MAX_ROW_BYTES} bytes")
        elif text := line.strip():
            yield Record(place, text)


def _tf_records(data: bytes, before: int) -> Iterator[Record]:
    """Yields the records; a damaged length is the last, as nothing is found again behind it."""
    file, place = io.BytesIO(data), before
    while header := file.read(HEADER.size):
        place += 1
        if len(header) < HEADER.size:
            yield Record(place, b"", "the file ends within a record")
            return
        length, checksum = HEADER.unpack(header)
        if masked_crc(header[:8]) != checksum:
            problem = "the length of the record is damaged, or the file is no TFRecord file"
            yield Record(place, b"", f"{problem}; what follows is not read")
            return
        if length > MAX_ROW_BYTES:  # nothing of it is in `data`
            yield Record(place, b"", f"expected at most {MAX_ROW_BYTES} bytes, got {length}")
            continue
        record, tail = file.read(length), file.read(CHECKSUM.size)
        if len(tail) < CHECKSUM.size:
            yield Record(place, b"", "the file ends within a record")
            return
        damaged = masked_crc(record) != CHECKSUM.unpack(tail)[0]
        yield Record(place, record, "the data of the record is damaged" if damaged else "")


def masked_crc(data: bytes) -> int:
    """Returns the checksum that TFRecord files have of their parts."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + CRC_MASK) & 0xFFFFFFFF


def _as_it_is(line: bytes) -> tuple[bytes, bytes]:
    _parse(line)
    return b'"instance":' + line, line


def _configured(line: bytes, config: InstanceConfig) -> tuple[bytes, bytes]:
    value = _parse(line)
    if not isinstance(value, dict):
        if config.kind == "array" and isinstance(value, list) and not config.key:
            return b'"instance":' + line, line
        raise RowError("expected a JSON object, as instanceConfig asks for its fields")
    label = b'"instance":' + line
    if config.key:
        if config.key not in value:
            raise RowError(f"the key field {config.key!r} is missing")
        label = b'"key":' + _dump(value[config.key])
    names = config.included or tuple(name for name in value if config.sends(name))
    absent = [name for name in names if name not in value]
    if absent:
        raise RowError(f"the field {absent[0]!r} of includedFields is missing")
    if config.kind == "array":
        if not config.included:
            raise RowError("expected includedFields, which give an object's values their order")
        return label, _dump([value[name] for name in names])
    return label, _dump({name: value[name] for name in names})


def _csv_converter(task: Task, config: InstanceConfig) -> Callable[[bytes], tuple[bytes, bytes]]:
    """Makes arrays of rows. A cell in double quotes is a string, any other a number."""
    try:
        names = [name for name, _quoted in _cells(task.header.encode("latin-1").strip())]
    except RowError as error:
        raise RowError(f"{task.uri}: the header: {error}.") from error
    if config.key and config.key not in names:
        raise RowError(
            f"{task.uri}: the header has no column {config.key!r}, which instanceConfig.keyField"
            f" names; it has {', '.join(names) or 'none'}."
        )
    key = names.index(config.key) if config.key else None

    def convert(line: bytes) -> tuple[bytes, bytes]:
        values = [
            text if quoted else _number(text, names[index] if index < len(names) else "")
            for index, (text, quoted) in enumerate(_cells(line))
        ]
        if len(values) != len(names):
            raise RowError(f"expected {len(names)} cells as in the header, got {len(values)}")
        if key is None:
            sent = _dump(values)
            return b'"instance":' + sent, sent
        label = b'"key":' + _dump(values.pop(key))
        return label, _dump(values)

    return convert


def _cells(line: bytes) -> list[tuple[str, bool]]:
    """Returns the cells of a csv line, each with whether it stood in double quotes."""
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RowError("expected text in UTF-8") from error
    if '"' not in text:
        return [(cell, False) for cell in text.split(",")]
    cells = []
    position, end = 0, len(text)
    while position <= end:
        if text[position : position + 1] != '"':
            stop = text.find(",", position)
            stop = end if stop < 0 else stop
            cells.append((text[position:stop], False))
        else:
            stop = _closing_quote(text, position)
            cells.append((text[position + 1 : stop].replace('""', '"'), True))
            stop += 1
            if stop < end and text[stop] != ",":
                raise RowError(f"expected a comma after the quotes at character {stop + 1}")
        position = stop + 1
    return cells


def _closing_quote(text: str, opening: int) -> int:
    position = opening + 1
    while (position := text.find('"', position)) >= 0:
        if text[position + 1 : position + 2] != '"':
            return position
        position += 2
    raise RowError(f"the quotes at character {opening + 1} are not closed on this line")


def _number(text: str, column: str) -> int | float:
    for kind in (int, float):
        try:
            value: int | float = kind(text)
        except ValueError:
            continue
        if math.isfinite(value) and "_" not in text:  # Python's own notation, not that of csv
            return value
    raise RowError(
        f"column {column!r}: expected a number or a string in double quotes, got {text[:40]!r}"
    )


def _encoded(data: bytes) -> tuple[bytes, bytes]:
    sent = b'{"b64":"' + base64.b64encode(data) + b'"}'
    return b'"instance":' + sent, sent


def _fetched(line: bytes, fetch: Callable[[str], bytes]) -> tuple[bytes, bytes]:
    uri = line.decode("utf-8", "replace")
    return b'"instance":' + orjson.dumps(uri), _encoded(fetch(uri))[1]


def _parse(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in line and b"Infinity" not in line:
            raise RowError(f"the line is not valid JSON: {error}") from error
    try:  # tokens that TensorFlow Serving takes, though JSON has none for them
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RowError(f"the line is not valid JSON: {error}") from error


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a whole number beyond 64 bits
        return json.dumps(value).encode()
