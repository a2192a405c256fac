"""Checks of a `StudySpec`.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/StudySpec.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from vertex_emulator.errors import invalid_argument, not_emulated
from vertex_emulator.tuning.parameters import (
    CONDITIONS,
    KINDS,
    SAME,
    Spec,
    Value,
    bounds,
    condition,
    kind_of,
    values,
)

PATH = "studySpec"
MAX_DISCRETE_VALUES = 1000
MAX_INTEGER = 2**53
LOGARITHMIC = ("UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE")
STOPPING = ("medianAutomatedStoppingSpec", "decayCurveStoppingSpec")
REFUSED = {
    "convexAutomatedStoppingSpec": f"not emulated; take one of {', '.join(STOPPING)}",
    "observationNoise": "not supported by a HyperparameterTuningJob; leave it out",
    "studyStoppingConfig": "not emulated; maxTrialCount ends the search",
}


def check(spec: dict[str, Any]) -> None:
    """Refuses a study that cannot be searched.

    Raises:
        ApiError: 400 INVALID_ARGUMENT with the field's path; 400 UNIMPLEMENTED for what the
            emulator does not search by.
    """
    for field, reason in REFUSED.items():
        if field in spec:
            raise not_emulated(f"{PATH}.{field}: {reason}.")
    _check_metrics(spec)
    parameters = spec.get("parameters", [])
    if not parameters:
        raise invalid_argument(f"{PATH}.parameters: expected at least one parameter, got none.")
    is_grid = spec.get("algorithm") == "GRID_SEARCH"
    paths = [f"{PATH}.parameters[{index}]" for index in range(len(parameters))]
    _check_together(parameters, paths, is_grid=is_grid)


def _check_metrics(spec: dict[str, Any]) -> None:
    metrics = spec.get("metrics", [])
    if not metrics:
        raise invalid_argument(f"{PATH}.metrics: expected at least one metric, got none.")
    seen: set[str] = set()
    for index, metric in enumerate(metrics):
        path = f"{PATH}.metrics[{index}]"
        if "safetyConfig" in metric:
            raise not_emulated(f"{path}.safetyConfig: not emulated; leave it out.")
        _check_name(metric.get("metricId", ""), f"{path}.metricId", seen)
    for field in STOPPING:
        if field in spec and len(metrics) > 1:
            raise not_emulated(
                f"{PATH}.{field}: the emulator stops trials by one metric, got {len(metrics)}."
            )


def _check_name(name: str, path: str, seen: set[str]) -> None:
    if not name or any(each.isspace() or each == "\0" for each in name):
        raise invalid_argument(f"{path}: expected a name without whitespace, got {name!r}.")
    if name in seen:
        raise invalid_argument(f"{path}: expected each name once, got {name!r} again.")
    seen.add(name)


def _check_together(specs: Sequence[Spec], paths: Sequence[str], *, is_grid: bool) -> set[str]:
    """Checks parameters that one trial may have together; returns all names in and below them."""
    seen: set[str] = set()
    for spec, path in zip(specs, paths, strict=True):
        for name in sorted(_check_parameter(spec, path, is_grid=is_grid)):
            _check_name(name, f"{path}.parameterId", seen)
    return seen


def _check_parameter(spec: Spec, path: str, *, is_grid: bool) -> set[str]:
    """Checks a parameter and what is below it; returns their names."""
    _check_name(spec.get("parameterId", ""), f"{path}.parameterId", set())
    if not any(kind in spec for kind in KINDS):
        raise invalid_argument(f"{path}: expected one of {', '.join(KINDS)}, got none.")
    kind = kind_of(spec)
    if is_grid and kind == "doubleValueSpec":
        raise invalid_argument(
            f"{path}.doubleValueSpec: GRID_SEARCH wants integer, categorical or discrete"
            " parameters; give the values in a discreteValueSpec, or take RANDOM_SEARCH."
        )
    if "defaultValue" in spec[kind]:
        raise not_emulated(
            f"{path}.{kind}.defaultValue: not supported by a HyperparameterTuningJob; leave it out."
        )
    checks = {
        "doubleValueSpec": _check_range,
        "integerValueSpec": _check_range,
        "categoricalValueSpec": _check_categories,
        "discreteValueSpec": _check_discrete,
    }
    checks[kind](spec, f"{path}.{kind}")
    return _check_conditional(spec, path, is_grid=is_grid)


def _check_range(spec: Spec, path: str) -> None:
    low, high = bounds(spec)
    if not math.isfinite(low) or not math.isfinite(high) or not math.isfinite(high - low):
        raise invalid_argument(f"{path}: expected finite bounds, got {low} to {high}.")
    if low > high:
        raise invalid_argument(
            f"{path}: expected a minValue that is not above the maxValue, got {low} and {high}."
        )
    if kind_of(spec) == "integerValueSpec" and max(-low, high) > MAX_INTEGER:
        raise not_emulated(
            f"{path}: a trial's values are doubles, which hold whole numbers up to 2^53, got"
            f" {low} to {high}."
        )
    _check_scale(spec, path, low)


def _check_categories(spec: Spec, path: str) -> None:
    found = spec["categoricalValueSpec"].get("values", [])
    if not found:
        raise invalid_argument(f"{path}.values: expected at least one category, got none.")
    if len(set(found)) < len(found):
        raise invalid_argument(f"{path}.values: expected each category once, got {found}.")
    if spec.get("scaleType", "SCALE_TYPE_UNSPECIFIED") != "SCALE_TYPE_UNSPECIFIED":
        raise invalid_argument(
            f"{path}: categories have no scale; leave the scaleType out, got {spec['scaleType']}."
        )


def _check_discrete(spec: Spec, path: str) -> None:
    found = [float(each) for each in spec["discreteValueSpec"].get("values", [])]
    if not 1 <= len(found) <= MAX_DISCRETE_VALUES:
        raise invalid_argument(
            f"{path}.values: expected 1 to {MAX_DISCRETE_VALUES} values, got {len(found)}."
        )
    is_apart = all(b - a >= SAME for a, b in itertools.pairwise(found))
    if not all(map(math.isfinite, found)) or not is_apart:
        raise invalid_argument(
            f"{path}.values: expected finite numbers in increasing order, {SAME:g} apart or more,"
            f" got {found}."
        )
    _check_scale(spec, path, found[0])


def _check_scale(spec: Spec, path: str, least: float) -> None:
    scale = spec.get("scaleType")
    if scale in LOGARITHMIC and least <= 0:
        raise invalid_argument(f"{path}: {scale} wants values above 0, got {least}.")


def _check_conditional(spec: Spec, path: str, *, is_grid: bool) -> set[str]:
    """Checks what a parameter brings with it; returns the names of all, its own with them."""
    known = {spec["parameterId"]}
    found: list[tuple[list[Value], set[str]]] = []
    for index, conditional in enumerate(spec.get("conditionalParameterSpecs", [])):
        place = f"{path}.conditionalParameterSpecs[{index}]"
        when = _check_condition(spec, conditional, place)
        if "parameterSpec" not in conditional:
            raise invalid_argument(f"{place}.parameterSpec: expected a parameter, got none.")
        below = f"{place}.parameterSpec"
        names = _check_parameter(conditional["parameterSpec"], below, is_grid=is_grid)
        beside = [others for then, others in found if set(when) & set(then)]
        for others in [{spec["parameterId"]}, *beside]:
            for name in sorted(names & others):
                raise invalid_argument(
                    f"{below}.parameterId: expected each name once in a trial, got {name!r} again."
                )
        found.append((when, names))
        known |= names
    return known


def _check_condition(spec: Spec, conditional: Spec, path: str) -> list[Value]:
    kind = kind_of(spec)
    wanted = CONDITIONS.get(kind)
    if wanted is None:
        raise invalid_argument(f"{path}: no parameter depends on a double's values.")
    given = condition(spec, conditional)
    if not given:
        raise invalid_argument(f"{path}.{wanted}.values: expected values of the parent, got none.")
    possible = values(spec)
    for value in given:
        is_there = (
            value in possible
            if kind != "discreteValueSpec"
            else any(abs(float(value) - float(each)) <= SAME for each in possible)
        )
        if not is_there:
            raise invalid_argument(
                f"{path}.{wanted}.values: {value!r} is no value of {spec['parameterId']!r}."
            )
    return given
