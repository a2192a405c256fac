"""How good predictions are: metrics, their intervals, and their names."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from table_schema.columns import Label, LabelKind

Array = np.ndarray[Any, Any]
Scores = dict[str, float]
Interval = tuple[float, float]

# Keeps the logarithm of a probability of 0 finite: the smallest step from 1 of a float32.
MIN_PROBABILITY = 2.0**-24
BIASED = {"ece"}  # scores whose draws say nothing of their spread
DRAWS = 500  # samples of the bootstrap
NAMES = {
    "auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "accuracy": "accuracy",
    "brier": "Brier score",
    "ece": "calibration error",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}
# From which score on a single column gives the label away, by the kind of label: of ROC AUC,
# accuracy and R². What is known beforehand hardly ever tells so much.
GIVES_AWAY: dict[LabelKind, float] = {"binary": 0.995, "multiclass": 0.99, "regression": 0.995}
CLASS_METRICS = ("log_loss", "auc", "accuracy")  # of the evaluation, the loss first
NUMBER_METRICS = ("rmse", "mae", "r2")
REPORTED = CLASS_METRICS + NUMBER_METRICS
NINE_TENTHS = 0.9  # of the rows in one class: to say it always is right so often, and worth nothing
CONFIDENCE_BINS = 15  # of equal width, of the calibration error
RISING = {"auc", "pr_auc", "accuracy", "r2"}  # those of which more is better
# Words in the names of other metrics that are better where they are lower.
FALLING = {"brier", "deviance", "ece", "error", "loss", "mae", "mape", "mse", "perplexity", "rmse"}


def of_label(label: Label) -> tuple[str, ...]:
    """Returns the metrics that may choose the best epoch; the first is what training minimizes."""
    return CLASS_METRICS if label.classes else NUMBER_METRICS


def rises(metric: str) -> bool:
    """Whether a metric is better where it is higher, by the words of its name."""
    return FALLING.isdisjoint(re.split(r"[\W_]+", metric.lower()))


def reported(label: Label, class_rows: Sequence[int] = ()) -> tuple[str, ...]:
    """Returns the chief metrics of a label, those that a line has room for.

    Where nine tenths of the rows are of one class, accuracy is not among them. Where these are of
    the first of two, the precision-recall curve of the second comes first.

    Args:
        label: what is predicted.
        class_rows: training rows of each class.
    """
    if not label.classes:
        return NUMBER_METRICS
    if max(class_rows, default=0) < NINE_TENTHS * sum(class_rows) or not class_rows:
        return CLASS_METRICS
    if label.kind == "binary" and class_rows[0] > class_rows[1]:
        return ("pr_auc", "log_loss", "auc")
    return ("log_loss", "auc")


def primary(label: Label, class_rows: Sequence[int] = ()) -> str:
    """Returns the metric by which models of a label are compared; see `reported`."""
    first = reported(label, class_rows)[0]
    return "auc" if first == "log_loss" else first


def in_order(scores: Scores, label: Label, class_rows: Sequence[int] = ()) -> Scores:
    """Returns scores with the one to compare by first, and accuracy last where it tells nothing."""
    first, names = primary(label, class_rows), reported(label, class_rows)
    return dict(
        sorted(
            scores.items(),
            key=lambda item: (item[0] != first, item[0] == "accuracy" and item[0] not in names),
        )
    )


def score(predictions: Array, labels: Array, threshold: float = 0.5) -> Scores:
    """Scores predictions.

    Args:
        predictions: float [rows, classes], probabilities; or [rows], estimates of a number.
        labels: int [rows], indices of classes; or float [rows].
        threshold: the probability of the second of two classes from which up it is the answer.

    Returns:
        As `Scorer.scores` does.
    """
    return Scorer(predictions, labels, threshold).scores(np.ones(len(labels)))


def intervals(
    predictions: Array, labels: Array, seed: int, threshold: float = 0.5
) -> dict[str, Interval]:
    """Returns by metric where its value is in 95 of 100 draws of so many rows out of these.

    Source: the percentile bootstrap, Efron and Tibshirani, An Introduction to the Bootstrap
    (1993), chapter 13. A draw is a weight for each row, so that no draw sorts anything. The
    calibration error has no interval: each draw's is larger than that of the rows themselves.

    Args:
        predictions: as in `score`.
        labels: as in `score`.
        seed: of the draws.
        threshold: as in `score`.
    """
    scorer, rng, rows = (
        Scorer(predictions, labels, threshold),
        np.random.default_rng(seed),
        len(labels),
    )
    drawn: dict[str, list[float]] = {}
    for _ in range(DRAWS):
        weights = np.bincount(rng.integers(rows, size=rows), minlength=rows)
        for name, value in scorer.scores(weights).items():
            if name not in BIASED:
                drawn.setdefault(name, []).append(value)
    return {
        name: (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
        for name, values in drawn.items()
    }


def roc_auc(positive: Array, scores: Array) -> float:
    """Returns how often a positive row scores above a negative one, ties counting half.

    Args:
        positive: bool [rows], with at least one of each.
        scores: float [rows].
    """
    return Ranking(positive, scores).counts(np.ones(len(scores))).roc_auc()


def answers(predictions: Array, threshold: float = 0.5) -> Array:
    """Returns the classes that a model answers, int [rows].

    Args:
        predictions: float [rows, classes].
        threshold: the probability of the second of two classes from which up it is the answer; of
            more classes the most probable one is.
    """
    if predictions.shape[1] == 2:
        return (predictions[:, 1] >= threshold).astype(np.int64)
    return np.asarray(predictions.argmax(axis=1))


class Scorer:
    """Predictions beside the truth, ready to be scored under many weightings of the rows."""

    def __init__(self, predictions: Array, labels: Array, threshold: float = 0.5) -> None:
        """Does what all weightings share; the arguments are those of `score`."""
        self._predictions, self._labels = predictions, labels
        self._rankings: dict[int, Ranking] = {}
        if predictions.ndim == 1:
            self._errors = predictions.astype(np.float64) - labels
            return
        classes = predictions.shape[1]
        ranked = [1] if classes == 2 else range(classes)
        self._rankings = {c: Ranking(labels == c, predictions[:, c]) for c in ranked}
        likelihood = predictions[np.arange(len(labels)), labels].astype(np.float64)
        self._losses = -np.log(np.clip(likelihood, MIN_PROBABILITY, 1))
        self._hits = answers(predictions, threshold) == labels
        self._misses = (1 - likelihood) ** 2
        # Of two classes the second one's probability, of more the likeliest one's.
        sure = predictions[:, 1] if classes == 2 else predictions.max(axis=1)
        right = labels == 1 if classes == 2 else predictions.argmax(axis=1) == labels
        self._gaps = sure.astype(np.float64) - right
        self._bins = np.minimum(sure * CONFIDENCE_BINS, CONFIDENCE_BINS - 1).astype(np.int64)

    def scores(self, weights: Array) -> Scores:
        """Scores the rows.

        Args:
            weights: float or int [rows], what each row counts.

        Returns:
            For classes `auc`, the area under the ROC curve of the second of two classes, or the
            mean over the classes, each against all others; `log_loss` in nats; `accuracy` of the
            answers; `ece`, the expected calibration error: the distance of the mean probability
            from the share of rows that are so, in bins of the probability, the mean over the
            rows, of the second of two classes or of the likeliest of more; and for two classes
            `pr_auc`, the average precision, and `brier`, the mean squared distance of the second
            one's probability from 0 or 1. The areas are left out where the rows have one class
            only. Source of the calibration error: Naeini, Cooper and Hauskrecht, Obtaining Well
            Calibrated Probabilities Using Bayesian Binning (2015), and, with 15 bins of equal
            width, Guo et al., On Calibration of Modern Neural Networks (2017).

            For a number `rmse` and `mae`, in the label's unit, and `r2`, the share of the label's
            variance that the estimates explain, 1 at best and 0 for its mean; it is left out
            where the rows have one label only.
        """
        weights = weights / weights.sum()
        return self._of_classes(weights) if self._rankings else self._of_number(weights)

    def _of_classes(self, weights: Array) -> Scores:
        counts = [ranking.counts(weights) for ranking in self._rankings.values()]
        mixed = [each for each in counts if each.positives > 0 and each.negatives > 0]
        scores = {"auc": float(np.mean([each.roc_auc() for each in mixed]))} if mixed else {}
        scores["log_loss"] = _sum(weights * self._losses)
        scores["accuracy"] = _sum(weights * self._hits)
        gaps = np.bincount(self._bins, weights * self._gaps, CONFIDENCE_BINS)
        scores["ece"] = _sum(np.abs(gaps))
        if len(counts) == 1:
            scores["brier"] = _sum(weights * self._misses)
            if mixed:
                scores["pr_auc"] = mixed[0].average_precision()
        return scores

    def _of_number(self, weights: Array) -> Scores:
        squared = _sum(weights * self._errors**2)
        labels = self._labels.astype(np.float64)
        variance = _sum(weights * (labels - _sum(weights * labels)) ** 2)
        scores = {"rmse": squared**0.5, "mae": _sum(weights * np.abs(self._errors))}
        return scores | ({"r2": 1 - squared / variance} if variance > 0 else {})


class Ranking:
    """Rows from the highest score to the lowest; equal scores are one step.

    Attributes:
        thresholds: float [steps], the scores.
    """

    def __init__(self, positive: Array, scores: Array) -> None:
        """Sorts.

        Args:
            positive: bool [rows].
            scores: float [rows].
        """
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        self._positive = positive[self._order]
        self.thresholds = ordered[self._starts]

    def counts(self, weights: Array) -> "Counts":
        """Counts the rows at or above each threshold, each as much as its weight."""
        ordered = weights[self._order]
        every = np.add.reduceat(ordered, self._starts).cumsum()
        found = np.add.reduceat(np.where(self._positive, ordered, 0), self._starts).cumsum()
        return Counts(found, every - found)


class Counts:
    """Positive and negative rows at or above each threshold.

    Attributes:
        found: float [steps], positive rows; ROC's true positives.
        mistaken: float [steps], negative rows; false positives.
    """

    def __init__(self, found: Array, mistaken: Array) -> None:
        self.found, self.mistaken = found, mistaken
        self.positives, self.negatives = float(found[-1]), float(mistaken[-1])

    def roc_auc(self) -> float:
        """Returns the area under the ROC curve, by trapezoids."""
        before = np.append(0, self.found[:-1])
        steps = np.diff(self.mistaken, prepend=0)
        area = _sum(steps * (before + self.found)) / 2
        return area / (self.positives * self.negatives)

    def average_precision(self) -> float:
        """Returns the precision at each positive row, averaged: PR AUC without interpolation."""
        return _sum(np.diff(self.found, prepend=0) * self.precision()) / self.positives

    def precision(self) -> Array:
        """Returns the share of positive rows among those at or above each threshold."""
        every = self.found + self.mistaken
        return np.asarray(np.divide(self.found, every, out=np.ones_like(every), where=every > 0))


def _sum(values: Array) -> float:
    return float(values.sum())


def in_words(scores: Mapping[str, float], names: Sequence[str] = REPORTED) -> str:
    """Returns the chief scores in a line."""
    return ", ".join(f"{NAMES[name]} {scores[name]:z.4f}" for name in names if name in scores)


def compare(scores: Scores, name: str, baseline: Scores, names: Sequence[str] = REPORTED) -> str:
    """Returns a baseline's scores, and by how much the model is better, in a line."""
    verdicts = []
    for metric in names:
        if metric in scores and metric in baseline:
            gain = scores[metric] - baseline[metric]
            gain = gain if metric in RISING else -gain
            verdict = "better" if gain > 0 else "no better" if gain == 0 else "worse"
            verdicts.append(f"{verdict} by {abs(gain):.4f} in {NAMES[metric]}")
    return f"Baseline, {name}: {in_words(baseline, names)}. The model is {', '.join(verdicts)}."
