"""What the network's outputs mean, by the label's kind: its loss, its predictions, its answer."""

from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

from table_schema.columns import Table
from table_schema.metrics import CLASS_METRICS, NUMBER_METRICS, reported
from trainer.errors import UserError
from trainer.tabular.calibration import at_temperature
from trainer.tabular.settings import Settings
from trainer.tabular.statistics import Statistics

Tensor = Any


class Head(Protocol):
    """What the network's outputs mean; outputs are float32 [rows, members, outputs].

    Attributes:
        outputs: how many the network has for each row and member.
        reported: the metrics that a line has room for.
        temperature: of the probabilities; 1 leaves them as they are.
        threshold: the probability of the second of two classes from which up it is the answer.
    """

    outputs: int
    reported: Sequence[str]
    temperature: float
    threshold: float

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Returns what each row adds to the loss, the members' mean, float32 [rows]."""

    def predictions(self, outputs: Tensor) -> Tensor:
        """Returns the members' mean.

        It is float32 [rows, classes], probabilities; or [rows], in the label's unit.
        """

    def calibrated(self, predictions: Tensor) -> Tensor:
        """Returns predictions that can be believed; see `trainer/tabular/calibration.py`."""

    def answer(self, predictions: Tensor) -> dict[str, Tensor]:
        """Returns what a client gets, by name; see `trainer/tabular/export.py`."""


def make_head(table: Table, statistics: Statistics, settings: Settings) -> Head:
    """Returns the head of the label's kind.

    Raises:
        UserError: the class weights do not fit the classes.
    """
    if not table.label.classes:
        if settings.class_weights:
            raise UserError(f"--class-weights: {table.label.name!r} is a number, without classes.")
        return NumberHead(statistics.label_mean, statistics.label_scale)
    weights = _class_weights(table, statistics, settings)
    return ClassesHead(
        table.label.classes, weights, reported=reported(table.label, statistics.class_rows)
    )


class ClassesHead:
    """Two classes or more: cross-entropy.

    The first class is the one that the others are compared with: its logit is 0. With two classes
    this is logistic regression's sigmoid, with more it is a softmax.
    """

    def __init__(
        self,
        classes: Sequence[str],
        weights: Sequence[float],
        reported: Sequence[str] = CLASS_METRICS,
    ) -> None:
        """Takes the names of the classes and what they weigh.

        Args:
            classes: their names.
            weights: what a row of each counts in the loss.
            reported: the metrics that a line has room for.
        """
        self.classes = classes
        self.threshold, self.temperature = 0.5, 1.0  # chosen once the weights are
        self.reported = reported
        self.weights = weights
        self.outputs = len(classes) - 1

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Returns the negative logarithm of the label's probability, weighted."""
        likelihoods = tf.reduce_mean(self._log_probabilities(outputs), axis=1)
        likelihood = tf.gather(likelihoods, labels, batch_dims=1)
        if len(set(self.weights)) == 1:
            return -likelihood * self.weights[0]
        return -likelihood * tf.gather(tf.constant(self.weights, tf.float32), labels)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Returns the classes' probabilities."""
        return tf.reduce_mean(tf.exp(self._log_probabilities(outputs)), axis=1)

    def calibrated(self, predictions: Tensor) -> Tensor:
        """Returns the probabilities at the temperature."""
        return at_temperature(predictions, self.temperature)

    def answer(self, predictions: Tensor) -> dict[str, Tensor]:
        """Names the class that is the answer, and its probability or those of all."""
        if len(self.classes) == 2:
            second = predictions[:, 1]
            answers = tf.cast(second >= tf.constant(self.threshold, second.dtype), tf.int32)
            return {"probability": second, "label": tf.gather(self.classes, answers)}
        label = tf.gather(self.classes, tf.argmax(predictions, axis=1))
        return {"probabilities": predictions, "label": label}

    def _log_probabilities(self, outputs: Tensor) -> Tensor:
        return tf.nn.log_softmax(tf.pad(outputs, [[0, 0], [0, 0], [1, 0]]))


class NumberHead:
    """A number: squared error, in standard deviations of the training rows' labels."""

    outputs = 1
    reported: Sequence[str] = NUMBER_METRICS
    temperature, threshold = 1.0, 0.5  # a number has no probabilities

    def __init__(self, mean: float, scale: float) -> None:
        """Takes the training labels' mean and standard deviation."""
        self.mean = mean
        self.scale = scale

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Returns the squared distances from the labels."""
        scaled = (labels - self.mean) / self.scale
        return tf.reduce_mean(tf.square(outputs[:, :, 0] - scaled[:, None]), axis=1)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Returns the estimates."""
        return tf.reduce_mean(outputs[:, :, 0], axis=1) * self.scale + self.mean

    def calibrated(self, predictions: Tensor) -> Tensor:
        """Returns the estimates as they are."""
        return predictions

    def answer(self, predictions: Tensor) -> dict[str, Tensor]:
        """Names the estimate."""
        return {"estimate": predictions}


def _class_weights(table: Table, statistics: Statistics, settings: Settings) -> tuple[float, ...]:
    rows = statistics.class_rows
    if settings.class_weights == "balanced":
        return tuple(sum(rows) / (len(rows) * count) if count else 0.0 for count in rows)
    weights = settings.weights or (1.0,) * len(rows)
    if len(weights) != len(rows):
        raise UserError(
            f"--class-weights: expected {len(rows)} numbers, one for each of"
            f" {', '.join(table.label.classes)}, got {settings.class_weights!r}."
        )
    return weights
