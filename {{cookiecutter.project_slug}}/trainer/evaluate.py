"""How good predictions are, and how good they would be without the model."""

from typing import Any

import numpy as np

from trainer.columns import Table
from trainer.data import Rows

Array = np.ndarray[Any, Any]
Scores = dict[str, float]

# Keeps the logarithm of a probability of 0 finite: the least a float32 tells from 1.
SMALLEST = 2.0**-24


def score(probabilities: Array, labels: Array) -> Scores:
    """Scores predictions.

    Args:
        probabilities: float [rows, classes].
        labels: int [rows], indices of classes, at least two of them among the rows.

    Returns:
        `auc`, the area under the ROC curve of the second of two classes, or else the mean over
        the classes, each against all others; `log_loss` in nats; `accuracy` of the likeliest class.
    """
    classes = probabilities.shape[1]
    if classes == 2:
        auc = roc_auc(labels == 1, probabilities[:, 1])
    else:
        present = np.unique(labels)
        auc = float(np.mean([roc_auc(labels == c, probabilities[:, c]) for c in present]))
    likelihood = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "auc": auc,
        "log_loss": float(-np.log(np.clip(likelihood, SMALLEST, 1)).mean()),
        "accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
    }


def score_numbers(values: Array, truths: Array) -> Scores:
    """Scores estimates of a number.

    Args:
        values: float [rows].
        truths: float [rows], of at least two different values.

    Returns:
        `rmse` and `mae`, in the label's unit, and `r2`: the share of the label's variance that
        the estimates explain, 1 at best and 0 for its mean.
    """
    error = values.astype(np.float64) - truths
    squared = float((error**2).mean())
    return {
        "rmse": squared**0.5,
        "mae": float(np.abs(error).mean()),
        "r2": 1 - squared / float(truths.astype(np.float64).var()),
    }


def roc_auc(positive: Array, scores: Array) -> float:
    """Returns how often a positive row scores above a negative one, ties counting half.

    Computed from ranks, as in the Mann-Whitney U test.

    Args:
        positive: bool [rows], with at least one of each.
        scores: float [rows].
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    positives = int(positive.sum())
    negatives = len(positive) - positives
    u = mean_rank[place][positive].sum() - positives * (positives + 1) / 2
    return float(u / (positives * negatives))


def baselines(table: Table, train: Rows, test: Rows) -> dict[str, Scores]:
    """Scores, on the test rows, what needs no model but the training rows.

    Returns:
        Scores of `majority class`, which gives each class its share of the training rows, and of
        the table's baseline column alone, by logistic regression on it.
    """
    shares = np.bincount(train.labels, minlength=len(table.label.classes)) / len(train)
    found = {"majority class": score(np.tile(shares, (len(test), 1)), test.labels)}
    if table.baseline and table.label.kind == "binary":
        alone = f"{table.baseline} alone"
        found[alone] = score(_logistic(table.baseline, train, test), test.labels)
    return found


def _logistic(column: str, train: Rows, test: Rows) -> Array:
    """Fits a logistic regression on one number by Newton's method; a gap takes the mean.

    Returns:
        Probabilities of the classes, float64 [test rows, 2].
    """
    known = train.features[column][np.isfinite(train.features[column])].astype(np.float64)
    mean, scale = known.mean(), known.std() or 1.0

    def inputs(rows: Rows) -> Array:
        values = rows.features[column].astype(np.float64)
        return np.stack([np.ones(len(rows)), np.nan_to_num((values - mean) / scale)], axis=1)

    def positive(features: Array) -> Array:
        return 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))

    features = inputs(train)
    weights = np.zeros(2)
    for _ in range(25):  # far more than Newton's method needs
        p = positive(features)
        # The small ridge keeps the step finite where the column separates the classes.
        curvature = (features * (p * (1 - p))[:, None]).T @ features + 1e-3 * np.eye(2)
        weights = weights + np.linalg.solve(curvature, features.T @ (train.labels - p))
    second = positive(inputs(test))
    return np.stack([1 - second, second], axis=1)


def in_words(scores: Scores) -> str:
    """Says scores in a line."""
    return (
        f"ROC AUC {scores['auc']:.4f}, log loss {scores['log_loss']:.4f},"
        f" accuracy {scores['accuracy']:.4f}"
    )


def compare(scores: Scores, name: str, baseline: Scores) -> str:
    """Says a baseline's scores, and by how much the model is better."""
    gains = {
        "ROC AUC": scores["auc"] - baseline["auc"],
        "log loss": baseline["log_loss"] - scores["log_loss"],
        "accuracy": scores["accuracy"] - baseline["accuracy"],
    }
    verdicts = [
        f"{'better' if gain > 0 else 'no better' if gain == 0 else 'worse'} by {abs(gain):.4f}"
        f" in {metric}"
        for metric, gain in gains.items()
    ]
    return f"Baseline, {name}: {in_words(baseline)}. The model is {', '.join(verdicts)}."
