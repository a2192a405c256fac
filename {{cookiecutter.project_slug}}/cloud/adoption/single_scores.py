"""How well one column alone tells the label: what gives it away was hardly known beforehand."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

BINS = 64
CATEGORIES = 1000
# Weight of the mean of all rows in the mean of a bin, in rows.
PRIOR = 1.0
LINE_ROWS = 10  # through fewer, a straight line fits by chance


def codes(numbers: Any, texts: Sequence[str]) -> Any:
    """Returns a column as whole numbers, int64 [rows]: bins of numbers, or the frequent texts.

    Args:
        numbers: float64 [rows], NaN for a gap; None for a column that holds none.
        texts: a cell a row.
    """
    if numbers is None:
        frequent = [text for text, _count in Counter(texts).most_common(CATEGORIES)]
        known = {text: code for code, text in enumerate(frequent)}
        return np.fromiter((known.get(text, CATEGORIES) for text in texts), np.int64, len(texts))
    there = numbers[~np.isnan(numbers)]
    edges: Any = (
        np.unique(np.quantile(there, np.linspace(0, 1, BINS + 1)[1:-1])) if len(there) else []
    )
    return np.where(np.isnan(numbers), BINS + 1, np.searchsorted(edges, numbers, side="right"))


def score(column: Any, label: Any, classes: int) -> float:
    """Returns how well a column tells the label of rows that it was not fitted on.

    Each half of the rows is predicted by the mean label of a value's rows in the other half.

    Args:
        column: as `codes` returns it.
        label: int64 [rows], the class of each row; or float64 [rows] of a number.
        classes: how many there are; 0 for a number.

    Returns:
        ROC AUC for two classes, accuracy for more, R² for a number.
    """
    # At random: in some files every other row is of the same class.
    half = np.random.default_rng(0).random(len(label)) < 0.5
    targets = np.eye(classes)[label] if classes else np.asarray(label, np.float64)[:, None]
    predicted = np.empty_like(targets)
    for fitted, asked in ((half, ~half), (~half, half)):
        predicted[asked] = _means(column[fitted], targets[fitted])[column[asked]]
    if classes == 2:
        return _roc_auc(predicted[:, 1], label == 1)
    if classes:
        return float(np.mean(predicted.argmax(axis=1) == label))
    errors = np.square(predicted[:, 0] - label).sum()
    return float(1 - errors / max(np.square(label - np.mean(label)).sum(), 1e-300))


def linear(numbers: Any, label: Any) -> float:
    """Returns the R² of the straight line through a number and the label.

    A label in another unit is found in few rows so, where bins are too coarse.

    Args:
        numbers: float64 [rows], NaN for a gap, which is at the mean.
        label: float64 [rows].
    """
    there = ~np.isnan(numbers)
    if there.sum() < LINE_ROWS or not np.ptp(numbers[there]) or not np.ptp(label[there]):
        return 0.0
    share = np.corrcoef(numbers[there], label[there])[0, 1] ** 2
    explained = share * np.square(label[there] - label[there].mean()).sum()
    return float(explained / np.square(label - label.mean()).sum())


def _means(column: Any, targets: Any) -> Any:
    """Returns the mean of the targets of each code."""
    size = CATEGORIES + 2
    counts = np.bincount(column, minlength=size)[:, None]
    sums = np.stack([np.bincount(column, each, minlength=size) for each in targets.T], axis=1)
    return (sums + PRIOR * targets.mean(axis=0)) / (counts + PRIOR)


def _roc_auc(scores: Any, positive: Any) -> float:
    """Returns the share of pairs of a positive and a negative that are in order; ties are half."""
    _values, ranks, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    positives, negatives = positive.sum(), (~positive).sum()
    if not positives or not negatives:
        return 0.5
    above = middle[ranks][positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))
