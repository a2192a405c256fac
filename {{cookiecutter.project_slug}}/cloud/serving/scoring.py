"""Scores of the endpoint's answers, as the trainer scores its own predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cloud.serving.prediction import Prediction, outputs
from table_schema import metrics
from table_schema.columns import Label

Array = np.ndarray[Any, Any]


def predicted(label: Label, answers: Sequence[Prediction]) -> Array:
    """Returns what a model answered.

    Args:
        label: what it predicts.
        answers: its outputs, one a row.

    Returns:
        As `metrics.score` takes it, float32: [rows] of a number, else [rows, classes].

    Raises:
        KeyError: an answer lacks the output of such a label.
    """
    named = [outputs(each) for each in answers]
    if label.kind == "regression":
        return np.array([each["value"] for each in named], np.float32)
    if label.kind == "binary":
        second = np.array([each["probability"] for each in named], np.float32)
        return np.stack([1 - second, second], axis=1)
    return np.array([each["probabilities"] for each in named], np.float32)


def labels(label: Label, truths: Sequence[float]) -> Array:
    """Returns labels, indices of classes or numbers, as `metrics.score` takes them."""
    return np.array(truths, np.int32 if label.classes else np.float32)


def score(
    label: Label, answers: Sequence[Prediction], truths: Sequence[float], threshold: float
) -> dict[str, float]:
    """Scores a model's answers.

    Args:
        label: what it predicts.
        answers: its outputs, one a row.
        truths: indices of classes, or the numbers.
        threshold: the probability of the second of two classes from which up it is the answer.
    """
    return dict(metrics.score(predicted(label, answers), labels(label, truths), threshold))
