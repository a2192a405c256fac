"""What a filter asks, as an index can look it up."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Comparison:
    """What a filter asks of a field.

    Attributes:
        path: of the field, its parts joined with dots.
        operator: `=`, `!=`; `~` and `!~`, as these with `*` for any characters; `:`; `regexp` and
            `not regexp`; and of moments `<`, `<=`, `>` and `>=`, too.
        value: what the field is compared with.
    """

    path: str
    operator: str
    value: str | datetime


@dataclass(frozen=True)
class Either:
    """Of several groups, each a conjunction, one holds."""

    groups: tuple[tuple["Condition", ...], ...]


@dataclass(frozen=True)
class Negation:
    """A conjunction does not hold."""

    group: tuple["Condition", ...]


@dataclass(frozen=True)
class Opaque:
    """What only the predicate knows."""


Condition = Comparison | Either | Negation | Opaque
OPAQUE = Opaque()


def without(conditions: Iterable[Condition], fields: Collection[str]) -> list[Condition]:
    """Returns conditions in which those on some fields are opaque."""

    def hide(condition: Condition) -> Condition:
        if isinstance(condition, Either):
            return Either(tuple(tuple(map(hide, group)) for group in condition.groups))
        if isinstance(condition, Negation):
            return Negation(tuple(map(hide, condition.group)))
        is_one = isinstance(condition, Comparison) and condition.path.partition(".")[0] in fields
        return OPAQUE if is_one else condition

    return [hide(each) for each in conditions]
