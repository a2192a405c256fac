"""The network: a wide linear part, and a deep part of several members.

A *member* is a network that predicts alone. The members share their layers, embeddings and wide
part, and differ in three things of their own: a factor for each feature, by which the first layer's
weights are multiplied; that layer's biases; and the last layer. In training each member has a loss,
and their mean is what falls; the prediction is the mean of what the members predict. Each errs in
another way, so the mean errs less than one does.

Of a table of few rows there are several such networks, which share nothing. Each leaves out a part
of the rows, its *fold*, and learns from all others. So every row is learned from, and every row is
also predicted by members that have not seen it: these predictions tell the best epoch, and what
the scores are worth. What is exported is the mean of all networks' members.

A number is given as it is, and by its place in bins that hold as many training rows each: a bin
below its value is 1, one above it 0, and the one it is in tells how far. So a layer can learn
another slope for each bin, as trees learn steps.

Sources: Cheng et al., Wide & Deep Learning for Recommender Systems (2016); Gorishniy, Rubachev and
Babenko, On Embeddings for Numerical Features in Tabular Deep Learning (2022), section 3.2;
Gorishniy, Kotelnikov and Babenko, TabM: Advancing Tabular Deep Learning with Parameter-Efficient
Ensembling (2025).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.tabular.heads import Head
from trainer.tabular.preprocess import LIMIT, Preprocessor
from trainer.tabular.settings import Settings
from trainer.tabular.statistics import Statistics

Tensor = Any

# The length of a text's vector of weights. Of 1, as is usual, the weights of words would have to
# grow to eight times what they are here, for which Adam's steps are too small and too few.
TEXT_WEIGHT = 8.0
# Standard deviation of a member's first factors around 1, and the place of their seed.
FACTORS_SPREAD = 0.5
FACTORS = 1_000
# The place of the networks' seeds, where there are several.
NETWORKS = 2_000


def build(preprocessor: Preprocessor, head: Head, settings: Settings) -> keras.Model:
    """Returns a model of `(numbers, codes)`, as in `Encoded`: a network for each fold.

    Returns:
        A Keras model whose answer is float32 [rows, folds * members, head.outputs], the members of
        the network that leaves out the first fold first.
    """
    if settings.folds == 1:
        return _network(preprocessor, head, settings, "network")
    inputs = _inputs(preprocessor)
    found = []
    for fold in range(settings.folds):
        # The mean of the networks' losses gives each but a part, and so must the penalty.
        of_fold = dataclasses.replace(
            settings, seed=_seed(settings, NETWORKS + fold), l2=settings.l2 / settings.folds
        )
        found.append(_network(preprocessor, head, of_fold, f"network_{fold + 1}")(inputs))
    return keras.Model(inputs, keras.layers.Concatenate(axis=1, name="networks")(found))


def learning(outputs: Tensor, folds: Tensor, settings: Settings) -> Tensor:
    """Returns the outputs of the members that learn from each row.

    Args:
        outputs: [rows, folds * members, outputs], the model's.
        folds: int32 [rows], which each row is in.
        settings: how many of each there are.

    Returns:
        [rows, (folds - 1) * members, outputs].
    """
    everyone = np.arange(settings.folds * settings.members)
    others = [np.delete(everyone, own) for own in _members_by_fold(settings)]
    return tf.gather(outputs, tf.gather(np.array(others), folds), batch_dims=1)


def left_out(outputs: Tensor, folds: Tensor, settings: Settings) -> Tensor:
    """Returns the outputs of the members that leave each row out: [rows, members, outputs]."""
    return tf.gather(outputs, tf.gather(_members_by_fold(settings), folds), batch_dims=1)


def _members_by_fold(settings: Settings) -> Any:
    """Returns the places of the members whose network leaves a fold out, int [folds, members]."""
    return np.arange(settings.folds * settings.members).reshape(settings.folds, settings.members)


def _inputs(preprocessor: Preprocessor) -> list[Any]:
    return [
        keras.Input([preprocessor.numbers], name="numbers"),
        keras.Input([preprocessor.codes], name="codes", dtype="int32"),
    ]


def _network(
    preprocessor: Preprocessor, head: Head, settings: Settings, called: str
) -> keras.Model:
    """Returns a wide and deep network, whose answer is float32 [rows, members, head.outputs].

    An embedding begins at zero, and a value that training never shows stays there: it adds
    nothing, whatever it is. The settings' seed decides the other first weights: Keras' own
    default would take them from a state that other threads, such as uploads, draw from too.
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

    def dropped(hidden: Any, layer: int) -> Any:
        if not settings.dropout:
            return hidden
        seed = _seed(settings, layer)
        return keras.layers.Dropout(settings.dropout, seed=seed, name=f"drop_{layer}")(hidden)

    numbers, codes = _inputs(preprocessor)
    bins = _in_bins(numbers, statistics)
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
    hidden = keras.layers.Concatenate(name="features")(deep + bins)
    if settings.hidden_units:
        first, *more = settings.hidden_units
        places = sum(each.shape[1] for each in bins)
        hidden = dropped(FirstLayer(settings, first, penalty, places)(hidden), 1)
        for layer, units in enumerate(more, start=2):
            hidden = dropped(dense(units, f"hidden_{layer}", layer, "relu")(hidden), layer)
    else:
        hidden = keras.ops.repeat(hidden, settings.members, axis=0)
    outputs = LastLayer(settings, head.outputs, penalty)(hidden)
    shared = [each[:, None, :] for each in wide]
    outputs = keras.layers.Add(name="outputs")([outputs, *shared])
    return keras.Model([numbers, codes], outputs, name=called)


class FirstLayer(keras.layers.Layer):  # type: ignore[misc]
    """The members' first hidden layer: shared weights, factors and biases of each member's own.

    A member's factors multiply the features, or, which is the same and one product of matrices for
    all, the weights. The weights of bins begin at zero: so the network begins as one of the numbers
    alone, which is smooth, and learns steps where the rows show them.
    """

    def __init__(self, settings: Settings, units: int, penalty: Any, bins: int) -> None:
        super().__init__(name="hidden_1")
        self._settings, self._units, self._penalty = settings, units, penalty
        self._bins = bins  # the last of the features

    def build(self, shape: tuple[int, ...]) -> None:
        features, members = shape[-1], self._settings.members
        first = keras.initializers
        spread = FACTORS_SPREAD if members > 1 else 0.0
        self._kernel = self.add_weight(
            (features, self._units),
            self._first_kernel,
            regularizer=self._penalty,
            name="kernel",
        )
        self._factors = self.add_weight(
            (features, members),
            first.RandomNormal(1.0, spread, _seed(self._settings, FACTORS)),
            regularizer=self._penalty,
            name="factors",
        )
        self._bias = self.add_weight((members, self._units), "zeros", name="bias")

    def _first_kernel(self, shape: tuple[int, int], dtype: Any) -> Tensor:
        features, units = shape
        draw = keras.initializers.LecunUniform(_seed(self._settings, 1))
        drawn = draw((features - self._bins, units), dtype)
        return keras.ops.pad(drawn, [(0, self._bins), (0, 0)])

    def call(self, features: Tensor) -> Tensor:
        """Takes float32 [rows, features]; returns [rows * members, units], row by row."""
        members = self._settings.members
        kernels = self._factors[:, :, None] * self._kernel[:, None, :]
        kernels = keras.ops.reshape(kernels, [-1, members * self._units])
        sums = keras.ops.reshape(keras.ops.matmul(features, kernels), [-1, members, self._units])
        return keras.ops.reshape(keras.ops.relu(sums + self._bias), [-1, self._units])


class LastLayer(keras.layers.Layer):  # type: ignore[misc]
    """The members' outputs, each by weights of its own."""

    def __init__(self, settings: Settings, outputs: int, penalty: Any) -> None:
        super().__init__(name="deep")
        self._settings, self._outputs, self._penalty = settings, outputs, penalty

    def build(self, shape: tuple[int, ...]) -> None:
        units, members = shape[-1], self._settings.members
        limit = math.sqrt(6 / (units + self._outputs))  # Glorot's, of one member
        seed = _seed(self._settings, len(self._settings.hidden_units) + 1)
        self._kernel = self.add_weight(
            (members, units, self._outputs),
            keras.initializers.RandomUniform(-limit, limit, seed),
            regularizer=self._penalty,
            name="kernel",
        )
        self._bias = self.add_weight((members, self._outputs), "zeros", name="bias")

    def call(self, hidden: Tensor) -> Tensor:
        """Takes float32 [rows * members, units]; returns [rows, members, outputs]."""
        members, units, _ = self._kernel.shape
        apart = keras.ops.reshape(hidden, [-1, members, units])
        return keras.ops.einsum("rmu,muo->rmo", apart, self._kernel) + self._bias


def _in_bins(numbers: Any, statistics: Statistics) -> list[Any]:
    """Returns the places of numbers in their bins, float32 [rows, bins of all], if there are any.

    Args:
        numbers: float32 [rows, numbers], as in `Encoded`.
        statistics: of the training rows. A gap is at the mean, and has a feature that says so.
    """
    columns, begins, widths = [], [], []
    for column, (name, mean) in enumerate(statistics.mean.items()):
        ends = (np.array(statistics.bins.get(name, ())) - mean) / statistics.scale[name]
        ends = np.unique(np.clip(ends, -LIMIT, LIMIT).astype(np.float32))
        if len(ends) > 2:  # of one bin, the number itself says as much
            columns += [column] * (len(ends) - 1)
            begins.append(ends[:-1])
            widths.append(np.diff(ends))
    if not columns:
        return []
    places = keras.ops.take(numbers, np.array(columns), axis=1) - np.concatenate(begins)
    return [keras.ops.clip(places / np.concatenate(widths), 0.0, 1.0)]


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
