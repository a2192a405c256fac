"""The rows of CSV files and TFRecords, block by block, and the sentence about each that is bad."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from table_schema.columns import Table
from trainer import console
from trainer.errors import StopRequestedError, UserError
from trainer.tabular import data_files
from trainer.tabular.formats import Format, open_format
from trainer.tabular.records import BadRecordError

Array = np.ndarray[Any, Any]
# A model: float [rows, classes] or [rows], as `table_schema/metrics.py` scores them.
Predict = Callable[["Rows"], Array]

SHOWN = 5  # rows that cannot be parsed, with their numbers
JUDGED = 100_000  # rows after which the share of those that do not parse is looked at


@dataclass(frozen=True)
class Rows:
    """The described columns of some rows, raw.

    Attributes:
        source: where they were read.
        features: arrays [rows] by column: float32, int64, bool, or objects that are str, with the
            column's missing value where there is a gap.
        labels: int32 [rows], indices into the label's classes; of a number float32 [rows].
        keys: what tells the rows apart, objects that are str [rows]; None where it was not read.
    """

    source: str
    features: dict[str, Array]
    labels: Array
    keys: Array | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def fingerprint(self) -> str:
        """Returns `sha256:…` of the keys, or else the features, and the labels.

        So another feature in the description leaves the fingerprint of the same rows as it is.
        """
        digest = hashlib.sha256(self.labels.tobytes())
        for values in self.features.values() if self.keys is None else [self.keys]:
            text = values.dtype == object
            digest.update("\n".join(values).encode() if text else values.tobytes())
        return f"sha256:{digest.hexdigest()}"


@dataclass
class Source:
    """The rows of all files that a pattern names; each loop over it gives them as blocks.

    Attributes:
        pattern: path or gs:// URI, in which `*`, `?` and `[…]` stand for characters of names.
        table: the columns to read.
        max_bad_share: rows that may fail to parse, of all.
        kept_rows: rows up to which the blocks stay in memory, so that they are read once.
        with_keys: whether to read the key, where the files have it.
        stop: ends a loop with StopRequestedError.
        digests: SHA-256 of each file by its name, known after a loop.
    """

    pattern: str
    table: Table
    max_bad_share: float = 0.0
    kept_rows: int = 0
    with_keys: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    digests: dict[str, str] = field(default_factory=dict)
    _kept: list[Rows] | None = None

    def __iter__(self) -> Iterator[Rows]:
        """Reads, or gives what is kept.

        Raises:
            StopRequestedError: `stop` is set.
            UserError: a file is missing or not such a table, or too many rows do not parse.
        """
        if self._kept is not None:
            yield from self._kept
            return
        sieve = _Sieve(self)
        kept: list[Rows] = []
        for name in data_files.find(self.pattern):
            before = sieve.read
            with data_files.opened(name) as file:
                form = open_format(file, self.table, self.with_keys)
                for number, records in form.blocks():
                    if self.stop.is_set():
                        raise StopRequestedError
                    for parsed in sieve.sift(form, records, number):
                        rows = _rows(name, parsed, self.table)
                        if sieve.read <= self.kept_rows:
                            kept.append(rows)
                        else:
                            kept.clear()
                        yield rows
                form.check_end()
                digest = file.digest.hexdigest()
            if self.digests.setdefault(name, digest) != digest:
                raise UserError(f"{name}: changed while it was read; start the training again.")
            if sieve.read == before:
                console.say(f"{name} has no rows: skipped.", severity="WARNING")
        sieve.check(at_least=1)
        if not sieve.good:
            raise UserError(f"{self.pattern}: expected rows below the header, got none.")
        self._kept = kept or None

    def fingerprint(self) -> str:
        """Returns a SHA-256 over all files, known after a loop."""
        return hashlib.sha256("".join(self.digests.values()).encode()).hexdigest()


def read(source: Source) -> Rows:
    """Reads all rows of a source into memory.

    Raises:
        StopRequestedError: its `stop` is set.
        UserError: as a loop over it does, or all rows have the same label.
    """
    rows = join(list(source))
    if (rows.labels == rows.labels[0]).all():
        raise UserError(
            f"{source.pattern}: expected different values in column {source.table.label.name!r},"
            f" got one value in all {len(rows):,} rows; split the rows again, at random or by"
            " class, so that training, evaluation and test rows each have every class."
        )
    return rows


def join(blocks: Sequence[Rows]) -> Rows:
    """Returns the rows of all blocks, of which there is at least one."""
    first, *more = blocks
    if not more:
        return first
    keys = [block.keys for block in blocks if block.keys is not None]
    return Rows(
        first.source,
        {name: np.concatenate([b.features[name] for b in blocks]) for name in first.features},
        np.concatenate([block.labels for block in blocks]),
        np.concatenate(keys) if len(keys) == len(blocks) else None,
    )


def take(rows: Rows, places: Array) -> Rows:
    """Returns the rows of these places."""
    features = {name: values[places] for name, values in rows.features.items()}
    return Rows(rows.source, features, rows.labels[places])


def sampled(blocks: Iterable[Rows], step: int, sample: list[Rows]) -> Iterator[Rows]:
    """Passes blocks on, and notes every `step`th row of each."""
    for block in blocks:
        features = {name: values[::step] for name, values in block.features.items()}
        sample.append(Rows(block.source, features, block.labels[::step]))
        yield block


class _Sieve:
    """Parses records, and counts and shows those that do not parse."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.again = bool(source.digests)  # a second loop: bad rows have been reported
        self.good = 0
        self.bad = 0
        self.shown: list[str] = []

    @property
    def read(self) -> int:
        return self.good + self.bad

    def sift(self, form: Format, records: list[bytes], number: int) -> Iterator[pa.Table]:
        """Gives the records that parse; halves those that do not, down to the ones at fault.

        Raises:
            UserError: there are too many.
        """
        try:
            parsed = form.parse(records)
        except BadRecordError as error:
            if len(records) > 1:
                middle = len(records) // 2
                yield from self.sift(form, records[:middle], number)
                yield from self.sift(form, records[middle:], number + middle)
                return
            self.bad += 1
            if len(self.shown) < SHOWN:
                self.shown.append(f"{form.place(number)}: {error}")
            if self.bad >= SHOWN:
                self.check(at_least=JUDGED)
            return
        self.good += parsed.num_rows
        if parsed.num_rows:
            yield parsed

    def check(self, at_least: int) -> None:
        """Judges the share of bad rows of those read, or of `at_least` so many.

        Raises:
            UserError: it is too large.
        """
        if not self.bad:
            return
        found = (
            f"{self.bad:,} of the {self.read:,} rows read cannot be parsed."
            f" {'; '.join(self.shown)}."
        )
        share = self.source.max_bad_share
        if self.bad > share * max(self.read, at_least):
            raise UserError(
                f"{self.source.pattern}: {found} Correct them, change"
                f" trainer/tables/{self.source.table.name}.toml, or allow"
                f" a larger share than {share:g} with --max-bad-share."
            )
        if at_least == 1 and not self.again:
            console.say(f"{self.source.pattern}: {found} They are left out.", severity="WARNING")


def _rows(name: str, parsed: pa.Table, table: Table) -> Rows:
    """Turns what was parsed, with its checked labels, into arrays."""
    features = {
        column.name: _array(parsed[column.name].fill_null(column.missing))
        for column in table.columns
    }
    labels = parsed[table.label.name].to_numpy()
    labels = labels.astype(np.int32 if table.label.classes else np.float32)
    keys = _array(parsed[table.key].fill_null("")) if table.key in parsed.column_names else None
    return Rows(name, features, labels, keys)


def _array(values: Any) -> Array:
    """Returns an array; equal strings are one object, which saves memory and time."""
    if not pa.types.is_string(values.type):
        return np.asarray(values.to_numpy())
    encoded = values.combine_chunks().dictionary_encode()
    return np.asarray(encoded.dictionary.to_numpy(zero_copy_only=False)[encoded.indices.to_numpy()])
