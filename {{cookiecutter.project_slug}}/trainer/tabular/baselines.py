"""What predictions need no model, only the training rows: any model must beat them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from table_schema.columns import Column, Table
from table_schema.metrics import Scores, of_label, score
from trainer.tabular import timestamps
from trainer.tabular.data import Array, Rows

BINNED = "number", "timestamp"
BINS = 64  # of a number, at most, with as many training rows in each
BIN_ROWS = 50  # at least
MOST_CATEGORIES = 254  # that scikit-learn's boosting tells apart, by 8 bits
PRIOR = 20  # rows like all others that each bin is thought to have besides its own


def baselines(table: Table, train: Rows, evaluation: Rows, test: Rows) -> dict[str, Scores]:
    """Scores two predictions on the test rows.

    Args:
        table: their columns.
        train: the rows that the predictions are made of.
        evaluation: the rows that tell which column is the best.
        test: the rows to score them on.

    Returns:
        Scores of `majority class`, which gives each class its share of the training rows, or of
        `mean`; and of `… alone`, where … is the best single column: it gives each of its values,
        or of its bins, the classes' shares or the mean among the training rows there.
    """
    losses, names = {}, [column.name for column in table.columns]
    shapes = {column.name: _Lookup.fit(column, table, train) for column in table.columns}
    for name in names:
        scores = score(shapes[name].predict(evaluation), evaluation.labels)
        losses[name] = scores[of_label(table.label)[0]]
    best = min(names, key=losses.__getitem__)
    overall = _means(np.zeros(len(train), np.int64), table, train, 1, 0.0)
    guess = "majority class" if table.label.classes else "mean"
    return {
        guess: score(np.repeat(overall, len(test), axis=0), test.labels),
        f"{best} alone": score(shapes[best].predict(test), test.labels),
    }


def boosting(table: Table, train: Rows, test: Rows, most_rows: int, seed: int) -> dict[str, Any]:
    """Scores scikit-learn's gradient boosting, with its defaults, on the test rows.

    It is what people would use in place of a network. It gets numbers, days of timestamps, truth
    values, and categories by their codes; no texts.

    Args:
        table: their columns.
        train: the rows that it learns from.
        test: the rows to score it on.
        most_rows: of `train`, drawn where there are more.
        seed: of the draw and of the boosting.

    Returns:
        `rows`, how many it has learned from; `seconds`; and `scores`. Nothing where the table has
        texts only.
    """
    columns = [column for column in table.columns if column.kind != "text"]
    if not columns:
        return {}
    from sklearn import ensemble

    begun = time.monotonic()
    drawn = np.sort(np.random.default_rng(seed).permutation(len(train))[:most_rows])
    shapes = [_feature(column, train) for column in columns]
    features = [np.stack([shape(rows) for shape in shapes], axis=1) for rows in (train, test)]
    kind = ensemble.HistGradientBoostingRegressor
    if table.label.classes:
        kind = ensemble.HistGradientBoostingClassifier
    is_category = [column.kind in ("category", "integer") for column in columns]
    boosted = kind(random_state=seed, categorical_features=is_category)
    boosted.fit(features[0][drawn], train.labels[drawn])
    if table.label.classes:
        predictions = np.zeros((len(test), len(table.label.classes)))
        predictions[:, boosted.classes_] = boosted.predict_proba(features[1])
    else:
        predictions = boosted.predict(features[1])
    return {
        "rows": len(drawn),
        "seconds": time.monotonic() - begun,
        "scores": score(predictions, test.labels),
    }


def _feature(column: Column, train: Rows) -> Callable[[Rows], Array]:
    """Returns what makes a column float64 [rows], gaps and rare categories NaN."""
    if column.kind not in ("category", "integer"):
        return lambda rows: _values(column, rows).astype(np.float64)
    values, counts = np.unique(train.features[column.name], return_counts=True)
    known = [v for v in values[np.argsort(-counts, kind="stable")] if v != column.missing]
    frequent = pa.array(known[:MOST_CATEGORIES])

    def codes(rows: Rows) -> Array:
        places = pc.index_in(pa.array(rows.features[column.name]), value_set=frequent)
        return np.asarray(places.cast(pa.float64()).to_numpy(zero_copy_only=False))

    return codes


@dataclass(frozen=True)
class _Lookup:
    """A prediction for each value of a column.

    Attributes:
        column: the column.
        edges: of the bins of a number or a timestamp, or the values that the training rows have.
        predictions: float [1 + values, classes] or [1 + values]; the first is for gaps and for
            values that the training rows do not have.
    """

    column: Column
    edges: Array
    predictions: Array

    @classmethod
    def fit(cls, column: Column, table: Table, train: Rows) -> "_Lookup":
        values = _values(column, train)
        if column.kind in BINNED:
            known = values[np.isfinite(values)]
            bins = max(2, min(BINS, len(known) // BIN_ROWS))
            shares = np.linspace(0, 1, bins + 1)[1:-1]
            edges = np.unique(np.quantile(known, shares)) if len(known) else known
            count = 2 + len(edges)
        else:
            edges = pc.unique(pa.array(values)).to_numpy(zero_copy_only=False)
            count = 1 + len(edges)
        codes = _codes(column, edges, values)
        return cls(column, edges, _means(codes, table, train, count, PRIOR))

    def predict(self, rows: Rows) -> Array:
        codes = _codes(self.column, self.edges, _values(self.column, rows))
        return np.asarray(self.predictions[codes])


def _values(column: Column, rows: Rows) -> Array:
    """Returns a column's values, those of a timestamp as days."""
    values = rows.features[column.name]
    if column.kind == "timestamp":
        return timestamps.days(timestamps.parts(values))
    return values


def _codes(column: Column, edges: Array, values: Array) -> Array:
    """Returns the place of each value in a `_Lookup`'s predictions, int64 [rows]."""
    if column.kind in BINNED:
        return np.where(np.isfinite(values), 1 + np.searchsorted(edges, values, side="right"), 0)
    places = pc.index_in(pa.array(values), value_set=pa.array(edges)).fill_null(-1)
    return np.asarray(places.to_numpy()).astype(np.int64) + 1


def _means(codes: Array, table: Table, train: Rows, count: int, prior: float) -> Array:
    """Returns the classes' shares, float [count, classes], or the labels' means, [count]."""
    classes = len(table.label.classes)
    targets = [train.labels == c for c in range(classes)] if classes else [train.labels]
    rows = np.bincount(codes, minlength=count)
    means = []
    for target in targets:
        sums = np.bincount(codes, weights=target, minlength=count)
        means.append((sums + prior * target.mean()) / np.maximum(rows + prior, 1))
    return np.stack(means, axis=1) if classes else means[0]
