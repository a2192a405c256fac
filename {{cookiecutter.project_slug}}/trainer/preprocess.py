"""From raw columns to what the network takes: the same code in training and in the SavedModel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.columns import Table
from trainer.data import Rows

# Rows encoded in one call; bounds the memory that strings take.
BLOCK = 65_536
# A mistyped number must not drown all others: standard deviations from the mean, at most.
LIMIT = 10.0

Tensor = Any


@dataclass(frozen=True)
class Statistics:
    """What the training rows say about each column; readable as JSON.

    Attributes:
        mean: of each number column, in its own unit.
        scale: its standard deviation; 1 for a constant column.
        has_gaps: whether it has gaps, which then are a feature of their own.
        vocabulary: values of each category and integer column that are frequent enough, the most
            frequent first; the code of a value is its place, from 1.
    """

    mean: dict[str, float]
    scale: dict[str, float]
    has_gaps: dict[str, bool]
    vocabulary: dict[str, list[Any]]


@dataclass(frozen=True)
class Encoded:
    """Rows as the network takes them.

    Attributes:
        numbers: float32 [rows, numbers], of mean 0 and variance 1 over the training rows, then
            the gaps' own features, 0 or 1.
        codes: int32 [rows, categories]; 0 is a missing, rare or unknown value.
        labels: int32 [rows], indices of classes.
    """

    numbers: Tensor
    codes: Tensor
    labels: Tensor


def measure(rows: Rows, table: Table, min_count: int) -> Statistics:
    """Measures the training rows, and never any others."""
    mean, scale, has_gaps, vocabulary = {}, {}, {}, {}
    for column in table.columns:
        values = rows.features[column.name]
        if column.kind == "number":
            known = values[np.isfinite(values)].astype(np.float64)
            mean[column.name] = float(known.mean()) if len(known) else 0.0
            scale[column.name] = float(known.std() or 1.0) if len(known) else 1.0
            has_gaps[column.name] = len(known) < len(values)
        else:
            distinct, counts = np.unique(values, return_counts=True)
            order = np.argsort(-counts, kind="stable")
            kept = order[counts[order] >= min_count]
            vocabulary[column.name] = [v for v in distinct[kept].tolist() if v != column.missing]
    return Statistics(mean, scale, has_gaps, vocabulary)


class Preprocessor(tf.Module):  # type: ignore[misc]
    """Scales numbers and turns categories into codes."""

    def __init__(self, table: Table, statistics: Statistics) -> None:
        super().__init__(name="preprocessor")
        self.table = table
        self.statistics = statistics
        self.lookups = {
            column.name: _lookup(statistics.vocabulary[column.name], column.kind == "integer")
            for column in table.columns
            if column.kind != "number"
        }

    def __call__(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Encodes raw columns.

        Args:
            features: tensors [rows] by column: float32, int64 or string.

        Returns:
            float32 [rows, numbers] and int32 [rows, categories], as in `Encoded`.
        """
        numbers, gaps, codes = [], [], []
        rows = tf.shape(next(iter(features.values())))[0]
        for column in self.table.columns:
            values = features[column.name]
            if column.kind != "number":
                codes.append(self.lookups[column.name].lookup(values))
                continue
            known = tf.math.is_finite(values)
            mean, scale = self.statistics.mean[column.name], self.statistics.scale[column.name]
            scaled = tf.clip_by_value((values - mean) / scale, -LIMIT, LIMIT)
            numbers.append(tf.where(known, scaled, 0.0))
            if self.statistics.has_gaps[column.name]:
                gaps.append(tf.cast(~known, tf.float32))
        return _columns(numbers + gaps, rows, tf.float32), _columns(codes, rows, tf.int32)

    def encode(self, rows: Rows) -> Encoded:
        """Encodes a table once, so that no epoch has to."""
        call = tf.function(self.__call__)
        blocks = [
            call({name: tf.constant(v[at : at + BLOCK]) for name, v in rows.features.items()})
            for at in range(0, len(rows), BLOCK)
        ]
        numbers, codes = (tf.concat(parts, axis=0) for parts in zip(*blocks, strict=True))
        return Encoded(numbers, codes, tf.constant(rows.labels))


def _lookup(vocabulary: list[Any], integers: bool) -> tf.lookup.StaticHashTable:
    keys = tf.constant(vocabulary, tf.int64 if integers else tf.string)
    codes = tf.range(1, len(vocabulary) + 1, dtype=tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, codes), 0)


def _columns(columns: list[Tensor], rows: Tensor, dtype: Any) -> Tensor:
    """Stacks tensors [rows] to [rows, columns]; a table may have no columns of a kind."""
    return tf.stack(columns, axis=1) if columns else tf.zeros([rows, 0], dtype)
