import numpy as np

from table_schema.columns import Column, Label, Table
from trainer.tabular import faults
from trainer.tabular.baselines import baselines
from trainer.tabular.data import Array, Rows

CLASSES = Table("t", "key", Label("y", ("a", "b", "c"), "what"), (Column("x", "number", ""),))
NUMBER = Table("t", "key", Label("y", (), "what"), (Column("x", "number", "", "The X"),))


def rows(labels: list[int] | Array, x: Array | None = None) -> Rows:
    values = np.zeros(len(labels), np.float32) if x is None else x.astype(np.float32)
    kind = np.int32 if isinstance(labels, list) else np.float32
    return Rows("memory", {"x": values}, np.array(labels, kind))


def test_a_sentence_names_the_classes_that_a_split_lacks() -> None:
    whole = rows([0, 1, 2] * 10)
    assert faults.of_splits(CLASSES, (50, 50, 50), whole, whole) == []
    assert faults.of_splits(CLASSES, (50, 50, 0), whole, whole) == [
        "Class 'c' has no training row, so the model cannot learn it; split the rows again, by"
        " class or at random, or bring more rows."
    ]
    assert faults.of_splits(CLASSES, (50, 1, 4), whole, rows([0, 1] * 15)) == [
        "Each of the 2 classes 'b', 'c' has fewer than 5 training rows, of which little is"
        " learned.",
        "Class 'c' has no test row, so the scores say nothing of it.",
    ]
    few = faults.of_splits(CLASSES, (50, 50, 50), rows([0, 1]), rows([0, 1, 2]))
    assert few == [
        "3 test rows say next to nothing of how good the model is.",
        "Class 'c' has no evaluation row, so the best epoch is chosen without it.",
    ]
    # A class that nobody has is no fault of the split.
    assert faults.of_splits(CLASSES, (50, 50, 0), rows([0, 1]), rows([0, 1] * 15)) == []


def test_a_column_that_is_the_label_in_other_words_is_named() -> None:
    labels = np.arange(600) % 3
    told = Rows("memory", {"x": (10 * labels).astype(np.float32)}, labels.astype(np.int32))
    [sentence] = faults.of_columns(CLASSES, told, baselines(CLASSES, told, told, told))
    assert "Column 'x' alone tells 'y' (accuracy 1.0000)." in sentence
    unlike = Rows(
        "memory", {"x": (np.arange(600) // 3).astype(np.float32)}, labels.astype(np.int32)
    )
    assert faults.of_columns(CLASSES, unlike, baselines(CLASSES, unlike, unlike, unlike)) == []


def test_a_label_in_another_unit_is_found_in_few_rows() -> None:
    x = np.random.default_rng(0).normal(0, 1, 300)
    x[::4] = np.nan
    miles = rows(np.nan_to_num(x) * 1.6 + 3, x)
    [sentence] = faults.of_columns(NUMBER, miles, baselines(NUMBER, miles, miles, miles))
    assert sentence.startswith("Column 'The X' alone tells 'y' (R² 1.0000).")
    noisy = rows(np.nan_to_num(x) + np.random.default_rng(1).normal(0, 0.2, 300), x)
    assert faults.of_columns(NUMBER, noisy, baselines(NUMBER, noisy, noisy, noisy)) == []
