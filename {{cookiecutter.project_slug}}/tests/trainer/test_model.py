"""The network's first weights."""

import dataclasses
import random
from typing import Any

import numpy as np

from trainer import model
from trainer.columns import TABLES
from trainer.preprocess import Statistics
from trainer.settings import Settings


def first_weights(settings: Settings) -> list[Any]:
    table = TABLES["penguins"]
    numbers = [column.name for column in table.columns if column.kind == "number"]
    others = [column.name for column in table.columns if column.kind != "number"]
    statistics = Statistics(
        mean=dict.fromkeys(numbers, 0.0),
        scale=dict.fromkeys(numbers, 1.0),
        has_gaps=dict.fromkeys(numbers, False),
        vocabulary={name: ["a", "b"] for name in others},
    )
    network = model.build(table, statistics, settings)
    weights: list[Any] = network.get_weights()
    return weights


def test_the_seed_alone_decides_the_first_weights() -> None:
    """A thread that draws from Python's random numbers meanwhile, as uploads do, changes none."""
    files = {"train_data": "a", "eval_data": "b", "test_data": "c", "table": "penguins"}
    settings = Settings.tiny(**files, dropout=0.1)
    weights = first_weights(settings)
    random.seed(1)
    for first, again in zip(weights, first_weights(settings), strict=True):
        np.testing.assert_array_equal(first, again)
    others = first_weights(dataclasses.replace(settings, seed=1))
    kernels = [i for i, weight in enumerate(weights) if np.ndim(weight) == 2 and weight.any()]
    assert kernels
    assert all((weights[i] != others[i]).any() for i in kernels)
