"""What a study tries next.

Grid search counts through all combinations. Random search and the default, a tree-structured
Parzen estimator, are Optuna's. Optuna keeps nothing: what it knows of a study is told to it anew
from the study's trials.
"""

import logging
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import orjson

from vertex_emulator.tuning.measurements import value_of
from vertex_emulator.tuning.parameters import (
    Parameter,
    Spec,
    Value,
    bounds,
    combinations,
    kind_of,
    tidy,
    values,
    walk,
)
from vertex_emulator.tuning.study_spec import LOGARITHMIC

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as Asked

Document = dict[str, Any]
STARTUP = 10  # random trials at first, at the most
TRIES = 10  # for what no trial has had yet


def suggest(spec: Document, trials: Sequence[Document], most: int) -> list[Parameter] | None:
    """Returns the parameters of the next trial; None where a grid has no further one.

    The same study with the same trials gets the same answer.

    Args:
        spec: the `StudySpec`.
        trials: those that there are, in their order.
        most: trials of the study.
    """
    number = len(trials)
    if spec.get("algorithm") == "GRID_SEARCH":
        return next(islice(combinations(spec["parameters"]), number, None), None)
    known = [each["parameters"] for each in trials]
    seed = f"{zlib.crc32(orjson.dumps(spec, option=orjson.OPT_SORT_KEYS))}/{number}"
    if spec.get("algorithm") == "RANDOM_SEARCH":
        return _ask(spec, [], _random(seed))
    for attempt in range(TRIES):
        found = _ask(spec, trials, _bayesian(f"{seed}/{attempt}", most))
        if found not in known:
            break
    return found


def _ask(spec: Document, trials: Sequence[Document], sampler: "BaseSampler") -> list[Parameter]:
    import numpy as np
    import optuna

    optuna.logging.set_verbosity(logging.WARNING)
    directions = [_direction(each) for each in spec["metrics"]]
    study = optuna.create_study(sampler=sampler, directions=directions)
    study.add_trials([_told(spec, each) for each in trials])
    with np.errstate(all="ignore"):  # ranges that doubles hardly hold are searched coarsely
        asked = study.ask()
        return list(walk(spec["parameters"], lambda place, each: _axis(each).chosen(asked, place)))


def _direction(metric: Document) -> Literal["minimize", "maximize"]:
    return "minimize" if metric.get("goal") == "MINIMIZE" else "maximize"


def _told(spec: Document, trial: Document) -> "FrozenTrial":
    """Returns a trial as Optuna knows it."""
    from optuna.trial import TrialState, create_trial

    given = {each["parameterId"]: each["value"] for each in trial["parameters"]}
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}

    def choose(place: str, parameter: Spec) -> Value:
        axis, value = _axis(parameter), given[parameter["parameterId"]]
        params[place], distributions[place] = axis.inward(value), axis.distribution
        return value  # type: ignore[no-any-return]

    for _parameter in walk(spec["parameters"], choose):
        pass
    final = trial.get("finalMeasurement")
    if trial["state"] == "SUCCEEDED" and final is not None:
        ids = [each["metricId"] for each in spec["metrics"]]
        results = [float(value_of(final, name) or 0.0) for name in ids]
        return create_trial(params=params, distributions=distributions, values=results)
    is_over = trial["state"] in ("SUCCEEDED", "INFEASIBLE")
    state = TrialState.FAIL if is_over else TrialState.RUNNING
    return create_trial(state=state, params=params, distributions=distributions)


def _random(seed: str) -> "BaseSampler":
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=zlib.crc32(seed.encode()))


def _bayesian(seed: str, most: int) -> "BaseSampler":
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import TPESampler

    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    return TPESampler(
        seed=zlib.crc32(seed.encode()),
        n_startup_trials=max(1, min(STARTUP, most // 2)),
        multivariate=True,
        group=True,  # conditional parameters
    )


@dataclass(frozen=True)
class _Axis:
    """How Optuna sees a parameter.

    Attributes:
        distribution: of the numbers or categories that Optuna knows.
        outward: makes of those the parameter's value.
        inward: makes of the parameter's value those.
    """

    distribution: "BaseDistribution"
    outward: Callable[[Any], Value]
    inward: Callable[[Any], Any]

    def chosen(self, asked: "Asked", place: str) -> Value:
        """Returns the value that Optuna chooses."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        found: Any
        among: Any = self.distribution
        if isinstance(among, CategoricalDistribution):
            found = asked.suggest_categorical(place, among.choices)
        elif isinstance(among, IntDistribution):
            found = asked.suggest_int(place, among.low, among.high, log=among.log)
        else:
            found = asked.suggest_float(place, among.low, among.high, log=among.log)
        return tidy(self.outward(found))


def _axis(spec: Spec) -> _Axis:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    kind = kind_of(spec)
    if kind == "categoricalValueSpec":
        return _Axis(CategoricalDistribution(list(values(spec))), _same, _same)
    if kind == "discreteValueSpec":  # their order counts, and not how far they are apart
        found = values(spec)
        return _Axis(IntDistribution(0, len(found) - 1), found.__getitem__, found.index)
    low, high = bounds(spec)
    scale = spec.get("scaleType")
    log = scale in LOGARITHMIC
    distribution: BaseDistribution = (
        IntDistribution(int(low), int(high), log=log)
        if kind == "integerValueSpec"
        else FloatDistribution(low, high, log=log)
    )

    def mirrored(value: float) -> float:  # close together at the top as a logarithm is below
        return min(high, max(low, low + high - value))

    turn = mirrored if scale == "UNIT_REVERSE_LOG_SCALE" else _same
    return _Axis(distribution, turn, turn)


def _same(value: Any) -> Any:
    return value
