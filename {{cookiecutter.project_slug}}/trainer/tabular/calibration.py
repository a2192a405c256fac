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
# With fewer rows, what they say of the temperature is chance, and flattery: the best epoch has been
# chosen by them. 99 rows of ISLP's OJ asked for 0.77, which took the test's log loss from 0.444 to
# 0.489.
MIN_ROWS = 500
# Standard errors by which the rows' loss must fall. A temperature that is chosen on the same rows
# gains one half of the square of its own distance from 1 in its standard errors, and that gain has
# a standard error of as many: 1.5 is a temperature three standard errors from 1.
ENOUGH = 1.5


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
    if len(labels) < MIN_ROWS:
        return 1.0
    from scipy import optimize

    logs = np.log(np.maximum(probabilities.astype(np.float64), MIN_PROBABILITY))

    def losses(logarithm: float) -> Array:
        scaled = logs / math.exp(logarithm)
        highest = scaled.max(axis=1, keepdims=True)
        sums = np.log(np.exp(scaled - highest).sum(axis=1)) + highest[:, 0]
        return np.asarray(sums - scaled[np.arange(len(labels)), labels])

    def mean(logarithm: float) -> float:
        return float(losses(logarithm).mean())

    bounds = tuple(map(math.log, BOUNDS))
    best = float(optimize.minimize_scalar(mean, bounds=bounds, method="bounded").x)
    gains = losses(0.0) - losses(best)
    chance = ENOUGH * gains.std() / math.sqrt(len(gains))
    return round(math.exp(best), 4) if gains.mean() > chance else 1.0
