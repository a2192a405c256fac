"""How soon the replicas of deployed models become more and fewer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """All in seconds.

    Attributes:
        period: between two looks at the load.
        window: for which a replica that is no longer needed stays.
        idle: without a request, after which a model that scales to zero does so, where its
            `scaleToZeroSpec` gives no other.
    """

    period: float = 1.0
    window: float = 60.0
    idle: float = 300.0
