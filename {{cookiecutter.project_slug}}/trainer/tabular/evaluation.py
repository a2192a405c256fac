"""What the test rows tell of a model: all that evaluation.json and the model card show of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from table_schema.columns import Label, Table
from table_schema.metrics import RISING, Ranking, answers, in_order, intervals, primary, score
from trainer.tabular.baselines import baselines
from trainer.tabular.data import Array, Predict, Rows, take
from trainer.tabular.dependence import partial_dependence

BINS = 10  # of a calibration curve, with as many rows in each
POINTS = 200  # of a curve, at most
MIN_ROWS = 30  # of a slice: with fewer, its scores say little
SHUFFLES = 3  # of each column
SHUFFLED_ROWS = 20_000  # at most
SHUFFLED_TEXTS = 4_000  # at most where a column is a text, as a row's words take long


def evaluate(
    table: Table,
    predict: Predict,
    train: Rows,
    evaluation: Rows,
    test: Rows,
    *,
    threshold: float = 0.5,
    class_rows: Sequence[int] = (),
    seed: int,
    explain: bool = True,
) -> dict[str, Any]:
    """Looks at the test rows, once.

    Args:
        table: their columns.
        predict: the model: float [rows, classes] or [rows], as in `metrics.score`.
        train: what the baselines are made of.
        evaluation: what the best column is chosen on.
        test: the rows to score.
        threshold: the probability of the second of two classes from which up it is the answer.
        class_rows: training rows of each class.
        seed: of the bootstrap and of the shuffles.
        explain: whether to score slices and columns, which takes longer than all else.

    Returns:
        What evaluation.json holds of it: `test`, the scores, with their `intervals`;
        `baselines`; `slices` by column and value; `curves` by class, or of the label; `confusion`
        of classes; `importance` and `dependence` by column.
    """
    label, predictions = table.label, predict(test)
    metric = primary(label, class_rows)
    important = importance(table, predict, test, metric, seed) if explain else {}
    found = {
        "test": in_order(score(predictions, test.labels, threshold), label, class_rows),
        "intervals": intervals(predictions, test.labels, seed, threshold),
        "baselines": baselines(table, train, evaluation, test),
        "slices": {
            name: slices(name, predictions, test, metric, seed=seed, threshold=threshold)
            for name in (table.slices if explain else ())
        },
        "curves": curves(label, predictions, test.labels),
        "importance": important,
        "dependence": partial_dependence(table, predict, test, list(important), seed),
    }
    if label.classes:
        found["confusion"] = confusion(predictions, test.labels, threshold)
    return found


def slices(
    column: str,
    predictions: Array,
    rows: Rows,
    metric: str,
    *,
    seed: int,
    threshold: float = 0.5,
) -> dict[str, dict[str, Any]]:
    """Scores the rows of each value of a column apart.

    Returns:
        By value, numbers in their order and texts by how frequent they are: `rows`, how many; the
        scores; and `interval`, that of `metric`. Values of too few rows, or of one class only, are
        left out.
    """
    found = {}
    values, counts = np.unique(rows.features[column], return_counts=True)
    order = np.argsort(-counts, kind="stable") if values.dtype == object else range(len(values))
    for place in order:
        if counts[place] < MIN_ROWS:
            continue
        here = rows.features[column] == values[place]
        scores = score(predictions[here], rows.labels[here], threshold)
        if metric in scores:
            interval = intervals(predictions[here], rows.labels[here], seed)[metric]
            about = {"rows": int(counts[place]), "interval": interval}
            found[str(values[place]) or "(missing)"] = about | scores
    return found


def importance(
    table: Table, predict: Predict, rows: Rows, metric: str, seed: int
) -> dict[str, dict[str, float]]:
    """Measures how much worse predictions get when a column tells of other rows.

    Source: permutation importance, Breiman, Random Forests (2001), section 10.

    Returns:
        By column, the most important first: `mean` and `spread`, the standard deviation, of the
        loss in `metric` over the shuffles.
    """
    rng, sign = np.random.default_rng(seed), 1 if metric in RISING else -1
    has_text = any(column.kind == "text" for column in table.columns)
    most = SHUFFLED_TEXTS if has_text else SHUFFLED_ROWS
    sample = take(rows, np.sort(rng.permutation(len(rows))[:most]))
    whole = score(predict(sample), sample.labels)[metric]
    found = {}
    for column in table.columns:
        losses = []
        for _ in range(SHUFFLES):
            shuffled = rng.permutation(sample.features[column.name])
            features = sample.features | {column.name: shuffled}
            predictions = predict(Rows(sample.source, features, sample.labels))
            losses.append(sign * (whole - score(predictions, sample.labels)[metric]))
        found[column.name] = {"mean": float(np.mean(losses)), "spread": float(np.std(losses))}
    return dict(sorted(found.items(), key=lambda item: -item[1]["mean"]))


def curves(label: Label, predictions: Array, labels: Array) -> dict[str, dict[str, Any]]:
    """Returns what plots show of predictions.

    Returns:
        By class, the second one alone of two, `roc`, points of the false and the true positive
        rate; `precision_recall`, points of the recall and the precision; and `calibration`, points
        of the mean prediction and the share of the class, in bins of as many rows. Of a number,
        by the label's name, `calibration` and `errors`, a histogram of estimate minus label.
    """
    if not label.classes:
        errors = predictions.astype(np.float64) - labels
        ends = np.quantile(errors, [0.005, 0.995])
        rows, edges = np.histogram(errors, bins=40, range=(ends[0], max(ends[1], ends[0] + 1e-9)))
        histogram = {"edges": edges.tolist(), "rows": rows.tolist()}
        return {label.name: {"calibration": calibration(predictions, labels), "errors": histogram}}
    found = {}
    for place, name in list(enumerate(label.classes))[1 if label.kind == "binary" else 0 :]:
        positive, scores = labels == place, predictions[:, place]
        if positive.any() and not positive.all():
            counts = Ranking(positive, scores).counts(np.ones(len(labels)))
            precision = counts.precision()
            recall, fall_out = counts.found / counts.positives, counts.mistaken / counts.negatives
            # As many points where one rate rises as where the other does.
            path = recall + fall_out
            kept = np.unique(np.searchsorted(path, np.linspace(path[0], path[-1], POINTS)))
            roc = np.stack([fall_out[kept], recall[kept]], axis=1)
            found[name] = {
                "roc": [[0.0, 0.0], *roc.tolist()],
                "precision_recall": [
                    [0.0, float(precision[0])],
                    *np.stack([recall, precision], axis=1)[kept].tolist(),
                ],
                "calibration": calibration(scores, positive),
            }
    return found


def calibration(predictions: Array, labels: Array) -> list[list[float]]:
    """Returns the mean prediction and the mean label of bins of as many rows, the lowest first."""
    order = np.argsort(predictions, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    return [[float(predictions[part].mean()), float(labels[part].mean())] for part in bins]


def best_threshold(positive: Array, scores: Array) -> float:
    """Returns the score from which up yes is the answer, for the highest F1."""
    ranking = Ranking(positive, scores)
    counts = ranking.counts(np.ones(len(scores)))
    # F1 is 2 found / (all positives + all said to be).
    f1 = 2 * counts.found / (counts.positives + counts.found + counts.mistaken)
    return float(ranking.thresholds[np.argmax(f1)])


def confusion(predictions: Array, labels: Array, threshold: float = 0.5) -> dict[str, Any]:
    """Counts the rows of each true and each predicted class.

    Args:
        predictions: float [rows, classes].
        labels: int [rows].
        threshold: the probability of the second of two classes from which up it is the answer.

    Returns:
        `matrix`, [true][predicted]; of two classes also `threshold`, `precision` and `recall`.
    """
    classes = predictions.shape[1]
    places = labels * classes + answers(predictions, threshold)
    matrix = np.bincount(places, minlength=classes**2).reshape(classes, classes)
    found: dict[str, Any] = {"matrix": matrix.tolist()}
    if classes == 2:
        found["threshold"] = threshold
        found["precision"] = float(matrix[1, 1] / max(matrix[:, 1].sum(), 1))
        found["recall"] = float(matrix[1, 1] / max(matrix[1].sum(), 1))
    return found
