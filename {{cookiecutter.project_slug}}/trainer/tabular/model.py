"""The network: a wide linear part, a deep part over embeddings, and a head by the label's kind."""

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from table_schema.columns import Table
from trainer.errors import UserError
from trainer.tabular.preprocess import Preprocessor
from trainer.tabular.settings import Settings
from trainer.tabular.statistics import Statistics

Tensor = Any

# The length of a text's vector of weights. Of 1, as is usual, the weights of words would have to
# grow to eight times what they are here, for which Adam's steps are too small and too few.
TEXT_WEIGHT = 8.0


def build(preprocessor: Preprocessor, head: "Head", settings: Settings) -> keras.Model:
    """Returns a wide and deep model of `(numbers, codes)`, as in `Encoded`.

    An embedding begins at zero, and a value that training never shows stays there: it adds
    nothing, whatever it is. The settings' seed decides the other first weights: Keras' own
    default would take them from a state that other threads, such as uploads, draw from too.

    Source: Cheng et al., Wide & Deep Learning for Recommender Systems (2016).

    Returns:
        A Keras model whose answer is float32 [rows, head.outputs].
    """
    statistics = preprocessor.statistics
    penalty = keras.regularizers.L2(settings.l2) if settings.l2 else None

    def dense(units: int, name: str, layer: int, activation: str | None = None) -> Any:
        return keras.layers.Dense(
            units,
            activation,
            kernel_initializer=keras.initializers.GlorotUniform(_seed(settings, layer)),
            kernel_regularizer=penalty,
            name=name,
        )

    numbers = keras.Input([preprocessor.numbers], name="numbers")
    codes = keras.Input([preprocessor.codes], name="codes", dtype="int32")
    wide, deep = [], [numbers]
    if preprocessor.numbers:
        wide.append(dense(head.outputs, "wide_numbers", 0)(numbers))

    def embed(name: str, values: int, places: Any) -> Any:
        size = min(settings.embedding_size, (values + 1) // 2)
        # Looked up once, for both parts: the first numbers are the wide part's.
        return keras.layers.Embedding(
            values,
            head.outputs + size,
            embeddings_initializer="zeros",
            embeddings_regularizer=penalty,
            name=f"embed_{name}",
        )(places)

    found = [
        embed(name, statistics.codes(name), codes[:, place])
        for place, name in enumerate(statistics.vocabulary)
    ]
    at = len(found)
    for name, weights in statistics.words.items():
        places = codes[:, at : at + statistics.lengths[name]]
        found.append(_summed(embed(name, 1 + len(weights), places), places, [*weights.values()]))
        at += statistics.lengths[name]
    wide += [each[:, : head.outputs] for each in found]
    deep += [each[:, head.outputs :] for each in found]
    hidden = keras.layers.Concatenate(name="features")(deep)
    for layer, units in enumerate(settings.hidden_units, start=1):
        hidden = dense(units, f"hidden_{layer}", layer, "relu")(hidden)
        if settings.dropout:
            seed = _seed(settings, layer)
            hidden = keras.layers.Dropout(settings.dropout, seed=seed, name=f"drop_{layer}")(hidden)
    outputs = dense(head.outputs, "deep", len(settings.hidden_units) + 1)(hidden)
    return keras.Model([numbers, codes], keras.layers.Add(name="outputs")([outputs, *wide]))


def _summed(embedded: Any, places: Any, weights: Sequence[float]) -> Any:
    """Returns the weighted sum of a text's words, as a long text weighs no more than a short one.

    Args:
        embedded: float32 [rows, words, size].
        places: int32 [rows, words], places of the words in the vocabulary from 1; 0 is none.
        weights: of the vocabulary's words.
    """
    weight = keras.ops.take(np.array([0, *weights], np.float32), places, axis=0)
    squares = keras.ops.sum(keras.ops.square(weight), axis=1, keepdims=True)
    weight *= TEXT_WEIGHT / keras.ops.sqrt(squares + keras.config.epsilon())
    return keras.ops.sum(embedded * weight[..., None], axis=1)


def _seed(settings: Settings, layer: int) -> int:
    """Returns a seed of a layer's own, unlike those of other layers and other settings' seeds."""
    return int(np.random.SeedSequence([settings.seed, layer]).generate_state(1)[0])


class Head(Protocol):
    """What the network's outputs mean; outputs are float32 [rows, outputs]."""

    outputs: int

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Returns what each row adds to the loss, float32 [rows]."""

    def predictions(self, outputs: Tensor) -> Tensor:
        """Returns float32 [rows, classes], probabilities; or [rows], in the label's unit."""

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
    return ClassesHead(table.label.classes, _class_weights(table, statistics, settings))


class ClassesHead:
    """Two classes or more: cross-entropy.

    The first class is the one that the others are compared with: its logit is 0. With two classes
    this is logistic regression's sigmoid, with more it is a softmax.
    """

    def __init__(
        self, classes: Sequence[str], weights: Sequence[float], threshold: float = 0.5
    ) -> None:
        """Takes the names of the classes and what they weigh.

        Args:
            classes: their names.
            weights: what a row of each counts in the loss.
            threshold: the probability of the second of two classes from which up it is the answer.
        """
        self.classes = classes
        self.threshold = threshold
        self.weights = weights
        self.outputs = len(classes) - 1

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Returns the negative logarithm of the label's probability, weighted."""
        likelihood = tf.gather(self._log_probabilities(outputs), labels, batch_dims=1)
        if len(set(self.weights)) == 1:
            return -likelihood * self.weights[0]
        return -likelihood * tf.gather(tf.constant(self.weights, tf.float32), labels)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Returns the classes' probabilities."""
        return tf.exp(self._log_probabilities(outputs))

    def answer(self, predictions: Tensor) -> dict[str, Tensor]:
        """Names the class that is the answer, and its probability or those of all."""
        if len(self.classes) == 2:
            second = predictions[:, 1]
            answers = tf.cast(second >= tf.constant(self.threshold, second.dtype), tf.int32)
            return {"probability": second, "label": tf.gather(self.classes, answers)}
        label = tf.gather(self.classes, tf.argmax(predictions, axis=1))
        return {"probabilities": predictions, "label": label}

    def _log_probabilities(self, outputs: Tensor) -> Tensor:
        return tf.nn.log_softmax(tf.pad(outputs, [[0, 0], [1, 0]]))


class NumberHead:
    """A number: squared error, in standard deviations of the training rows' labels."""

    outputs = 1

    def __init__(self, mean: float, scale: float) -> None:
        """Takes the training labels' mean and standard deviation."""
        self.mean = mean
        self.scale = scale

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Returns the squared distances from the labels."""
        return tf.square(outputs[:, 0] - (labels - self.mean) / self.scale)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Returns the estimates."""
        return outputs[:, 0] * self.scale + self.mean

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
