"""A network's weights as one vector.

A step of the optimizer is then one operation and not one for each weight, which compiles sooner,
and workers tell each other one gradient.
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.tabular.data import Array

Tensor = Any


class Weights:
    """The trainable weights of a model, all float32, in the model's order."""

    def __init__(self, model: keras.Model) -> None:
        self._variables = model.trainable_variables
        self._shapes = [tuple(variable.shape) for variable in self._variables]

    def join(self) -> Array:
        """Returns the model's weights as float32 [all]."""
        return np.concatenate([np.ravel(variable) for variable in self._variables])

    def split(self, vector: Tensor) -> list[Tensor]:
        """Returns the parts of such a vector, each of its weight's shape."""
        parts = tf.split(vector, [math.prod(shape) for shape in self._shapes])
        return [tf.reshape(*pair) for pair in zip(parts, self._shapes, strict=True)]

    def put(self, vector: Tensor) -> None:
        """Gives the model the weights of such a vector."""
        for variable, part in zip(self._variables, self.split(vector), strict=True):
            variable.assign(part)
