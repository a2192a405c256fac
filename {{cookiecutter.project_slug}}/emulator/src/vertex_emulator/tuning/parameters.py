"""The parameters of a study: which of them a trial has, and what values they take.

A parameter may bring others with it, for some of its values (`conditionalParameterSpecs`).
Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/StudySpec#ParameterSpec.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Spec = dict[str, Any]  # a ParameterSpec as JSON
Value = str | int | float
Parameter = dict[str, Any]  # `parameterId` and `value`, as a trial shows them

KINDS = ("doubleValueSpec", "integerValueSpec", "categoricalValueSpec", "discreteValueSpec")
# What a condition on a parent of each kind is called; there is none on a double.
CONDITIONS = {
    "integerValueSpec": "parentIntValues",
    "categoricalValueSpec": "parentCategoricalValues",
    "discreteValueSpec": "parentDiscreteValues",
}
SAME = 1e-10  # Google's epsilon of discrete values


def kind_of(spec: Spec) -> str:
    """Returns the field that says what values a parameter takes, such as `doubleValueSpec`."""
    return next(kind for kind in KINDS if kind in spec)


def bounds(spec: Spec) -> tuple[float, float] | tuple[int, int]:
    """Returns the least and the greatest value of a double or an integer, both inclusive."""
    kind = kind_of(spec)
    low, high = spec[kind].get("minValue", 0), spec[kind].get("maxValue", 0)
    return (int(low), int(high)) if kind == "integerValueSpec" else (float(low), float(high))


def values(spec: Spec) -> Sequence[Value]:
    """Returns all values of a parameter that is no double."""
    kind = kind_of(spec)
    if kind == "integerValueSpec":
        low, high = bounds(spec)
        return range(int(low), int(high) + 1)
    return [tidy(each) for each in spec[kind]["values"]]


def tidy(value: Value) -> Value:
    """Returns a whole number as one: `64`, not `64.0`, is what a trial's flag wants."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return int(value) if whole else value


def brought(spec: Spec, value: Value) -> list[Spec]:
    """Returns the parameters that a parameter brings with it at this value."""
    return [
        each["parameterSpec"]
        for each in spec.get("conditionalParameterSpecs", [])
        if any(_is_same(value, wanted) for wanted in condition(spec, each))
    ]


def condition(parent: Spec, conditional: Spec) -> list[Value]:
    """Returns the parent's values for which a conditional parameter is there."""
    kind = kind_of(parent)
    wanted: list[Value] = conditional.get(CONDITIONS.get(kind, ""), {}).get("values", [])
    return [int(each) for each in wanted] if kind == "integerValueSpec" else wanted


def walk(
    specs: Sequence[Spec], choose: Callable[[str, Spec], Value], at: str = ""
) -> Iterator[Parameter]:
    """Yields the parameters of one trial, each with the value that is chosen for it.

    Args:
        specs: what there is to choose.
        choose: returns the value of a parameter; its first argument is a place that no other
            parameter has, though names may come again below other values of a parent.
        at: place of the parent.
    """
    for spec in specs:
        place = f"{at}{spec['parameterId']}"
        value = choose(place, spec)
        yield {"parameterId": spec["parameterId"], "value": value}
        all_below = spec.get("conditionalParameterSpecs", [])
        for below in brought(spec, value):
            number = next(n for n, each in enumerate(all_below) if each["parameterSpec"] is below)
            yield from walk([below], choose, f"{place}/{number}/")


def combinations(specs: Sequence[Spec]) -> Iterator[list[Parameter]]:
    """Yields the parameters of all trials that there can be, where none is a double."""
    if not specs:
        yield []
        return
    first, *others = specs
    for value in values(first):
        for rest in combinations([*brought(first, value), *others]):
            yield [{"parameterId": first["parameterId"], "value": value}, *rest]


def flags(parameters: Sequence[Parameter]) -> list[str]:
    """Returns the arguments that hand parameters to a trial: `--name=value`."""
    return [f"--{each['parameterId']}={each['value']}" for each in parameters]


def _is_same(value: Value, wanted: Value) -> bool:
    if isinstance(value, str) or isinstance(wanted, str):
        return value == wanted
    return abs(value - wanted) <= SAME
