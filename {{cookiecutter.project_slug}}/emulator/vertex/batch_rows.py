"""Rows of a batch prediction's input: read one after the other, made into instances.

Source of the formats and of what each becomes:
https://cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions and the messages
`BatchPredictionJob.InputConfig` and `InstanceConfig`. TFRecord files:
https://www.tensorflow.org/tutorials/load_data/tfrecord (a record is its length, the masked
CRC-32C of the length, the data, and the masked CRC-32C of the data).
"""

import base64
import gzip
import json
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import google_crc32c
import orjson

FORMATS = ("jsonl", "csv", "tf-record", "tf-record-gzip", "file-list")
MOST_ROW_BYTES = 10 * 1024 * 1024
HEADER = struct.Struct("<QI")  # of a TFRecord: length, masked CRC-32C of the length
CHECKSUM = struct.Struct("<I")
CRC_MASK = 0xA282EAD8


class RowError(Exception):
    """Why a row cannot be sent to the model."""


class Record(NamedTuple):
    """A piece of an input file, as it lies there.

    Attributes:
        place: number of its line, or of the TFRecord, from 1.
        end: offset behind it, in the file or in what it unpacks to.
        data: its bytes.
        problem: why it cannot be read; "" where it can.
    """

    place: int
    end: int
    data: bytes
    problem: str = ""


class Row(NamedTuple):
    """A row of the input.

    Attributes:
        place: as of its `Record`.
        end: as of its `Record`.
        label: a member of a JSON object that names the row in the output: `"instance":…` or
            `"key":…`.
        sent: the instance for the model, JSON.
        problem: why it is not sent; "" where it is.
    """

    place: int
    end: int
    label: bytes
    sent: bytes
    problem: str = ""


@dataclass(frozen=True)
class Start:
    """Where to read on in a file.

    Attributes:
        end: the `end` of the last row that was read.
        place: its `place`.
    """

    end: int = 0
    place: int = 0


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

    @property
    def as_is(self) -> bool:
        """Whether rows go to the model as they stand in the file."""
        return self == InstanceConfig()


def read_rows(
    file: BinaryIO,
    file_format: str,
    config: InstanceConfig,
    fetch: Callable[[str], bytes],
    start: Start,
) -> Iterator[Row]:
    """Yields the rows of one input file behind `start`.

    Args:
        file: the file, at its beginning.
        file_format: one of `FORMATS`.
        config: what is sent of a row, and what names it.
        fetch: returns the content of an object by its gs:// URI, for file-list; raises RowError.
        start: where to begin.

    Raises:
        RowError: the header of a csv file cannot be read, or has no column of the key's name.
    """
    convert: Callable[[bytes], tuple[bytes, bytes]]
    if file_format == "csv":
        header = next(records(file, "csv", Start()), Record(0, 0, b""))
        file.seek(0)
        convert = _csv_converter(header, config)
        start = max(start, Start(header.end, header.place), key=lambda each: each.end)
    elif file_format == "jsonl":
        convert = _as_it_is if config.as_is else lambda line: _configured(line, config)
    elif file_format == "file-list":
        convert = lambda line: _fetched(line, fetch)  # noqa: E731, one of four
    else:
        convert = _encoded
    for record in records(file, file_format, start):
        if record.problem:
            yield Row(record.place, record.end, b'"instance":null', b"", record.problem)
            continue
        try:
            label, sent = convert(record.data)
        except RowError as error:
            label = b'"instance":' + orjson.dumps(record.data.decode("utf-8", "replace"))
            yield Row(record.place, record.end, label, b"", str(error))
        else:
            yield Row(record.place, record.end, label, sent)


def count_rows(file: BinaryIO, file_format: str) -> int:
    """Returns how many rows a file has."""
    count = sum(1 for _record in records(file, file_format, Start()))
    return max(0, count - 1) if file_format == "csv" else count


def records(file: BinaryIO, file_format: str, start: Start) -> Iterator[Record]:
    """Yields the records of a file behind `start`; lines that are blank are none.

    A record that is damaged has a `problem`. Where nothing behind it can be found again, as in a
    TFRecord file that is cut short, it is the last.
    """
    if file_format == "tf-record":
        return _tf_records(file, start)
    if file_format == "tf-record-gzip":
        return _unpacked(file, start)
    return _lines(file, start)


def _lines(file: BinaryIO, start: Start) -> Iterator[Record]:
    file.seek(start.end)
    end, place = start.end, start.place
    while line := file.readline(MOST_ROW_BYTES):
        place += 1
        end += len(line)
        if len(line) == MOST_ROW_BYTES and not line.endswith(b"\n"):
            while more := file.readline(MOST_ROW_BYTES):
                end += len(more)
                if more.endswith(b"\n"):
                    break
            yield Record(place, end, b"", f"expected a line of at most {MOST_ROW_BYTES} bytes")
            continue
        text = line.strip()
        if text:
            yield Record(place, end, text)


def _unpacked(file: BinaryIO, start: Start) -> Iterator[Record]:
    last = start
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            for record in _tf_records(unpacked, start):
                last = Start(record.end, record.place)
                yield record
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        yield Record(last.place + 1, last.end, b"", f"the file does not unpack: {error}")


def _tf_records(file: Any, start: Start) -> Iterator[Record]:
    file.seek(start.end)
    end, place = start.end, start.place
    while header := file.read(HEADER.size):
        place += 1
        if len(header) < HEADER.size:
            yield Record(place, end, b"", "the file ends within a record")
            return
        length, checksum = HEADER.unpack(header)
        if _masked_crc(header[:8]) != checksum:
            problem = "the length of the record is damaged, or the file is no TFRecord file"
            yield Record(place, end, b"", f"{problem}; what follows is not read")
            return
        end += HEADER.size + length + CHECKSUM.size
        if length > MOST_ROW_BYTES:
            file.seek(end)
            yield Record(place, end, b"", f"expected at most {MOST_ROW_BYTES} bytes, got {length}")
            continue
        data, tail = file.read(length), file.read(CHECKSUM.size)
        if len(tail) < CHECKSUM.size:
            yield Record(place, end, b"", "the file ends within a record")
            return
        damaged = _masked_crc(data) != CHECKSUM.unpack(tail)[0]
        yield Record(place, end, data, "the data of the record is damaged" if damaged else "")


def _masked_crc(data: bytes) -> int:
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
    names = config.included or tuple(
        name for name in value if name not in config.excluded and name != config.key
    )
    absent = [name for name in names if name not in value]
    if absent:
        raise RowError(f"the field {absent[0]!r} of includedFields is missing")
    if config.kind == "array":
        if not config.included:
            raise RowError("expected includedFields, which give an object's values their order")
        return label, _dump([value[name] for name in names])
    return label, _dump({name: value[name] for name in names})


def _csv_converter(
    header: Record, config: InstanceConfig
) -> Callable[[bytes], tuple[bytes, bytes]]:
    """Makes arrays of rows. A cell in double quotes is a string, any other a number."""
    names = [name for name, _quoted in _cells(header.data)] if header.data else []
    if config.key and config.key not in names:
        raise RowError(
            f"the header has no column {config.key!r}, which instanceConfig.keyField names; it has"
            f" {', '.join(names) or 'none'}"
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
                raise RowError(f"expected a comma behind the quotes at character {stop + 1}")
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
            raise RowError(f"the line is no JSON: {error}") from error
    try:  # tokens that TensorFlow Serving takes, though JSON has none for them
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RowError(f"the line is no JSON: {error}") from error


def _dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a whole number beyond 64 bits
        return json.dumps(value).encode()
