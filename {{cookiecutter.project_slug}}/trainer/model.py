"""The network: embeddings and numbers, hidden layers, one logit for each class but the first."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.columns import Table
from trainer.preprocess import Statistics
from trainer.settings import Settings


def build(table: Table, statistics: Statistics, settings: Settings) -> keras.Model:
    """Returns a model of `(numbers, codes)`, as in `Encoded`, that answers logits.

    An embedding begins at zero, and a value that training never shows stays there: it adds
    nothing, whatever it is. The settings' seed decides the other first weights: Keras' own
    default would take them from a state that other threads, such as uploads, draw from too.

    Returns:
        A Keras model whose answer is float32 [rows, classes - 1]; see `log_probabilities`.
    """
    numbers = keras.Input(
        [len(statistics.mean) + sum(statistics.has_gaps.values())], name="numbers"
    )
    codes = keras.Input([len(statistics.vocabulary)], name="codes", dtype="int32")
    features = [numbers]
    for place, (name, vocabulary) in enumerate(statistics.vocabulary.items()):
        size = min(settings.embedding_size, (len(vocabulary) + 2) // 2)
        embed = keras.layers.Embedding(
            len(vocabulary) + 1, size, embeddings_initializer="zeros", name=f"embed_{name}"
        )
        features.append(embed(codes[:, place]))
    hidden = keras.layers.Concatenate(name="features")(features)
    for layer, units in enumerate(settings.hidden_units):
        seed = _seed(settings, layer)
        weights = keras.initializers.GlorotUniform(seed)
        dense = keras.layers.Dense(
            units, "relu", kernel_initializer=weights, name=f"hidden_{layer}"
        )
        hidden = dense(hidden)
        if settings.dropout:
            drop = keras.layers.Dropout(settings.dropout, seed=seed, name=f"dropout_{layer}")
            hidden = drop(hidden)
    weights = keras.initializers.GlorotUniform(_seed(settings, len(settings.hidden_units)))
    classes = len(table.label.classes)
    logits = keras.layers.Dense(classes - 1, kernel_initializer=weights, name="logits")(hidden)
    return keras.Model([numbers, codes], logits, name=table.name)


def _seed(settings: Settings, layer: int) -> int:
    """Returns a seed of a layer's own, unlike those of other layers and other settings' seeds."""
    return int(np.random.SeedSequence([settings.seed, layer]).generate_state(1)[0])


def log_probabilities(logits: Any) -> Any:
    """Returns the logarithms of the classes' probabilities, float32 [rows, classes].

    The first class is the one that the others are compared with: its logit is 0. With two
    classes this is logistic regression's sigmoid, with more it is a softmax.
    """
    return tf.nn.log_softmax(tf.pad(logits, [[0, 0], [1, 0]]))
