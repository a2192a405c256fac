"""Input files of a batch prediction, cut into blocks of whole records.

Whoever cuts does not look into the records: a replica does. Behind a damage that hides what follows
nothing is read; the replica finds the damage at the end of the last block.

Source of the formats: `emulator/batch/rows.py`.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from vertex_emulator.batch.rows import CHECKSUM, HEADER, MAX_ROW_BYTES, masked_crc

BLOCK_BYTES = 4 * 1024 * 1024
BLOCK_RECORDS = 32_768
LINE_BYTES = 256  # about; of few records not much more is read than they have
DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error)


@dataclass(frozen=True)
class Place:
    """A place between two records of a file.

    Attributes:
        offset: bytes before it, in the file or in what it unpacks to.
        records: before it: TFRecords, or lines, blank ones too.
    """

    offset: int = 0
    records: int = 0


@dataclass(frozen=True)
class Block:
    """Whole records of a file.

    Attributes:
        data: their bytes.
        begin: place before the first.
        end: place behind the last.
        problem: why the file cannot be read any further, which counts as a record.
    """

    data: bytes
    begin: Place
    end: Place
    problem: str = ""


def read_blocks(
    file: BinaryIO, file_format: str, begin: Place, max_records: int = BLOCK_RECORDS
) -> Iterator[Block]:
    """Yields the blocks of a file behind `begin`.

    Args:
        file: can be sought in.
        file_format: one of `rows.FORMATS`.
        begin: where to go on.
        max_records: of a block; one of `BLOCK_BYTES` is not filled any further.
    """
    if file_format == "tf-record":
        return _records(file, begin, max_records)
    if file_format == "tf-record-gzip":
        return _records(gzip.GzipFile(fileobj=file, mode="rb"), begin, max_records)
    return _lines(file, begin, max_records)


def read_header(file: BinaryIO) -> tuple[bytes, Place]:
    """Returns the first line of a csv file that is not blank, and the place behind it."""
    offset = records = 0
    while line := file.readline(MAX_ROW_BYTES):
        offset, records = offset + len(line), records + 1
        if line.strip():
            return line, Place(offset, records)
    return b"", Place(offset, records)


def count_rows(file: BinaryIO, file_format: str) -> int:
    """Returns how many rows a file has; blank lines and the header of a csv file are none."""
    count = 0
    for block in read_blocks(file, file_format, Place()):
        count += block.end.records - block.begin.records
        if not file_format.startswith("tf-record"):
            lines = block.data.split(b"\n")
            last_is_none = not lines[-1]
            count += last_is_none - lines.count(b"") - sum(map(bytes.isspace, lines))
    return max(0, count - 1) if file_format == "csv" else count


def _lines(file: BinaryIO, begin: Place, max_records: int) -> Iterator[Block]:
    file.seek(begin.offset)
    while data := file.read(min(BLOCK_BYTES, max_records * LINE_BYTES)):
        if not data.endswith(b"\n"):
            data += file.readline(MAX_ROW_BYTES)
        passed, is_open = 0, not data.endswith(b"\n")
        while is_open and (rest := file.readline(MAX_ROW_BYTES)):  # of a line that is too long
            passed, is_open = passed + len(rest), not rest.endswith(b"\n")
        records = data.count(b"\n") + (not data.endswith(b"\n"))
        if records > max_records:
            rest = data.split(b"\n", max_records)[max_records]
            file.seek(-passed - len(rest), 1)
            data, passed, records = data[: len(data) - len(rest)], 0, max_records
        end = Place(begin.offset + len(data) + passed, begin.records + records)
        yield Block(data, begin, end)
        begin = end


def _records(file: Any, begin: Place, max_records: int) -> Iterator[Block]:
    """Cuts TFRecords; of one that is too large, the header alone ends a block."""
    problem, is_last = "", False
    file.seek(begin.offset)
    while not is_last:
        parts: list[bytes] = []
        length = passed = 0
        try:
            while length < BLOCK_BYTES and len(parts) < max_records and not passed and not is_last:
                header = file.read(HEADER.size)
                is_last = len(header) < HEADER.size or not is_whole(header)
                record = header
                if not is_last:
                    behind = HEADER.unpack(header)[0] + CHECKSUM.size
                    if behind > MAX_ROW_BYTES + CHECKSUM.size:
                        file.seek(behind, 1)
                        passed = behind
                    else:
                        record += file.read(behind)
                        is_last = len(record) < HEADER.size + behind
                if record:
                    parts.append(record)
                    length += len(record)
        except DAMAGE as error:
            problem, is_last = f"the file does not unpack: {error}", True
        if parts:
            end = Place(begin.offset + length + passed, begin.records + len(parts))
            yield Block(b"".join(parts), begin, end)
            begin = end
    if problem:
        yield Block(b"", begin, Place(begin.offset, begin.records + 1), problem)


def is_whole(header: bytes) -> bool:
    """Whether the header of a TFRecord has the checksum of its length."""
    _length, checksum = HEADER.unpack(header)
    return masked_crc(header[:8]) == int(checksum)
