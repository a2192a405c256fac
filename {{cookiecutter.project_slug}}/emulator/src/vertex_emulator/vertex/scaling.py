"""How many replicas a deployed model wants.

Vertex AI looks at the load every 15 s and takes the largest number that the last 5 minutes wanted:
so replicas come at once and go late. The rule is the same here, with times that suit a laptop.
Source: https://cloud.google.com/vertex-ai/docs/predictions/autoscaling.
"""

import math
import re
from collections import deque
from dataclasses import dataclass
from typing import Any

from vertex_emulator.errors import invalid_argument
from vertex_emulator.pace import Pace
from vertex_emulator.state.documents import Document

CPU = "aiplatform.googleapis.com/prediction/online/cpu/utilization"
DEFAULT_TARGET = 60  # percent
TOLERANCE = 0.1  # a load this near to its target changes nothing
MAX_REPLICAS = 64
DURATION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?s")


@dataclass(frozen=True)
class Bounds:
    """What `dedicatedResources` says of the number of replicas.

    Attributes:
        minimum: replicas at any time; 0 allows none while no request comes.
        maximum: replicas under load.
        required: that a deployment waits for.
        initial: that come up first, where there is no minimum, and again from zero.
        target: load of a replica to aim at, as a share of one processor.
        idle: seconds without a request before the last replica goes; None where nothing is said.
        up: seconds for which the replicas stay that a request has called up from zero.
    """

    minimum: int
    maximum: int
    required: int
    initial: int
    target: float
    idle: float | None
    up: float

    @classmethod
    def of(cls, resources: Document) -> "Bounds":
        """Reads and checks a `dedicatedResources`.

        Raises:
            ApiError: 400 INVALID_ARGUMENT.
        """
        name = "deployedModel.dedicatedResources"
        minimum = resources.get("minReplicaCount", 0)
        to_zero = resources.get("scaleToZeroSpec")
        if minimum < 1 and to_zero is None:
            raise invalid_argument(
                f"{name}.minReplicaCount: expected at least 1, or 0 in a v1beta1 request (scale to"
                " zero)."
            )
        if minimum < 0 or (minimum and to_zero is not None):
            raise invalid_argument(
                f"{name}.minReplicaCount: scale to zero requires 0, got {minimum}."
            )
        maximum = resources.get("maxReplicaCount", max(minimum, 1))
        if maximum < max(minimum, 1):
            raise invalid_argument(
                f"{name}.maxReplicaCount: expected at least minReplicaCount, {minimum}, got"
                f" {maximum}."
            )
        if maximum > MAX_REPLICAS:
            raise invalid_argument(
                f"{name}.maxReplicaCount: expected at most {MAX_REPLICAS}, got {maximum}."
            )
        required = resources.get("requiredReplicaCount") or max(minimum, 1)
        if not 0 < required <= max(minimum, 1):
            raise invalid_argument(
                f"{name}.requiredReplicaCount: expected 1 to minReplicaCount, got {required}."
            )
        initial = resources.get("initialReplicaCount", 0)
        if minimum and initial:
            raise invalid_argument(
                f"{name}.initialReplicaCount: is for a minReplicaCount of 0; leave it out."
            )
        if initial < 0 or initial > maximum:
            raise invalid_argument(
                f"{name}.initialReplicaCount: expected 1 to maxReplicaCount, {maximum}, got"
                f" {initial}."
            )
        idle = _seconds(f"{name}.scaleToZeroSpec", to_zero or {}, "idleScaledownPeriod")
        up = _seconds(f"{name}.scaleToZeroSpec", to_zero or {}, "minScaleupPeriod")
        first = max(initial, minimum, 1)
        return cls(minimum, maximum, required, first, _target(name, resources), idle, up or 0.0)


def _target(name: str, resources: Document) -> float:
    for each in resources.get("autoscalingMetricSpecs", ()):
        if each.get("metricName") == CPU:
            target = each.get("target", DEFAULT_TARGET)
            if not 1 <= target <= 100:
                raise invalid_argument(
                    f"{name}.autoscalingMetricSpecs: expected a target of 1 to 100 percent for"
                    f" {CPU}, got {target}."
                )
            return float(target) / 100
    return DEFAULT_TARGET / 100


def _seconds(name: str, spec: Any, field: str) -> float | None:
    text = spec.get(field) if isinstance(spec, dict) else ""
    if text is None:
        return None
    if not isinstance(text, str) or not DURATION.fullmatch(text):
        raise invalid_argument(f"{name}.{field}: expected seconds such as 300s, got {text!r}.")
    return float(text.removesuffix("s"))


class Autoscaler:
    """Decides for one deployed model; `now` is always of one clock that does not go back.

    Args:
        pace: how soon.
        now: seconds.
    """

    def __init__(self, pace: Pace, now: float) -> None:
        self._pace = pace
        self._wanted: deque[tuple[float, int]] = deque()
        self._busy_at = now  # when a request was last seen
        self._up_at = now  # when the replicas last came up from zero

    def decide(
        self, bounds: Bounds, replicas: int, load: float, *, requests: bool, now: float
    ) -> int:
        """Returns how many replicas there should be.

        Args:
            bounds: of the deployed model.
            replicas: that take requests now.
            load: processors that all of them keep busy.
            requests: whether any came since the last look, or waits.
            now: seconds.
        """
        if requests:
            self._busy_at = now
        if not replicas:
            self._up_at = now
        self._wanted.append((now, self._wish(bounds, replicas, load)))
        while self._wanted[0][0] < now - self._pace.window:
            self._wanted.popleft()
        wanted = max(number for _moment, number in self._wanted)
        idle = self._pace.idle if bounds.idle is None else bounds.idle
        silent = now - self._busy_at >= idle and now - self._up_at >= bounds.up
        if bounds.minimum == 0 and (silent or not (replicas or requests)):
            return 0
        least = max(bounds.minimum, 1) if replicas else bounds.initial
        return min(max(wanted, least), bounds.maximum)

    @staticmethod
    def _wish(bounds: Bounds, replicas: int, load: float) -> int:
        if not replicas:
            return 0
        ratio = load / replicas / bounds.target
        return replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(replicas * ratio)
