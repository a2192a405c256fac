"""What the model answers, on average, where a column has one value in all rows.

Source: partial dependence, Friedman, Greedy Function Approximation: A Gradient Boosting Machine
(2001), section 8.2.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from table_schema.columns import Column, Table
from trainer.tabular.data import Array, Predict, Rows, take

COLUMNS = 6  # the most important ones
POINTS = 15  # of a number: quantiles of its values
VALUES = 12  # of any other column: the most frequent ones
ROWS = 500  # of the sample
TEXT_ROWS = 100  # where a column is a text, as a row's words take long
ENDS = 0.02, 0.98  # of a number: beyond, rows are few


def partial_dependence(
    table: Table, predict: Predict, rows: Rows, columns: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    """Averages predictions over a sample of rows in which a column has one value after another.

    Args:
        table: the columns.
        predict: the model: float [rows, classes] or [rows], as in `metrics.score`.
        rows: where the sample and the values come from.
        columns: the names of columns, the most important first. Texts are left out.
        seed: of the sample.

    Returns:
        By column `values`, those of a number in their order, of others the most frequent first;
        and `means`: by class, the second one alone of two, or by the label's name, the mean
        prediction at each value.
    """
    kinds = {column.name: column for column in table.columns}
    most = TEXT_ROWS if "text" in {column.kind for column in table.columns} else ROWS
    places = np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])
    sample, found = take(rows, places), {}
    for column in [kinds[name] for name in columns if kinds[name].kind != "text"][:COLUMNS]:
        values = _values(column, rows.features[column.name])
        if len(values) < 2:
            continue
        every = {name: np.tile(each, len(values)) for name, each in sample.features.items()}
        every[column.name] = np.repeat(values, len(sample))
        labels = np.tile(sample.labels, len(values))
        predictions = predict(Rows(rows.source, every, labels))
        means = predictions.reshape(len(values), len(sample), -1).mean(axis=1, dtype=np.float64)
        names = dict(enumerate(table.label.classes)) or {0: table.label.name}
        if table.label.kind == "binary":
            del names[0]
        found[column.name] = {
            "values": values.tolist(),
            "means": {name: means[:, place].tolist() for place, name in names.items()},
        }
    return found


def _values(column: Column, values: Array) -> Array:
    """Returns the values of a column that are worth a point."""
    if column.kind == "number":
        known = values[np.isfinite(values)]
        shares = np.linspace(*ENDS, POINTS)
        # Of values that rows have, as a number between two may mean nothing.
        return np.unique(np.quantile(known, shares, method="nearest")) if len(known) else known
    different, counts = np.unique(values, return_counts=True)
    frequent = different[np.argsort(-counts, kind="stable")[:VALUES]]
    return np.sort(frequent) if column.kind in ("timestamp", "integer") else frequent
