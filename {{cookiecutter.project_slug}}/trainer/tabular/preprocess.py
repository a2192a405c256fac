"""From raw columns to what the network takes: the same code in training and in the SavedModel."""

import functools
import math
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from table_schema.columns import Kind, Table
from trainer.errors import UserError
from trainer.tabular import texts, timestamps
from trainer.tabular.data import Array, Rows
from trainer.tabular.statistics import Statistics

# Rows encoded in one call; bounds the memory that strings take.
BLOCK = 65_536
# A mistyped number must not outweigh all others: standard deviations from the mean, at most.
LIMIT = 10.0

Tensor = Any

DTYPES: dict[Kind, Any] = {
    "number": tf.float32,
    "integer": tf.int64,
    "category": tf.string,
    "boolean": tf.bool,
    "timestamp": tf.string,
    "text": tf.string,
}


@dataclass(frozen=True)
class Encoded:
    """Rows as the network takes them.

    Attributes:
        numbers: float32 [rows, numbers], of mean 0 and variance 1 over the training rows, then
            the booleans and the gaps' own features, 0 or 1.
        codes: int32 [rows, codes], one for each vocabulary, then the words of each text; 0 is a
            missing, rare or unknown value, and fills up the words.
        labels: int32 [rows], indices of classes; of a number float32 [rows], in its own unit.
        folds: int32 [rows], the fold that each row is in, 0 where nothing is left out.
    """

    numbers: Array
    codes: Array
    labels: Array
    folds: Array

    @property
    def arrays(self) -> tuple[Array, Array, Array, Array]:
        """All of them, in this order."""
        return self.numbers, self.codes, self.labels, self.folds


class Preprocessor(tf.Module):  # type: ignore[misc]
    """Scales numbers and turns categories into codes."""

    def __init__(self, table: Table, statistics: Statistics) -> None:
        super().__init__(name="preprocessor")
        self.table = table
        self.statistics = statistics
        vocabularies = statistics.vocabulary | {n: [*w] for n, w in statistics.words.items()}
        self.lookups = {
            name: _lookup(vocabulary)
            for name, vocabulary in vocabularies.items()
            if vocabulary  # of none, as where all values are gaps or rare, no lookup can be made
        }
        # One trace for any number of rows: the same row has the same bits each time.
        raw = {c.name: tf.TensorSpec([None], DTYPES[c.kind], c.name) for c in table.columns}
        encode = tf.function(self.__call__, input_signature=[raw], autograph=False)
        # Wrapped, as a SavedModel would take along a tf.function that is an attribute itself.
        self._encode = functools.partial(encode)

    @property
    def numbers(self) -> int:
        """How many numbers the network takes of a row."""
        booleans = sum(column.kind == "boolean" for column in self.table.columns)
        return len(self.statistics.mean) + booleans + sum(self.statistics.has_gaps.values())

    @property
    def codes(self) -> int:
        """How many codes the network takes of a row."""
        return len(self.statistics.vocabulary) + sum(self.statistics.lengths.values())

    def __call__(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Encodes raw columns.

        Args:
            features: tensors [rows] by column: float32, int64, string or bool.

        Returns:
            float32 [rows, numbers] and int32 [rows, codes], as in `Encoded`.
        """
        numbers, flags, codes, words = [], [], {}, []
        rows = tf.shape(next(iter(features.values())))[0]
        for column in self.table.columns:
            values = features[column.name]
            if column.kind == "boolean":
                flags.append(tf.cast(values, tf.float32))
            elif column.kind in ("category", "integer"):
                codes[column.name] = self._code(column.name, values, column.missing)
            elif column.kind == "text":
                words.append(self._words(column.name, values))
            else:
                if column.kind == "timestamp":
                    parts = timestamps.parts(values)
                    names = {part: f"{column.name}.{part}" for part in timestamps.PARTS}
                    codes |= {n: self._code(n, parts[part], -1) for part, n in names.items()}
                    values = self._days(column.name, parts)
                known = tf.abs(values) < tf.float32.max  # NaN is not; JSON has the largest for it
                mean, scale = self.statistics.mean[column.name], self.statistics.scale[column.name]
                scaled = tf.clip_by_value((values - mean) / scale, -LIMIT, LIMIT)
                numbers.append(tf.where(known, scaled, 0.0))
                if self.statistics.has_gaps[column.name]:
                    flags.append(tf.cast(~known, tf.float32))
        ordered = [codes[name] for name in self.statistics.vocabulary]
        categories = _columns(ordered, rows, tf.int32)
        whole = tf.concat([categories, *words], axis=1) if words else categories
        return _columns(numbers + flags, rows, tf.float32), whole

    def encode(self, rows: Rows) -> Encoded:
        """Encodes rows into memory."""
        return self.encode_blocks([rows], len(rows), None)

    def encode_blocks(self, blocks: Iterable[Rows], rows: int, scratch: Path | None) -> Encoded:
        """Encodes a table once, so that no epoch has to.

        Args:
            blocks: the table, each row once.
            rows: how many there are.
            scratch: folder for it on disk; None keeps it in memory.

        Raises:
            UserError: the disk has too little room.
        """
        label = np.int32 if self.table.label.classes else np.float32
        make = _in_memory if scratch is None else functools.partial(_on_disk, scratch)
        encoded = Encoded(
            make("numbers", (rows, self.numbers), np.float32),
            make("codes", (rows, self.codes), np.int32),
            make("labels", (rows,), label),
            np.broadcast_to(np.int32(0), (rows,)),  # takes no memory
        )
        at, size = 0, texts.BLOCK if self.statistics.words else BLOCK
        for block in blocks:
            for start in range(0, len(block), size):
                part = slice(start, start + size)
                raw = {name: tf.constant(values[part]) for name, values in block.features.items()}
                encoded_here = (*self._encode(raw), block.labels[part])
                for array, values in zip(encoded.arrays[:-1], encoded_here, strict=True):
                    array[at : at + len(values)] = values
                at += len(values)
        return encoded

    def _code(self, name: str, values: Tensor, missing: Any) -> Tensor:
        """Returns the codes of categories: places in the vocabulary, or hashes."""
        buckets = self.statistics.buckets.get(name)
        if buckets is None and name not in self.lookups:
            return tf.zeros_like(values, tf.int32)
        if buckets is None:
            return self.lookups[name].lookup(values)
        text = values if values.dtype == tf.string else tf.strings.as_string(values)
        hashes = tf.strings.to_hash_bucket_fast(text, buckets)
        gaps = tf.equal(values, tf.constant(missing, values.dtype))
        return tf.where(gaps, 0, tf.cast(hashes + 1, tf.int32))

    def _words(self, name: str, values: Tensor) -> Tensor:
        """Returns the codes of a text's words and pairs, int32 [rows, length]."""
        length = self.statistics.lengths[name]
        if name not in self.lookups:
            return tf.zeros([tf.size(values), length], tf.int32)
        return texts.codes(values, self.lookups[name], length)

    def _days(self, name: str, parts: Mapping[str, Tensor]) -> Tensor:
        """Returns a timestamp's days after its reference, which float32 has room for."""
        whole = tf.cast(parts["day"] - self.statistics.references[name], tf.float32)
        fractions = tf.cast(parts["second"], tf.float32) / timestamps.SECONDS
        return tf.where(parts["known"], whole + fractions, math.nan)


def _lookup(vocabulary: list[Any]) -> tf.lookup.StaticHashTable:
    keys = tf.constant(vocabulary, tf.string if isinstance(vocabulary[0], str) else tf.int64)
    codes = tf.range(1, len(vocabulary) + 1, dtype=tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, codes), 0)


def _columns(columns: list[Tensor], rows: Tensor, dtype: Any) -> Tensor:
    """Stacks tensors [rows] to [rows, columns]; a table may have no columns of a kind."""
    return tf.stack(columns, axis=1) if columns else tf.zeros([rows, 0], dtype)


def _in_memory(_name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    return np.empty(shape, dtype)


def _on_disk(folder: Path, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """Makes an array in a file, with room for all of it.

    Raises:
        UserError: the disk has too little room.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{folder}: expected {size / 1e9:.1f} GB of free disk space for the encoded training"
            f" rows, got {free / 1e9:.1f} GB; free some space, or set TMPDIR to a larger disk."
        )
    if not size:
        return np.empty(shape, dtype)  # a file cannot be mapped that is empty
    return np.memmap(folder / name, dtype, "w+", shape=shape)
