"""What became of the calls of one deployed model, counted since the emulator's start."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

# Exponential buckets as google.api.Distribution has them, in milliseconds: bucket i holds
# SCALE * GROWTH^(i-1) <= x < SCALE * GROWTH^i, the first all below SCALE, the last all above.
# https://cloud.google.com/monitoring/api/ref_v3/rest/v3/TypedValue#bucketoptions
SCALE = 0.1
GROWTH = 1.25
FINITE_BUCKETS = 66  # up to 250 s
_LOG_GROWTH = math.log(GROWTH)


@dataclass
class Latencies:
    """A distribution of latencies in milliseconds.

    Attributes:
        count: number of values.
        total: their sum.
        squares: the sum of their squares.
        buckets: how many fell into each bucket.
    """

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (FINITE_BUCKETS + 2))

    def add(self, milliseconds: float) -> None:
        self.count += 1
        self.total += milliseconds
        self.squares += milliseconds * milliseconds
        if milliseconds < SCALE:
            self.buckets[0] += 1
        else:
            place = int(math.log(milliseconds / SCALE) / _LOG_GROWTH) + 1
            self.buckets[min(place, FINITE_BUCKETS + 1)] += 1

    def since(self, before: "Latencies") -> "Latencies":
        """Returns what was counted after an earlier copy."""
        buckets = [now - then for now, then in zip(self.buckets, before.buckets, strict=True)]
        return Latencies(
            self.count - before.count,
            self.total - before.total,
            self.squares - before.squares,
            buckets,
        )

    def distribution(self) -> dict[str, Any]:
        """Returns a `google.api.Distribution`."""
        mean = self.total / self.count if self.count else 0.0
        buckets = self.buckets[: max((i for i, n in enumerate(self.buckets) if n), default=-1) + 1]
        return {
            "count": str(self.count),
            "mean": mean,
            "sumOfSquaredDeviation": max(0.0, self.squares - self.count * mean * mean),
            "bucketOptions": {
                "exponentialBuckets": {
                    "numFiniteBuckets": FINITE_BUCKETS,
                    "growthFactor": GROWTH,
                    "scale": SCALE,
                }
            },
            "bucketCounts": list(map(str, buckets)),
        }


class Meter:
    """Counters of one deployed model, written by the event loop alone.

    Attributes:
        answers: number of answers by HTTP status.
        total: from the whole request to its answer.
        model: from sending to a replica to its answer.
        overhead: the difference.
    """

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        self.total = Latencies()
        self.model = Latencies()
        self.overhead = Latencies()

    def since(self, before: "Meter") -> "Meter":
        """Returns what was counted after an earlier copy; of an empty meter, a copy."""
        later = Meter()
        later.answers = self.answers - before.answers
        later.total = self.total.since(before.total)
        later.model = self.model.since(before.model)
        later.overhead = self.overhead.since(before.overhead)
        return later

    def count(self, status: int, begun: float, sent: float, ended: float) -> None:
        """Counts an answer.

        Args:
            status: HTTP status.
            begun: when the whole request was here, in seconds of some clock.
            sent: when it went to a replica; 0 where none took it.
            ended: when it was answered.
        """
        self.answers[status] += 1
        total = (ended - begun) * 1e3
        self.total.add(total)
        if sent:
            model = (ended - sent) * 1e3
            self.model.add(model)
            self.overhead.add(max(0.0, total - model))
