"""The order of the training rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.tabular.preprocess import Encoded
from trainer.tabular.shuffle import Shuffle


def rows(count: int) -> Encoded:
    """Returns rows that carry their own place in each array."""
    place = np.arange(count)
    whole = place.astype(np.int32)
    return Encoded(place[:, None].astype(np.float32), whole[:, None], whole, whole)


def epoch(shuffle: Shuffle, number: int, step: int = 0) -> list[list[int]]:
    """Returns the rows of each batch."""
    batches = []
    for (numbers, codes, labels, folds), window in shuffle.windows(number, step):
        for batch in window:
            found = labels.numpy()[batch]
            np.testing.assert_array_equal(found, codes.numpy()[batch, 0])
            np.testing.assert_array_equal(found, numbers.numpy()[batch, 0])
            np.testing.assert_array_equal(found, folds.numpy()[batch])
            batches.append(found.tolist())
    return batches


@pytest.mark.parametrize("window_rows", [5_000, 1_000, 300, 16])
def test_an_epoch_takes_each_row_once_but_a_few(window_rows: int) -> None:
    shuffle = Shuffle(rows(1_003), 10, window_rows, seed=0)
    batches = epoch(shuffle, 0)
    taken = [row for batch in batches for row in batch]
    assert len(batches) == shuffle.steps
    assert {len(batch) for batch in batches} == {10}
    assert len(set(taken)) == len(taken) > 900
    assert taken != sorted(taken)
    left_out = set(range(1_003)) - set(taken)
    assert left_out != set(range(1_003)) - {row for batch in epoch(shuffle, 1) for row in batch}


@pytest.mark.parametrize("window_rows", [5_000, 300])
def test_from_any_step_on_it_is_the_rest_of_the_same_epoch(window_rows: int) -> None:
    expected = epoch(Shuffle(rows(1_003), 10, window_rows, seed=3), 4)
    shuffle = Shuffle(rows(1_003), 10, window_rows, seed=3)
    for step in (0, 1, 29, 30, 31, 60, len(expected) - 1, len(expected)):
        assert epoch(shuffle, 4, step) == expected[step:]
    assert epoch(shuffle, 5) != expected
    assert epoch(Shuffle(rows(1_003), 10, window_rows, seed=4), 4) != expected


def test_windows_have_one_shape_and_mix_distant_rows() -> None:
    shuffle = Shuffle(rows(1_000), 10, 300, seed=0)
    shapes, spans = set(), []
    for data, batches in shuffle.windows(0, 0):
        shapes.add(tuple(tensor.shape.as_list()[0] for tensor in data))
        taken: Any = data[2].numpy()[batches.ravel()]
        spans.append(taken.max() - taken.min())
    assert len(shapes) == 1
    assert len(spans) == 4
    assert min(spans) > 500


def test_rows_on_disk_come_as_those_in_memory(tmp_path: Path) -> None:
    in_memory = rows(1_000)
    arrays = []
    for number, values in enumerate(in_memory.arrays):
        array: Any = np.memmap(tmp_path / str(number), values.dtype, "w+", shape=values.shape)
        array[:] = values
        arrays.append(array)
    expected = epoch(Shuffle(in_memory, 10, 300, seed=0), 2)
    assert epoch(Shuffle(Encoded(*arrays), 10, 300, seed=0), 2) == expected
