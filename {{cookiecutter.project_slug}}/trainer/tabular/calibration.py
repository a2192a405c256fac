"""Probabilities that can be believed: temperature scaling.

A network is often too sure, one of many members sometimes not sure enough. A probability to the
power of one by a temperature, and all of a row's then divided by their sum, is less sure above 1
and surer below; the order of the classes stays. Source: Guo et al., On Calibration of Modern Neural
Networks (2017), section 4.2; the members' mean takes the place of one network's softmax.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from table_schema.metrics import MIN_PROBABILITY
from trainer.tabular.data import Array

Tensor = Any

BOUNDS = 0.25, 4.0
# Few rows that are all right would have a model that is sure beyond measure: the temperature is
# thought to lie around 1, its logarithm with this standard deviation.
SPREAD = 0.3
# Standard errors by which the rows' loss must fall. A temperature that is chosen on the same rows
# gains one half of the square of its own distance from 1 in its standard errors, and that gain has
# a standard error of as many: 1 is a temperature two standard errors from 1.
ENOUGH = 1.0


def at_temperature(probabilities: Tensor, temperature: float) -> Tensor:
    """Returns the probabilities at a temperature, float32 [rows, classes]; at 1 the same bits."""
    if temperature == 1:
        return probabilities
    return tf.nn.softmax(tf.math.log(probabilities) / temperature)


def temperature(probabilities: Array, labels: Array) -> float:
    """Returns the temperature of the least log loss; 1 where that may be chance.

    Args:
        probabilities: float32 [rows, classes], of rows that the model has not learned from.
        labels: int32 [rows].
    """
    from scipy import optimize

    logs = np.log(np.maximum(probabilities.astype(np.float64), MIN_PROBABILITY))

    def losses(logarithm: float) -> Array:
        scaled = logs / math.exp(logarithm)
        highest = scaled.max(axis=1, keepdims=True)
        sums = np.log(np.exp(scaled - highest).sum(axis=1)) + highest[:, 0]
        return np.asarray(sums - scaled[np.arange(len(labels)), labels])

    def total(logarithm: float) -> float:
        return float(losses(logarithm).sum() + (logarithm / SPREAD) ** 2 / 2)

    bounds = tuple(map(math.log, BOUNDS))
    best = float(optimize.minimize_scalar(total, bounds=bounds, method="bounded").x)
    gains = losses(0.0) - losses(best)
    chance = ENOUGH * gains.std() / math.sqrt(len(gains))
    return round(math.exp(best), 4) if gains.mean() > chance else 1.0
