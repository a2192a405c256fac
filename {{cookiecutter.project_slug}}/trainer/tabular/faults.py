"""What is wrong with rows though they can be learned: said before their scores are believed."""

from collections.abc import Mapping, Sequence

import numpy as np

from table_schema.columns import Table
from table_schema.metrics import GIVES_AWAY, NAMES, Scores
from trainer.tabular.data import Array, Rows

FEW_ROWS = 30  # of a split
FEW_CLASS_ROWS = 5  # of training
SHOWN = 5  # classes that a sentence names
ALONE = " alone"  # how the baseline of a single column ends
TOLD_BY = {"binary": "auc", "multiclass": "accuracy", "regression": "r2"}


def of_splits(table: Table, class_rows: Sequence[int], evaluation: Rows, test: Rows) -> list[str]:
    """Returns a sentence for each kind of class that a split lacks, and for splits of few rows.

    Args:
        table: the columns.
        class_rows: training rows of each class.
        evaluation: the rows that choose the best epoch.
        test: the rows that are scored once.
    """
    found = []
    if len(test) < FEW_ROWS:
        found.append(f"{len(test):,} test rows say next to nothing of how good the model is.")
    if not class_rows:
        return found
    train = np.array(class_rows)
    in_evaluation, in_test = (
        np.bincount(rows.labels, minlength=len(train)) for rows in (evaluation, test)
    )
    again = "split the rows again, by class or at random, or bring more rows."
    lacks = {
        f"no training row, so the model cannot learn it; {again}": (train == 0)
        & (in_evaluation + in_test > 0),
        f"fewer than {FEW_CLASS_ROWS} training rows, of which little is learned.": (train > 0)
        & (train < FEW_CLASS_ROWS),
        "no evaluation row, so the best epoch is chosen without it.": (train > 0)
        & (in_evaluation == 0),
        "no test row, so the scores say nothing of it.": (train > 0) & (in_test == 0),
    }
    for what, lacking in lacks.items():
        names = [name for name, lacks in zip(table.label.classes, lacking, strict=True) if lacks]
        if names:
            listed = ", ".join(map(repr, names[:SHOWN])) + ", …" * (len(names) > SHOWN)
            each = "Class" if len(names) == 1 else f"Each of the {len(names)} classes"
            found.append(f"{each} {listed} has {what}")
    return found


def of_columns(table: Table, train: Rows, baselines: Mapping[str, Scores]) -> list[str]:
    """Returns a sentence for a column that tells the label nearly by itself.

    Args:
        table: the columns.
        train: rows that the model learned from.
        baselines: scores of test rows, as `baselines.baselines` returns them.
    """
    metric, enough = TOLD_BY[table.label.kind], GIVES_AWAY[table.label.kind]
    known = {
        name.removesuffix(ALONE): scores[metric]
        for name, scores in baselines.items()
        if name.endswith(ALONE) and metric in scores
    }
    if not table.label.classes:
        known |= {
            column.name: _of_a_line(train.features[column.name], train.labels)
            for column in table.columns
            if column.kind == "number"
        }
    headings = {column.name: column.heading for column in table.columns}
    return [
        f"Column {headings[name]!r} alone tells {table.label.heading!r} ({NAMES[metric]}"
        f" {score:.4f}). If it is known only afterwards, or is the label in other words, the scores"
        f" are worth nothing: take it out of trainer/tables/{table.name}.toml."
        for name, score in known.items()
        if score >= enough
    ]


def _of_a_line(numbers: Array, labels: Array) -> float:
    """Returns the R² of a straight line through a number and the label, where both are known."""
    known = np.isfinite(numbers)
    pairs = numbers[known].astype(np.float64), labels[known].astype(np.float64)
    if known.mean() < 0.5 or min(map(np.ptp, pairs), default=0) == 0 or len(pairs[0]) < FEW_ROWS:
        return 0.0
    return float(np.corrcoef(*pairs)[0, 1] ** 2)
