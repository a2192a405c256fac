"""How far two distributions are apart, and how far chance alone drives them.

Vertex AI's Model Monitoring measures numbers by the Jensen-Shannon divergence and categories by
that or by the largest difference of a share; an alarm is due above 0.3, its default. Source:
https://cloud.google.com/vertex-ai/docs/model-monitoring/overview and ThresholdConfig in
google/cloud/aiplatform/v1/model_monitoring.proto. Here both kinds are measured by the divergence.
"""

from typing import Any

import numpy as np

Array = Any

THRESHOLD = 0.3
# An unchanged column is further apart than all draws about once in so many comparisons.
DRAWS = 10_000
DRAWS_AT_ONCE = 2_000


def jensen_shannon(first: Array, second: Array) -> Array:
    """Returns the Jensen-Shannon divergence to base 2, from 0 (the same) to 1 (nothing in common).

    Args:
        first: counts, or shares, [..., bins].
        second: those of the other distribution, likewise.
    """
    first = first / np.maximum(first.sum(-1, keepdims=True), 1e-300)
    second = second / np.maximum(second.sum(-1, keepdims=True), 1e-300)
    middle = (first + second) / 2
    return (_entropy(middle) - (_entropy(first) + _entropy(second)) / 2).clip(0, 1)


def _entropy(shares: Array) -> Array:
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return -(shares * logs).sum(-1)


def by_chance(first: Array, second: Array, seed: int = 0) -> float:
    """Returns the largest divergence of `DRAWS` pairs of samples of one distribution.

    Args:
        first: counts, [bins].
        second: those of the other sample; both are drawn anew, each with as many rows as it has,
            from what they have together.
        seed: of the draws.
    """
    rows = int(first.sum()), int(second.sum())
    if not all(rows):
        return 1.0
    together = (first + second) / sum(rows)
    random = np.random.default_rng(seed)
    largest = 0.0
    for _ in range(DRAWS // DRAWS_AT_ONCE):
        drawn = (random.multinomial(each, together, DRAWS_AT_ONCE) for each in rows)
        largest = max(largest, float(jensen_shannon(*drawn).max()))
    return largest
