import numpy as np
import pytest

from table_schema.columns import Label
from table_schema.metrics import reported, score
from trainer.tabular import run
from trainer.tabular.calibration import at_temperature, temperature
from trainer.tabular.data import Array
from trainer.tabular.heads import ClassesHead


def sample(rows: int, classes: int, sureness: float) -> tuple[Array, Array]:
    """Labels, and probabilities that are so many times as sure as they should be."""
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.normal(size=(rows, classes))

    def softmax(values: Array) -> Array:
        return np.asarray(np.exp(values) / np.exp(values).sum(axis=1, keepdims=True))

    labels = (softmax(logits).cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    return softmax(sureness * logits).astype(np.float32), labels.astype(np.int32)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("sureness", [0.6, 2.0])
def test_the_temperature_is_how_much_too_sure_a_model_is(classes: int, sureness: float) -> None:
    probabilities, labels = sample(4_000, classes, sureness)
    found = temperature(probabilities, labels)
    assert found == pytest.approx(sureness, rel=0.1)
    after = np.asarray(at_temperature(probabilities, found))
    before, now = score(probabilities, labels), score(after, labels)
    assert now["log_loss"] < before["log_loss"]
    assert now["ece"] < before["ece"] / 2
    assert now["auc"] == pytest.approx(before["auc"], abs=0.01 if classes > 2 else 1e-4)


def test_a_model_that_is_as_sure_as_it_should_be_keeps_its_bits() -> None:
    probabilities, labels = sample(4_000, 2, 1.0)
    assert temperature(probabilities, labels) == 1
    assert at_temperature(probabilities, 1.0) is probabilities


def test_few_rows_say_nothing_of_the_temperature() -> None:
    probabilities = np.tile(np.array([[0.1, 0.9], [0.9, 0.1]], np.float32), (50, 1))
    assert temperature(probabilities, np.tile([1, 0], 50)) == 1


def test_probabilities_of_0_and_1_stay() -> None:
    certain = np.array([[1, 0], [0, 1]], np.float32)
    np.testing.assert_array_equal(at_temperature(certain, 1.7), certain)
    assert np.isfinite(temperature(np.tile(certain, (300, 1)), np.tile([0, 0], 300)))


@pytest.mark.parametrize(("rows_of_second", "is_chosen"), [(400, False), (60, True)])
def test_a_threshold_is_chosen_where_a_class_is_rare(rows_of_second: int, is_chosen: bool) -> None:
    """Elsewhere the best F1 may say yes so often that the majority class is right more often."""
    rng = np.random.default_rng(0)
    labels = (np.arange(1_000) < rows_of_second).astype(np.int32)
    share = rows_of_second / 1_000
    second = np.clip(share + 0.1 * (labels - share) + rng.normal(0, 0.05, 1_000), 0.01, 0.99)
    probabilities = np.stack([1 - second, second], axis=1).astype(np.float32)
    label = Label("late", ("no", "yes"), "")
    head = ClassesHead(
        label.classes, (1, 1), reported=reported(label, (1_000 - rows_of_second, rows_of_second))
    )
    calibrated = run.calibrate(head, probabilities, labels, weighted=False)
    assert (head.threshold != 0.5) == is_chosen
    found = score(calibrated, labels, head.threshold)
    assert found["accuracy"] >= max(share, 1 - share) or is_chosen
