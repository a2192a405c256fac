"""The filter language of Google's list methods and of Cloud Logging.

Source: https://google.aip.dev/160 (grammar; `OR` binds tighter than `AND`) and
https://cloud.google.com/logging/docs/view/logging-query-language. A filter becomes one predicate
on a JSON document:

    wanted = parse('display_name="flights" AND NOT state="JOB_STATE_FAILED"', JOBS)
    [job for job in jobs if wanted.matches(job)]
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from vertex_emulator.errors import ApiError, invalid_argument
from vertex_emulator.names import camel

Predicate = Callable[[Mapping[str, Any]], bool]

TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator><=|>=|!=|=~|!~|[=<>:()])
      | (?P<minus>-(?=[^\s\d]))
      | (?P<word>(?:[^\s"'=<>!:()\\]|\\.|(?<=\.)"(?:[^"\\]|\\.)*")+)
    )""",
    re.VERBOSE,
)
PART = re.compile(r'"(?:[^"\\]|\\.)*"|(?:[^".\\]|\\.)+')  # of a path: labels."a key"
COMPARISONS = {"=", "!=", "<", "<=", ">", ">=", ":", "=~", "!~"}
MAPS = {"labels", "jsonPayload"}  # fields whose keys are the user's own
MAX_LENGTH = 20_000
MAX_DEPTH = 50


@dataclass(frozen=True)
class Language:
    """What one method's filter may say.

    Attributes:
        fields: first parts of the paths that may be named; empty allows any.
        ranks: for a field of ordered names, each name's rank.
        times: fields that hold RFC 3339 timestamps.
        ignore_case: whether text compares without regard to case, as in Cloud Logging.
    """

    fields: frozenset[str] = frozenset()
    ranks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    times: frozenset[str] = frozenset()
    ignore_case: bool = False


@dataclass(frozen=True)
class Token:
    """A piece of a filter: its kind (a group name of `TOKEN`), its text, and where it begins."""

    kind: str
    text: str
    position: int


@dataclass(frozen=True)
class Filter:
    """A compiled filter.

    Attributes:
        matches: whether a document is among what the filter asks for.
        required: values that every match has, by path; what an index may look up.
        at_least: moments that no match is before, by path; likewise.
    """

    matches: Predicate
    required: Mapping[str, str] = field(default_factory=dict)
    at_least: Mapping[str, datetime] = field(default_factory=dict)


def parse(text: str, language: Language) -> Filter:
    """Compiles a filter.

    Raises:
        ApiError: 400 INVALID_ARGUMENT; the message quotes the filter and the place.
    """
    if len(text) > MAX_LENGTH:
        raise invalid_argument(f"filter: expected at most {MAX_LENGTH} characters, got {len(text)}")
    if not text.strip():
        return Filter(lambda _document: True)
    return _Parser(text, language).parse()


class _Parser:
    def __init__(self, text: str, language: Language) -> None:
        self._text = text
        self._language = language
        self._tokens = self._tokenize(text)
        self._next = 0
        self._depth = 0
        self._required: list[tuple[str, str | datetime]] = []

    def parse(self) -> Filter:
        predicate = self._expression()
        token = self._peek()
        if token is not None:
            raise self._error(f"unexpected {token.text!r}", token.position)
        return Filter(
            predicate,
            {path: value for path, value in self._required if isinstance(value, str)},
            {path: value for path, value in self._required if isinstance(value, datetime)},
        )

    def _tokenize(self, text: str) -> list[Token]:
        tokens, position = [], 0
        while text[position:].strip():
            match = TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self._error("an unfinished or unknown sign", position)
            tokens.append(
                Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
            )
            position = match.end()
        return tokens

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

    def _expression(self) -> Predicate:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} nested parentheses", 0)
        terms = [self._alternatives()]
        while True:
            token = self._peek()
            if token is None or (token.kind == "operator" and token.text == ")"):
                break
            self._take("AND")
            terms.append(self._alternatives())
        self._depth -= 1
        return lambda document: all(term(document) for term in terms)

    def _alternatives(self) -> Predicate:
        required = len(self._required)
        terms = [self._term()]
        while self._take("OR"):
            terms.append(self._term())
            del self._required[required:]
        return lambda document: any(term(document) for term in terms)

    def _term(self) -> Predicate:
        if self._take("NOT", "-"):
            required = len(self._required)
            negated = self._simple()
            del self._required[required:]
            return lambda document: not negated(document)
        return self._simple()

    def _simple(self) -> Predicate:
        if self._take("("):
            predicate = self._expression()
            if not self._take(")"):
                raise self._error("a missing ')'", len(self._text))
            return predicate
        return self._restriction()

    def _restriction(self) -> Predicate:
        left = self._operand()
        operator = self._peek()
        if operator is None or operator.kind != "operator" or operator.text not in COMPARISONS:
            return self._search(left)
        self._next += 1
        path = _path(left)
        if self._language.fields and path[0] not in self._language.fields:
            raise self._error(
                f"unknown field {left.text!r} (known: {', '.join(sorted(self._language.fields))})",
                left.position,
            )
        right = self._operand()
        return self._comparison(path, operator.text, right)

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
        if self._language.fields:
            raise self._error(f"no comparison after {token.text!r}", token.position)
        wanted = _unquote(token.text).lower()
        return lambda document: any(wanted in text.lower() for text in _texts(document))

    def _comparison(self, path: list[str], operator: str, right: Token) -> Predicate:
        wanted = _unquote(right.text)
        key = self._key(path, right)
        if operator in ("=~", "!~"):
            try:
                pattern = re.compile(wanted)
            except (re.error, OverflowError, RecursionError) as error:
                raise self._error(f"no regular expression: {error}", right.position) from error
            return lambda document: (
                isinstance(value := _at(document, path), str)
                and (pattern.search(value) is not None) == (operator == "=~")
            )
        if operator == ":" and (key is _same or wanted == "*"):
            return lambda document: _has(_at(document, path), wanted)
        target = key(wanted)
        folded = self._language.ignore_case
        if folded and isinstance(target, str):
            target = target.lower()
        if operator == "=" and "*" not in wanted and (key is _same or isinstance(target, int)):
            self._required.append((".".join(path), wanted))
        elif operator in (">", ">=") and isinstance(target, datetime):
            self._required.append((".".join(path), target))
        compare = _COMPARE[operator]

        def matches(document: Mapping[str, Any]) -> bool:
            value = _at(document, path)
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

    def _key(self, path: list[str], right: Token) -> Callable[[Any], Any]:
        """How values of a field are ordered: names by rank, timestamps by time, numbers as such."""
        name = path[0]
        ranks = self._language.ranks.get(name)
        if ranks is not None:

            def rank(value: Any) -> int:
                if value not in ranks:
                    raise self._error(
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
                    raise self._error(f"no RFC 3339 timestamp {value!r}", right.position) from error

            return time
        if right.kind == "word" and re.fullmatch(r"-?\d+(\.\d+)?", right.text):
            return lambda value: float(value) if _is_number(value) else value
        return _same


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, target: (
        fnmatchcase(value, _literal(target))
        if isinstance(target, str) and "*" in target
        else value == target
    ),
    ":": lambda value, target: value == target,
    "!=": lambda value, target: value != target,
    "<": lambda value, target: value < target,
    "<=": lambda value, target: value <= target,
    ">": lambda value, target: value > target,
    ">=": lambda value, target: value >= target,
}


def _same(value: Any) -> Any:
    return value


def _is_number(value: Any) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", str(value)) is not None


def _literal(pattern: str) -> str:
    """Leaves `*` as the only wildcard of `fnmatch`."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def _unquote(text: str) -> str:
    if text[0] in "\"'":
        text = text[1:-1]
    return re.sub(r"\\(.)", r"\1", text)


def _path(token: Token) -> list[str]:
    """Reads a field's path: fields in camel or snake case, the keys of a map as they are."""
    parts = [_unquote(part) for part in PART.findall(token.text)] or [token.text]
    fields = next((i for i, part in enumerate(parts) if part in MAPS), len(parts))
    return [camel(part) for part in parts[:fields]] + parts[fields:]


def _at(document: Mapping[str, Any], path: list[str]) -> Any:
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


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for part in value.values() for text in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    return [str(value)]
