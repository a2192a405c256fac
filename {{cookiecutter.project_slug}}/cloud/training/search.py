"""What a tuning searches: ranges and choices of the trainer's flags, as `--search` takes them."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloud.config import Config
from cloud.errors import UserError
from cloud.training import arguments

SCALES = {
    "linear": "UNIT_LINEAR_SCALE",
    "log": "UNIT_LOG_SCALE",
    "reverse-log": "UNIT_REVERSE_LOG_SCALE",
}
NAME = re.compile(r"[A-Za-z][\w-]*")
RANGE = re.compile(r"(?P<low>[^:|]+?)\.\.(?P<high>[^:|]+)(?::(?P<scale>.*))?")
WHOLE = re.compile(r"[+-]?\d+")
EXPECTED = (
    "expected NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=ONE|ANOTHER, such as"
    " learning-rate=1e-4..1e-2:log or hidden-units=64,32|128,64"
)


@dataclass(frozen=True)
class Parameter:
    """A flag of the trainer whose best value is searched.

    Attributes:
        flag: its name, without the dashes in front.
        values: every choice, or the ends of the range, as the trainer reads them.
        spec: what a `ParameterSpec` in snake case has besides the name.
    """

    flag: str
    values: tuple[str, ...]
    spec: dict[str, Any]

    @property
    def is_continuous(self) -> bool:
        """Whether it has values between any two, so that nobody can go through all."""
        return "double_value_spec" in self.spec


@dataclass(frozen=True)
class Space:
    """What the trainer says of a tuning; nothing where it is a script of one's own.

    Attributes:
        flags: all that it has, without dashes.
        parameters: by flag the range that is searched if nobody says otherwise.
        metrics: those that it reports, each with whether more of it is better.
        metric: the one by which it keeps its best weights.
        metric_flag: the flag that names another one.
        trial_arguments: flags of every trial, for what a trial need not do.
    """

    flags: Sequence[str] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, bool] = field(default_factory=dict)
    metric: str = ""
    metric_flag: str = ""
    trial_arguments: Sequence[str] = ()


def space(config: Config, given: Sequence[str]) -> Space:
    """Asks the trainer what a training with these arguments can search.

    Raises:
        SystemExit: the trainer refuses an argument, and has said why.
        UserError: there is no such function.
    """
    if not config.search_space:
        return Space()
    ask = arguments.function_of_trainer("search_space", config.search_space)
    return Space(**ask(given))


def parameters(
    config: Config, known: Space, given: Sequence[str], searched: Sequence[str]
) -> list[Parameter]:
    """Returns what is searched: what a person names, or all that the trainer describes.

    Every value has been read by the trainer's own parser, where there is one.

    Args:
        config: the project's values.
        known: what the trainer says.
        given: arguments of the trainer, with one value each.
        searched: `NAME=RANGE`, or a `NAME` alone for the trainer's own range.

    Raises:
        SystemExit: the trainer refuses a value, and has said why.
        UserError: one is malformed, no flag, or has a value already.
    """
    fixed = {word.partition("=")[0].lstrip("-") for word in given if word.startswith("--")}
    if searched:
        found = [_of_person(known, text) for text in searched]
    else:
        found = [parse(flag, text) for flag, text in known.parameters.items() if flag not in fixed]
    if not found:
        raise UserError(
            "There is nothing to search: name what with --search, such as --search"
            " learning-rate=1e-4..1e-2:log."
        )
    names = [each.flag for each in found]
    for flag in names:
        if flag in fixed:
            raise UserError(
                f"--search {flag}: expected a flag without a value, but the trainer gets --{flag}"
                " already; leave out one of the two."
            )
        if names.count(flag) > 1:
            raise UserError(f"--search {flag}: expected it once, got it {names.count(flag)} times.")
    for each in found:
        for value in each.values:
            arguments.check(config, [*given, f"--{each.flag}={value}"])
    return found


def _of_person(known: Space, text: str) -> Parameter:
    name, _, values = text.partition("=")
    if not NAME.fullmatch(name):
        raise UserError(f"--search: {EXPECTED}, got {text!r}.")
    # Python's own name of a setting is taken for its flag.
    flag = name.replace("_", "-") if known.flags else name
    if known.flags and flag not in known.flags:
        raise UserError(
            f"--search: expected a flag of the trainer, one of {', '.join(known.flags)}, got"
            f" {name!r}."
        )
    if "=" not in text:
        if flag not in known.parameters:
            ranges = ", ".join(known.parameters) or "none"
            raise UserError(
                f"--search {flag}: expected a range or choices after it, as in {flag}=1..8, or a"
                f" flag whose range the trainer knows ({ranges})."
            )
        values = known.parameters[flag]
    return parse(flag, values)


def parse(flag: str, text: str) -> Parameter:
    """Reads `LOW..HIGH`, `LOW..HIGH:SCALE` or `ONE|ANOTHER`.

    A range between two whole numbers is one of whole numbers.

    Raises:
        UserError: it is something else.
    """
    found = RANGE.fullmatch(text)
    if found is None:
        return _choices(flag, text)
    scale = found["scale"] or "linear"
    if scale not in SCALES:
        raise UserError(f"--search {flag}: expected a scale of {', '.join(SCALES)}, got {scale!r}.")
    ends = found["low"].strip(), found["high"].strip()
    try:
        low, high = map(float, ends)
    except ValueError as error:
        raise UserError(f"--search {flag}: expected two numbers, got {text!r}.") from error
    if not -math.inf < low < high < math.inf:
        raise UserError(f"--search {flag}: expected a number and a greater one, got {text!r}.")
    if scale != "linear" and low <= 0:
        raise UserError(
            f"--search {flag}: expected numbers above 0 on a scale of {scale}, got {text!r}."
        )
    if all(map(WHOLE.fullmatch, ends)):
        spec: dict[str, Any] = {
            "integer_value_spec": {"min_value": int(ends[0]), "max_value": int(ends[1])}
        }
    else:
        spec = {"double_value_spec": {"min_value": low, "max_value": high}}
    return Parameter(flag, ends, spec | {"scale_type": SCALES[scale]})


def _choices(flag: str, text: str) -> Parameter:
    values = tuple(value.strip() for value in text.split("|"))
    if len(values) < 2 or not all(values):
        raise UserError(f"--search {flag}: {EXPECTED}, got {text!r}.")
    if len(set(values)) < len(values):
        raise UserError(f"--search {flag}: expected different choices, got {text!r}.")
    return Parameter(flag, values, {"categorical_value_spec": {"values": list(values)}})
