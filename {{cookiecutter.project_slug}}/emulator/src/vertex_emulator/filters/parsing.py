"""The filter language of Google's list methods and of Cloud Logging.

Source: https://google.aip.dev/160 (grammar; `OR` binds tighter than `AND`),
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs/list and
https://cloud.google.com/logging/docs/view/logging-query-language. A filter becomes one predicate
on a JSON document:

    wanted = parse('display_name="flights" AND NOT state="JOB_STATE_FAILED"', JOBS)
    [job for job in jobs if wanted.matches(job)]
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from vertex_emulator.errors import ApiError, invalid_argument
from vertex_emulator.filters.comparing import Compared, texts
from vertex_emulator.filters.conditions import OPAQUE, Comparison, Condition, Either, Negation
from vertex_emulator.filters.language import Language, Predicate
from vertex_emulator.filters.tokens import Token, tokenize

COMPARISONS = {"=", "!=", "<", "<=", ">", ">=", ":", "=~", "!~"}
MAX_LENGTH = 20_000
MAX_DEPTH = 50


@dataclass(frozen=True)
class Filter:
    """A compiled filter.

    Attributes:
        matches: whether a document is among what the filter asks for.
        needed: the same as a conjunction of conditions, for an index; without what is `Opaque` it
            holds for more.
    """

    matches: Predicate
    needed: Sequence[Condition] = ()

    @property
    def required(self) -> dict[str, str]:
        """Values that every match has, by path."""
        return {
            each.path: each.value
            for each in self.needed
            if isinstance(each, Comparison) and each.operator == "=" and isinstance(each.value, str)
        }

    @property
    def at_least(self) -> dict[str, datetime]:
        """Moments that no match is before, by path."""
        return {
            each.path: each.value
            for each in self.needed
            if isinstance(each, Comparison)
            and each.operator in (">", ">=")
            and isinstance(each.value, datetime)
        }


def parse(text: str, language: Language) -> Filter:
    """Compiles a filter.

    Raises:
        ApiError: 400 INVALID_ARGUMENT; the message quotes the filter and the place.
    """
    if len(text) > MAX_LENGTH:
        raise invalid_argument(f"filter: expected at most {MAX_LENGTH} characters, got {len(text)}")
    return _Parser(text, language).parse()


class _Parser:
    def __init__(self, text: str, language: Language) -> None:
        self._text = text
        self._language = language
        self._tokens = tokenize(text, language.comments, self._error)
        self._next = 0
        self._depth = 0
        self._needed: list[Condition] = []  # one for each predicate that was read

    def parse(self) -> Filter:
        if not self._tokens:  # nothing, or comments alone
            return Filter(lambda _document: True)
        predicate = self._expression()
        token = self._peek()
        if token is not None:
            raise self._error(f"unexpected {token.text!r}", token.position)
        return Filter(predicate, self._needed)

    def _error(self, problem: str, position: int) -> ApiError:
        return invalid_argument(
            f"filter: {problem} at character {position + 1} of {self._text!r};"
            ' expected a form like display_name="flights" AND create_time>"2026-01-31T00:00:00Z"'
        )

    def _peek(self) -> Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, *texts: str) -> bool:
        token = self._peek()
        if token is not None and token.kind != "string" and token.text in texts:
            self._next += 1
            return True
        return False

    def _expression(self, restriction: Callable[[], Predicate] | None = None) -> Predicate:
        """Reads terms joined by AND, OR and NOT.

        Args:
            restriction: reads what they join; None for comparisons of fields.
        """
        read = restriction or self._restriction
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} nested parentheses", 0)
        terms = [self._alternatives(read)]
        while True:
            token = self._peek()
            if token is None or (token.kind == "operator" and token.text == ")"):
                break
            self._take("AND")
            terms.append(self._alternatives(read))
        self._depth -= 1
        return lambda document: all(term(document) for term in terms)

    def _alternatives(self, read: Callable[[], Predicate]) -> Predicate:
        begin = len(self._needed)
        terms = [self._term(read)]
        groups = [self._taken_back(begin)]
        while self._take("OR"):
            terms.append(self._term(read))
            groups.append(self._taken_back(begin))
        self._needed += groups[0] if len(groups) == 1 else [Either(tuple(groups))]
        return lambda document: any(term(document) for term in terms)

    def _term(self, read: Callable[[], Predicate]) -> Predicate:
        if self._take("NOT", "-"):
            begin = len(self._needed)
            negated = self._simple(read)
            self._needed.append(Negation(self._taken_back(begin)))
            return lambda document: not negated(document)
        return self._simple(read)

    def _taken_back(self, begin: int) -> tuple[Condition, ...]:
        """Returns the conditions read since a moment, which become a part of another."""
        group = tuple(self._needed[begin:])
        del self._needed[begin:]
        return group

    def _simple(self, read: Callable[[], Predicate]) -> Predicate:
        if self._take("("):
            predicate = self._expression(read)
            self._close()
            return predicate
        return read()

    def _close(self) -> None:
        if not self._take(")"):
            raise self._error("a missing ')'", len(self._text))

    def _restriction(self) -> Predicate:
        left = self._operand()
        operator = self._peek()
        if operator is not None and operator.text == "(" and operator.position == left.end:
            return self._call(left)
        if operator is None or operator.kind != "operator" or operator.text not in COMPARISONS:
            return self._search(left)
        self._next += 1
        path = left.path
        if self._language.fields and path[0] not in self._language.fields:
            raise self._error(
                f"unknown field {left.text!r} (known: {', '.join(sorted(self._language.fields))})",
                left.position,
            )

        def compare() -> Predicate:
            right = self._operand()
            compared = Compared(self._language, path, operator.text, right, self._error)
            self._needed.append(compared.condition)
            return compared.predicate

        if self._take("("):  # severity=(ERROR OR CRITICAL)
            predicate = self._expression(compare)
            self._close()
            return predicate
        return compare()

    def _call(self, name: Token) -> Predicate:
        function = self._language.functions.get(name.text.lower())
        if function is None:
            known = ", ".join(self._language.functions) or "none"
            raise self._error(f"a function {name.text!r} (known: {known})", name.position)
        self._take("(")
        arguments: list[Token] = []
        while not self._take(")"):
            token = self._operand()
            words = re.findall(r"[^,]+", token.text) if token.kind == "word" else [token.text]
            arguments.extend(replace(token, text=word) for word in words)
        self._needed.append(OPAQUE)
        try:
            return function(arguments)
        except ValueError as error:
            raise self._error(f"{name.text}: {error}", name.position) from error

    def _operand(self) -> Token:
        token = self._peek()
        if token is None or token.kind not in ("string", "word"):
            position = len(self._text) if token is None else token.position
            raise self._error("a missing field or value", position)
        if token.kind == "word" and token.text in ("AND", "OR", "NOT"):
            raise self._error(f"a missing field or value before {token.text!r}", token.position)
        self._next += 1
        return token

    def _search(self, token: Token) -> Predicate:
        if not self._language.searches:
            raise self._error(f"no comparison after {token.text!r}", token.position)
        self._needed.append(OPAQUE)
        wanted = token.value.lower()
        return lambda document: any(wanted in text.lower() for text in texts(document))
