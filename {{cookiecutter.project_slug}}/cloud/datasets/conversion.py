"""A person's own rows as the data set has them: names for headings, values as the trainer reads.

A row is in the split that the CRC-32 of its key says, or of its group, or of all its cells where
it has neither: so equal rows are in one split, and none moves when others are added. By time, the
first eighty of a hundred are for training, the next ten to evaluate on, and the last to test with.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from cloud.datasets.source import Row, SourceFile, find_paths, open_all
from cloud.datasets.splits import SHARES
from cloud.datasets.written import CellError, Reader, label_reader, normal_form, reader
from cloud.errors import UserError
from table_schema import values
from table_schema.columns import Table

BLOCK_ROWS = 65_536
LAST_HASH = 0xFFFFFFFF


@dataclass
class Made:
    """What became of the rows of a person's files.

    Attributes:
        rows: by split.
        without_label: how many were left out as they have none.
        of_left_out_classes: how many were left out as the description says of their class.
        bad: how many could not be read.
    """

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SHARES, 0))
    without_label: int = 0
    of_left_out_classes: int = 0
    bad: int = 0


def write_csvs(
    table: Table, paths: Sequence[Path], folder: Path, rows: int | None = None
) -> tuple[dict[str, Path], Made]:
    """Writes `train.csv`, `eval.csv` and `test.csv`, the same bytes each time.

    Args:
        table: with a source.
        paths: of the source's files.
        folder: where to; it is made.
        rows: size of a sample over all splits; None takes every row.

    Returns:
        The files by split, and what became of the rows.

    Raises:
        UserError: a row cannot be read, or a cell is not as the description says.
    """
    assert table.source is not None  # noqa: S101
    converter = Converter(table, open_all(find_paths(paths), table.source))
    division = converter.division(rows)
    made = Made()
    folder.mkdir(parents=True, exist_ok=True)
    files = {split: folder / f"{split}.csv" for split in SHARES}
    with ExitStack() as stack:
        writers = {}
        for split, path in files.items():
            file = stack.enter_context(path.with_suffix(".partial").open("wb"))
            file.write((",".join(converter.names) + "\n").encode())
            options = pacsv.WriteOptions(include_header=False, quoting_style="needed")
            schema = pa.schema([(name, pa.string()) for name in converter.names])
            writers[split] = stack.enter_context(
                pacsv.CSVWriter(file, schema, write_options=options)
            )
        for block in converter.blocks(made):
            for split, chosen in division.masks(block).items():
                made.rows[split] += int(chosen.sum())
                writers[split].write_table(block.rows.filter(pa.array(chosen)))
    for path in files.values():
        path.with_suffix(".partial").replace(path)
    return files, made


@dataclass(frozen=True)
class Block:
    """Rows that have a label.

    Attributes:
        rows: Arrow table of texts, in the columns of the CSV files.
        hashes: uint32 [rows], of the key, the group or the whole row.
        times: float64 [rows], in seconds; None where the split is not by time.
    """

    rows: Any
    hashes: Any
    times: Any


@dataclass(frozen=True)
class Division:
    """Which rows are in which split.

    Attributes:
        last_hash: of a sample; no row with a higher one is in a split.
        times: at which each split begins; None where hashes decide.
    """

    last_hash: int
    times: Sequence[float] | None

    def masks(self, block: Block) -> dict[str, Any]:
        """Returns by split which rows of a block it has, bool [rows]."""
        sample = block.hashes <= self.last_hash
        if self.times is None:
            places = block.hashes % 100
            return {split: sample & np.isin(places, share) for split, share in SHARES.items()}
        begun = np.searchsorted(self.times[1:], block.times, side="right")
        return {split: sample & (begun == number) for number, split in enumerate(SHARES)}


class Converter:
    """Reads a person's files block by block.

    Args:
        table: with a source.
        sources: its files.

    Attributes:
        names: of the columns in the CSV files.

    Raises:
        UserError: the files lack a described column, or `written` of one is not understood.
    """

    def __init__(self, table: Table, sources: Sequence[SourceFile]) -> None:
        self._table = table
        self._sources = sources
        headings = sources[0].headings
        source, label = table.source, table.label
        assert source is not None  # noqa: S101
        self.names = [table.key, *(column.name for column in table.columns), label.name]
        wanted = [column.heading for column in table.columns] + [label.heading]
        wanted += [heading for heading in (source.key, table.split.column) if heading]
        for heading in wanted:
            if heading not in headings:
                raise UserError(
                    f"{sources[0].path}: has no column {heading!r} as trainer/tables/"
                    f"{table.name}.toml describes it; its headings are {', '.join(headings)[:300]}."
                )
        self._places = {heading: headings.index(heading) for heading in wanted}
        self._readers = column_readers(table)
        with of_description(table, label.name):
            self._label_reader = label_reader(label)
        with of_description(table, "split"):
            self._time_reader = Reader("timestamp", table.split.written)

    def division(self, rows: int | None) -> Division:
        """Returns which rows are in which split, for a sample of so many rows over all splits.

        Raises:
            UserError: the rows have too few times to be split by them.
        """
        by_time = self._table.split.by == "time"
        if rows is None and not by_time:
            return Division(LAST_HASH, None)
        blocks = [(block.hashes, block.times) for block in self.blocks(Made())]
        hashes = np.sort(np.concatenate([block for block, _times in blocks]))
        last_hash = LAST_HASH if rows is None else int(hashes[:rows][-1])
        if not by_time:
            return Division(last_hash, None)
        times = np.sort(np.concatenate([block for _hashes, block in blocks]))
        begins = [times[len(times) * share.start // 100] for share in SHARES.values()]
        if len(set(begins)) < len(begins):
            raise UserError(
                f"Expected many times in column {self._table.split.column!r}, so that the tests are"
                " of later rows than the training's, got too few; split by row or by group."
            )
        return Division(last_hash, begins)

    def blocks(self, made: Made) -> Iterator[Block]:
        """Gives the rows, and counts those that are left out."""
        number = 0
        for source in self._sources:
            rows = source.rows()
            while block := list(islice(rows, BLOCK_ROWS)):
                yield self._block(source.path, block, number, made)
                number += len(block)
            made.bad += len(source.counts.bad)

    def _block(self, path: Path, block: list[Row], begin: int, made: Made) -> Block:
        label = self._table.label
        texts = [row.cells[self._places[label.heading]] for row in block]
        excluded = set(map(normal_form, label.left_out))
        kept = list(range(len(block)))
        if excluded:
            kept = [n for n, text in enumerate(texts) if normal_form(text) not in excluded]
            made.of_left_out_classes += len(block) - len(kept)
        labels = self._column(path, [block[n] for n in kept], label.heading, self._label_reader)
        there = labels.is_valid().to_numpy(zero_copy_only=False)
        made.without_label += int((~there).sum())
        numbers = np.array(kept, np.int64)[there]
        rows = [block[index] for index in numbers]
        columns = [self._keys(rows, numbers + begin)]
        columns += [
            self._column(path, rows, column.heading, self._readers[column.name])
            for column in self._table.columns
        ]
        columns.append(labels.filter(pa.array(there)))
        table = pa.table(columns, names=self.names)
        return Block(table, self._hashes(rows), self._times(path, rows))

    def _keys(self, rows: list[Row], numbers: Any) -> Any:
        source = self._table.source
        if source is None or not source.key:
            return pa.array((f"row {number + 1}" for number in numbers), pa.string())
        place = self._places[source.key]
        return pa.array((row.cells[place].strip() for row in rows), pa.string())

    def _column(self, path: Path, rows: list[Row], heading: str, reader: Reader) -> Any:
        place = self._places[heading]
        try:
            return reader.read_all([row.cells[place] for row in rows])
        except CellError as error:
            raise UserError(
                f"{path}, {rows[error.index].place}, column {heading!r}: {error}. Correct the cell,"
                f" or the column's 'kind', 'written' or 'gaps' in trainer/tables/"
                f"{self._table.name}.toml."
            ) from error

    def _hashes(self, rows: list[Row]) -> Any:
        split, source = self._table.split, self._table.source
        group = split.column if split.by == "group" else ""
        place = self._places.get(group or (source.key if source else ""))
        texts = (
            "\0".join(row.cells) if place is None else row.cells[place].strip() for row in rows
        )
        return hashes(texts, split.salt, len(rows))

    def _times(self, path: Path, rows: list[Row]) -> Any:
        split = self._table.split
        if split.by != "time":
            return None
        times = self._column(path, rows, split.column, self._time_reader)
        if times.null_count:
            gap = times.is_null().to_pylist().index(True)
            raise UserError(
                f"{path}, {rows[gap].place}: expected a time in column {split.column!r}, by which"
                " the rows are split, got a gap; write one, or split by row."
            )
        return np.fromiter(map(seconds, times.to_pylist()), np.float64, len(rows))


def column_readers(table: Table) -> dict[str, Reader]:
    """Returns the reader of each column of a person's own files, by name.

    Raises:
        UserError: `written` of one is not understood.
    """
    found = {}
    for column in table.columns:
        with of_description(table, column.name):
            found[column.name] = reader(column)
    return found


@contextmanager
def of_description(table: Table, part: str) -> Iterator[None]:
    """Turns what is wrong with `written` into a sentence that names the description.

    Raises:
        UserError: it is not understood.
    """
    try:
        yield
    except ValueError as error:
        raise UserError(f"trainer/tables/{table.name}.toml, {part!r}: {error}.") from error


def hashes(texts: Iterable[str], salt: int, count: int) -> Any:
    """Returns the CRC-32 of each text, uint32 [count]; another salt gives others."""
    before = f"{salt} " if salt else ""
    found = (zlib.crc32(f"{before}{text}".encode()) for text in texts)
    return np.fromiter(found, np.uint32, count)


def seconds(text: str) -> float:
    """Returns the seconds since 1970 of a timestamp of ISO 8601, in UTC where it has no zone.

    A time of day is one of the first day.
    """
    found = datetime.fromisoformat(values.moment(text))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
