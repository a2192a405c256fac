"""The order of the training rows: another each epoch, the same for the same seed.

Rows that fit into one window are shuffled as a whole. Of more, an epoch takes pieces of
neighbouring rows in random order from disk, a window full at a time, and shuffles each window. So
epoch and step alone tell the position in the data, and training goes on from any step.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.tabular.data import Array
from trainer.tabular.preprocess import Encoded

PIECES = 16  # of a window, at least
LARGEST_PIECE = 256  # rows that are read from disk at once

Tensors = tuple[Any, ...]


class Shuffle:
    """The batches of each epoch.

    Attributes:
        steps: batches of an epoch; the few rows that are left over are others each time.
    """

    def __init__(self, rows: Encoded, batch: int, window_rows: int, seed: int) -> None:
        """Plans the windows.

        Args:
            rows: all of them, in memory or on disk.
            batch: rows of a step.
            window_rows: rows that are shuffled together, but two batches at least.
            seed: decides the order.
        """
        self._rows, self._batch, self._seed = rows, batch, seed
        count, window_rows = len(rows.labels), max(window_rows, 2 * batch)
        if count <= window_rows:
            self._piece, self._spans = count, [1]
        else:
            self._piece = min(window_rows // PIECES, LARGEST_PIECE) or 1
            pieces, span = count // self._piece, window_rows // self._piece
            self._spans = [min(span, pieces - at) for at in range(0, pieces, span)]
        self._steps = [span * self._piece // batch for span in self._spans]
        self.steps = sum(self._steps)
        self._whole: Tensors | None = None
        if self._piece == count:
            self._whole = self._load(np.array([0]))

    def windows(self, epoch: int, step: int) -> Iterator[tuple[Tensors, Array]]:
        """Gives what is left of an epoch, reading one window while another is used.

        Args:
            epoch: from 0.
            step: the first to give, from 0.

        Yields:
            The tensors of a window's rows, of one shape for all windows, and the places of each
            batch's rows in them, int32 [steps, batch].
        """
        if step == self.steps:
            return
        rng = np.random.default_rng([self._seed, epoch])
        pieces = sum(self._spans)
        offset = rng.integers(len(self._rows.labels) - pieces * self._piece + 1)
        starts = offset + self._piece * rng.permutation(pieces)
        parts = np.split(starts, np.cumsum(self._spans)[:-1])
        first = int(np.searchsorted(np.cumsum(self._steps), step, side="right"))
        step -= sum(self._steps[:first])
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._load, parts[first])
            for window in range(first, len(parts)):
                data = ahead.result()
                if window + 1 < len(parts):
                    ahead = reader.submit(self._load, parts[window + 1])
                shuffle = np.random.default_rng([self._seed, epoch, window])
                order = shuffle.permutation(len(parts[window]) * self._piece).astype(np.int32)
                steps = self._steps[window]
                yield data, order[: steps * self._batch].reshape(steps, self._batch)[step:]
                step = 0

    def _load(self, starts: Array) -> Tensors:
        """Brings pieces together; a window that is not full ends in zeros, which no batch takes."""
        if self._whole is not None:
            return self._whole
        size = self._spans[0] * self._piece
        tensors = []
        for array in self._rows.arrays:
            window = np.zeros((size, *array.shape[1:]), array.dtype)
            for place, start in enumerate(starts):
                at = place * self._piece
                window[at : at + self._piece] = array[start : start + self._piece]
            tensors.append(tf.constant(window))
        return tuple(tensors)
