"""How many replicas a load wants: at once when it grows, late when it falls. No clock runs here."""

from typing import Any

import pytest

from vertex_emulator.errors import ApiError
from vertex_emulator.pace import Pace
from vertex_emulator.vertex.scaling import CPU, Autoscaler, Bounds

PACE = Pace(period=1.0, window=60.0, idle=300.0)


def bounds(least: int, most: int, **fields: Any) -> Bounds:
    return Bounds.of({"minReplicaCount": least, "maxReplicaCount": most, **fields})


@pytest.mark.parametrize(
    ("replicas", "load", "wanted"),
    [
        (1, 0.0, 1),
        (1, 0.6, 1),
        (1, 0.65, 1),  # within the tolerance of 60 percent
        (1, 0.7, 2),
        (1, 3.0, 5),
        (2, 1.3, 2),
        (2, 1.8, 3),
        (4, 40.0, 8),  # never above maxReplicaCount
    ],
)
def test_load_is_held_at_its_target(replicas: int, load: float, wanted: int) -> None:
    scaler = Autoscaler(PACE, 0.0)
    assert scaler.decide(bounds(1, 8), replicas, load, requests=True, now=1.0) == wanted


def test_replicas_come_at_once_and_go_late() -> None:
    scaler = Autoscaler(PACE, 0.0)
    wide = bounds(1, 8)
    assert scaler.decide(wide, 1, 1.2, requests=True, now=1.0) == 2
    assert scaler.decide(wide, 2, 0.0, requests=True, now=2.0) == 2
    assert scaler.decide(wide, 2, 0.0, requests=True, now=61.0) == 2
    assert scaler.decide(wide, 2, 0.0, requests=True, now=61.5) == 1


def test_a_given_target_counts() -> None:
    specs = [{"metricName": CPU, "target": 20}, {"metricName": "another", "target": 1}]
    eager = bounds(1, 8, autoscalingMetricSpecs=specs)
    assert Autoscaler(PACE, 0.0).decide(eager, 1, 0.6, requests=True, now=1.0) == 3


def test_scaling_to_zero() -> None:
    none = bounds(0, 2, scaleToZeroSpec={"idleScaledownPeriod": "10s", "minScaleupPeriod": "30s"})
    scaler = Autoscaler(PACE, 0.0)
    assert scaler.decide(none, 1, 0.1, requests=True, now=25.0) == 1
    assert scaler.decide(none, 1, 0.0, requests=False, now=34.0) == 1
    assert scaler.decide(none, 1, 0.0, requests=False, now=35.0) == 0
    assert scaler.decide(none, 0, 0.0, requests=False, now=40.0) == 0
    assert scaler.decide(none, 0, 0.0, requests=True, now=50.0) == 1  # the first request
    assert scaler.decide(none, 1, 0.0, requests=False, now=61.0) == 1  # has not been up for 30 s
    assert scaler.decide(none, 1, 0.0, requests=False, now=80.0) == 0


def test_without_a_spec_the_pace_says_when_it_is_idle() -> None:
    none = bounds(0, 1, scaleToZeroSpec={})
    scaler = Autoscaler(PACE, 0.0)
    assert scaler.decide(none, 1, 0.0, requests=False, now=299.0) == 1
    assert scaler.decide(none, 1, 0.0, requests=False, now=300.0) == 0


def test_as_many_come_up_from_zero_as_a_deployment_says() -> None:
    several = bounds(0, 4, scaleToZeroSpec={}, initialReplicaCount=3)
    scaler = Autoscaler(PACE, 0.0)
    assert (several.initial, bounds(2, 4).initial) == (3, 2)
    assert scaler.decide(several, 0, 0.0, requests=True, now=1.0) == 3
    assert scaler.decide(several, 3, 0.1, requests=True, now=2.0) == 1


@pytest.mark.parametrize(
    ("resources", "part"),
    [
        ({"minReplicaCount": 1, "initialReplicaCount": 1}, "is for a minReplicaCount of 0"),
        (
            {"maxReplicaCount": 2, "scaleToZeroSpec": {}, "initialReplicaCount": 3},
            "expected 1 to maxReplicaCount, 2, got 3",
        ),
        ({}, "minReplicaCount: expected at least 1"),
        ({"minReplicaCount": -1}, "expected at least 1"),
        ({"minReplicaCount": 1, "scaleToZeroSpec": {}}, "scale to zero requires 0, got 1"),
        ({"minReplicaCount": 3, "maxReplicaCount": 2}, "expected at least minReplicaCount, 3"),
        ({"minReplicaCount": 1, "maxReplicaCount": 10**9}, "expected at most 64"),
        ({"minReplicaCount": 2, "requiredReplicaCount": 3}, "requiredReplicaCount"),
        ({"scaleToZeroSpec": {"idleScaledownPeriod": "soon"}}, "idleScaledownPeriod"),
        (
            {"minReplicaCount": 1, "autoscalingMetricSpecs": [{"metricName": CPU, "target": 101}]},
            "1 to 100 percent",
        ),
    ],
)
def test_bad_bounds_are_refused(resources: dict[str, Any], part: str) -> None:
    with pytest.raises(ApiError, match=part) as caught:
        Bounds.of(resources)
    assert caught.value.status == "INVALID_ARGUMENT"
