"""How a document's field compares with a value of a filter."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from vertex_emulator.errors import ApiError
from vertex_emulator.filters.conditions import OPAQUE, Comparison, Condition
from vertex_emulator.filters.language import Language, Predicate
from vertex_emulator.filters.tokens import Complain, Token
from vertex_emulator.patterns import compile_pattern, wildcards


class Compared:
    """One comparison of a filter.

    Args:
        language: of the method.
        path: of the field.
        operator: one of `COMPARISONS`.
        right: what the field is compared with.
        complain: makes the error of a value that the field cannot have.

    Raises:
        ApiError: 400 INVALID_ARGUMENT for a value that the field cannot have.
    """

    def __init__(
        self, language: Language, path: list[str], operator: str, right: Token, complain: Complain
    ) -> None:
        self._language = language
        self._path = path
        self._operator = operator
        self._right = right
        self._complain = complain
        self._key = self._order()
        self._asks_for_part = operator == ":" and (self._key is _same or right.value == "*")
        self.condition = self._condition()
        self.predicate = self._predicate()

    def _predicate(self) -> Predicate:
        path, operator, key, wanted = self._path, self._operator, self._key, self._right.value
        if operator in ("=~", "!~"):
            pattern = compile_pattern(wanted, f"filter: {self._right.text[:200]} after {operator}")
            return lambda document: (
                isinstance(value := at(document, path), str)
                and (pattern.search(value) is not None) == (operator == "=~")
            )
        if self._asks_for_part:
            anywhere = _has_match if self._language.wildcards else _has
            return lambda document: anywhere(at(document, path), wanted)
        target = key(wanted)
        folded = self._language.ignore_case
        if folded and isinstance(target, str):
            target = target.lower()
        compare = _COMPARE[operator]
        if operator in ("=", "!=") and self._language.wildcards and "*" in wanted:
            compare = _LIKE[operator]

        def matches(document: Mapping[str, Any]) -> bool:
            value = at(document, path)
            if value is None:
                return False
            try:
                value = key(value)
            except ApiError:
                return False
            if isinstance(target, str):
                value = str(value).lower() if folded or isinstance(value, bool) else str(value)
            elif type(value) is not type(target):
                return False
            return compare(value, target)

        return matches

    def _condition(self) -> Condition:
        """Returns what an index may look up."""
        operator, wanted = self._operator, self._right.value
        name = ".".join(self._path)
        if operator == ":":
            return Comparison(name, ":", wanted) if self._asks_for_part else OPAQUE
        if operator in ("=~", "!~"):
            return Comparison(name, "regexp" if operator == "=~" else "not regexp", wanted)
        target = self._key(wanted)
        if isinstance(target, datetime):
            return Comparison(name, operator, target)
        if operator not in ("=", "!=") or (self._key is not _same and not isinstance(target, int)):
            return OPAQUE
        like = {"=": "~", "!=": "!~"}[operator]
        return Comparison(name, like if "*" in wanted else operator, wanted)

    def _order(self) -> Callable[[Any], Any]:
        """Returns how values are ordered: names by rank, timestamps by time, numbers as such."""
        name, right = self._path[0], self._right
        ranks = self._language.ranks.get(name)
        if ranks is not None:

            def rank(value: Any) -> int:
                if self._language.ignore_case:
                    value = str(value).upper()
                if value not in ranks:
                    raise self._complain(
                        f"unknown {name} {value!r} (known: {', '.join(ranks)})", right.position
                    )
                return ranks[value]

            return rank
        if name in self._language.times:

            def time(value: Any) -> datetime:
                try:
                    moment = datetime.fromisoformat(value)
                    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
                except (TypeError, ValueError, OverflowError) as error:
                    raise self._complain(
                        f"not an RFC 3339 timestamp: {value!r}", right.position
                    ) from error

            return time
        if right.kind == "word" and re.fullmatch(r"-?\d+(\.\d+)?", right.text):
            return lambda value: float(value) if _is_number(value) else value
        return _same


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, target: value == target,
    ":": lambda value, target: value == target,
    "!=": lambda value, target: value != target,
    "<": lambda value, target: value < target,
    "<=": lambda value, target: value <= target,
    ">": lambda value, target: value > target,
    ">=": lambda value, target: value >= target,
}


_LIKE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, target: wildcards(str(target)).fullmatch(str(value)) is not None,
    "!=": lambda value, target: wildcards(str(target)).fullmatch(str(value)) is None,
}


def _same(value: Any) -> Any:
    return value


def _is_number(value: Any) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", str(value)) is not None


def at(document: Mapping[str, Any], path: list[str]) -> Any:
    """Returns the value of a field by its path, or None."""
    value: Any = document
    for index, part in enumerate(path):
        if not isinstance(value, Mapping):
            return None
        rest = ".".join(path[index:])
        if rest in value:
            return value[rest]
        value = value.get(part)
    return value


def _has(value: Any, wanted: str) -> bool:
    """`:` asks a text for a part, a list for a member, and a map for a key; `*` for any value."""
    if wanted == "*":
        return value is not None
    if isinstance(value, str):
        return wanted.lower() in value.lower()
    if isinstance(value, (list, Mapping)):
        return wanted in value
    return value is not None and str(value) == wanted


def _has_match(value: Any, wanted: str) -> bool:
    """As `_has`; in a text, `*` stands for any characters: `display_name:"my_job_*"`."""
    if isinstance(value, str) and wanted != "*" and "*" in wanted:
        return wildcards(wanted).fullmatch(value) is not None
    return _has(value, wanted)


def texts(value: Any) -> list[str]:
    """Returns all texts in a JSON value, and its other scalars as text."""
    if isinstance(value, Mapping):
        return [text for part in value.values() for text in texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in texts(part)]
    return [str(value)]
