"""When a trial is stopped early, by what others had come to.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/StudySpec (median and decay
curve). From how many completed trials on, and what a very low probability is, Google does not say.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from vertex_emulator.tuning.measurements import sign_of, value_of
from vertex_emulator.tuning.study_spec import STOPPING

Document = dict[str, Any]
Curve = list[tuple[float, float]]  # step or seconds, and value; the greater, the better

MIN_COMPLETED = 5  # trials to compare with
MIN_MEASURED = 2  # measurements that make a curve
MIN_SHARE = 0.25  # of the longest curve: before, a slow and good one looks like a bad one
LOW_PROBABILITY = 0.01
DECAY, HALVING = 1.0, 0.3  # of the kernel, in shares of the longest curve
LEAST_NOISE = 1e-3  # of the spread of values


def rule(spec: Document) -> str | None:
    """Returns the field of a `StudySpec` that asks for early stopping, or None."""
    return next((name for name in STOPPING if name in spec), None)


def reason_to_stop(
    spec: Document, measured: Sequence[Document], completed: Sequence[Sequence[Document]]
) -> str | None:
    """Returns why a running trial is to be stopped, or None.

    Args:
        spec: the `StudySpec`, with a rule.
        measured: the measurements of the trial.
        completed: the measurements of each trial that has succeeded.
    """
    name = rule(spec)
    if name is None or len(completed) < MIN_COMPLETED:
        return None
    by_time = bool(spec[name].get("useElapsedDuration"))
    curve = _curve(spec, measured, by_time=by_time)
    others = [_curve(spec, each, by_time=by_time) for each in completed]
    judges: dict[str, Callable[[Curve, list[Curve]], str | None]] = {
        "medianAutomatedStoppingSpec": _median,
        "decayCurveStoppingSpec": _decay_curve,
    }
    return judges[name](curve, [each for each in others if each]) if curve else None


def _curve(spec: Document, measured: Sequence[Document], *, by_time: bool) -> Curve:
    [metric] = spec["metrics"]
    found = []
    for each in measured:
        value = value_of(each, metric["metricId"])
        if value is not None:
            at = float(each["elapsedDuration"].rstrip("s") if by_time else each["stepCount"])
            found.append((at, sign_of(metric) * value))
    return found


def _median(curve: Curve, others: list[Curve]) -> str | None:
    """Compares the trial's best value with the others' running averages up to its last step."""
    last = curve[-1][0]
    averages = [
        statistics.fmean(value for _at, value in reported)
        for other in others
        if (reported := [point for point in other if point[0] <= last])
    ]
    if len(averages) < MIN_COMPLETED or max(value for _at, value in curve) >= (
        statistics.median(averages)
    ):
        return None
    return (
        f"its best value is worse than the median of the averages of {len(averages)} completed"
        " trials up to there"
    )


def _decay_curve(curve: Curve, others: list[Curve]) -> str | None:
    """Predicts the trial's final value by a Gaussian process.

    A curve is a final value, the way that the completed trials took to theirs on average, and what
    this trial differs from that, which decays. The kernel of the last is that of Swersky, Snoek
    and Adams (2014), https://arxiv.org/abs/1406.3896.
    """
    import numpy as np

    others = [each for each in others if len(each) >= MIN_MEASURED]
    if len(others) < MIN_COMPLETED or len(curve) < MIN_MEASURED:
        return None
    longest = max(each[-1][0] for each in others) or 1.0
    finals = np.array([each[-1][1] for each in others])
    at, values = (np.array(column) for column in zip(*curve, strict=True))
    if not MIN_SHARE * longest <= at[-1] < longest:
        return None
    ways = [_way(np.array(each), at) for each in others]
    mean_way = np.mean(ways, axis=0)
    spread = np.var(finals)
    scale = spread or np.var(values) or 1.0

    def kernel(a: Any, b: Any) -> Any:
        return (HALVING / (a[:, None] + b[None, :] + HALVING)) ** DECAY

    place = at / longest
    own = np.max(np.var(ways, axis=0) / np.diag(kernel(place, place)))
    steps = np.concatenate([np.diff(np.array(each)[:, 1]) for each in others])
    noise = max(LEAST_NOISE * scale, float(np.median(steps**2)) / 2)
    covariance = spread + own * kernel(place, place) + noise * np.eye(len(place))
    end = np.ones(1)
    across = spread + own * kernel(end, place)
    weights = np.linalg.solve(covariance, across.T).T
    mean = float(finals.mean() + (weights @ (values - finals.mean() - mean_way))[0])
    variance = spread + own * kernel(end, end)[0, 0] - float((weights @ across.T)[0, 0])
    predicted = statistics.NormalDist(mean, max(float(variance) + noise, 1e-300) ** 0.5)
    chance = 1 - predicted.cdf(float(finals.max()))
    if chance >= LOW_PROBABILITY:
        return None
    return f"its curve has a chance of {chance:.2g} to end better than the best trial so far"


def _way(curve: Any, at: Any) -> Any:
    """Returns how far a completed curve was from its end at these steps."""
    import numpy as np

    return np.interp(at, curve[:, 0], curve[:, 1]) - curve[-1, 1]
