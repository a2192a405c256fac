"""What each method's filter may say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vertex_emulator.filters.tokens import Token

Predicate = Callable[[Mapping[str, Any]], bool]
# Makes a predicate of a function's arguments. Raises ValueError with what it expects.
Function = Callable[[list[Token]], Predicate]


@dataclass(frozen=True)
class Language:
    """What one method's filter may say.

    Attributes:
        fields: first parts of the paths that may be named; empty allows any.
        ranks: for a field of ordered names, each name's rank.
        times: fields that hold RFC 3339 timestamps.
        ignore_case: whether text and names compare without regard to case, as in Cloud Logging.
        wildcards: whether `*` in a text stands for any characters; in Cloud Logging it does not.
        comments: whether `--` begins a comment, up to the line's end.
        functions: what makes a predicate of a function's arguments, by its name.
        searches: whether a text alone, without a field, is looked for in all fields.
    """

    fields: frozenset[str] = frozenset()
    ranks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    times: frozenset[str] = frozenset()
    ignore_case: bool = False
    wildcards: bool = True
    comments: bool = False
    functions: Mapping[str, Function] = field(default_factory=dict)
    searches: bool = False
