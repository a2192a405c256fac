"""The folds of a small table, and what its scores are worth."""

from typing import Any

import numpy as np

from table_schema.metrics import intervals, score
from trainer.tabular.data import Array


def parts(labels: Array, folds: int, seed: int) -> Array:
    """Shares rows out at random, those of each class, or of numbers alike, evenly.

    Args:
        labels: [rows].
        folds: how many parts.
        seed: another shares them out otherwise.

    Returns:
        The part of each row, int32 [rows], 0 to folds - 1.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    found = np.empty(len(labels), np.int32)
    found[order] = np.arange(len(labels)) % folds
    return found


def scores(predictions: Array, labels: Array, folds: int, seed: int) -> dict[str, Any]:
    """Scores every row by the members that have not learned from it.

    They have told the best epoch, which is one choice by all rows: it flatters the scores little.

    Returns:
        `folds` and `rows`, how many; `scores`, by metric; and their `intervals`, from a bootstrap
        of the rows.
    """
    return {
        "folds": folds,
        "rows": len(labels),
        "scores": score(predictions, labels),
        "intervals": intervals(predictions, labels, seed),
    }
