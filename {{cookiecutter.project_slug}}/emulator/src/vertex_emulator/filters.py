"""The filter language of Google's list methods and of Cloud Logging.

Source: https://google.aip.dev/160 (grammar; `OR` binds tighter than `AND`),
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs/list and
https://cloud.google.com/logging/docs/view/logging-query-language. A filter becomes one predicate
on a JSON document:

    wanted = parse('display_name="flights" AND NOT state="JOB_STATE_FAILED"', JOBS)
    [job for job in jobs if wanted.matches(job)]
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from vertex_emulator.errors import ApiError, invalid_argument
from vertex_emulator.names import camel
from vertex_emulator.patterns import compile_pattern, wildcards

Predicate = Callable[[Mapping[str, Any]], bool]

SPACE = re.compile(r"\s*")
SPACE_AND_COMMENTS = re.compile(r"(?:\s|--[^\n]*)*")
TOKEN = re.compile(
    r"""(?:
        (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator><=|>=|!=|=~|!~|[=<>:()])
      | (?P<minus>-(?=[^\s\d]))
      | (?P<word>(?:[^\s"'=<>!:()\\]|\\.|(?<=\.)"(?:[^"\\]|\\.)*")+)
    )""",
    re.VERBOSE,
)
PART = re.compile(r'"(?:[^"\\]|\\.)*"|(?:[^".\\]|\\.)+')  # of a path: labels."a key"
COMPARISONS = {"=", "!=", "<", "<=", ">", ">=", ":", "=~", "!~"}
MAPS = {"labels", "jsonPayload", "metadata"}  # fields whose keys are the user's own
MAX_LENGTH = 20_000
MAX_DEPTH = 50


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
    functions: Mapping[str, "Function"] = field(default_factory=dict)
    searches: bool = False


@dataclass(frozen=True)
class Token:
    """A piece of a filter: its kind (a group name of `TOKEN`), its text, and where it begins."""

    kind: str
    text: str
    position: int

    @property
    def value(self) -> str:
        """The text without quotes and backslashes."""
        return _unquote(self.text)

    @property
    def path(self) -> list[str]:
        """The text as a field's path."""
        return _path(self)

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.position + len(self.text)


# Makes a predicate of a function's arguments. Raises ValueError with what it expects.
Function = Callable[[list[Token]], Predicate]


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
        self._tokens = self._tokenize(text)
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

    def _tokenize(self, text: str) -> list[Token]:
        tokens = []
        space = SPACE_AND_COMMENTS if self._language.comments else SPACE
        position = _end(space, text, 0)
        while position < len(text):
            match = TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self._error("an unfinished or unknown sign", position)
            tokens.append(
                Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
            )
            position = _end(space, text, match.end())
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
            return self._comparison(path, operator.text, self._operand())

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
        wanted = _unquote(token.text).lower()
        return lambda document: any(wanted in text.lower() for text in texts(document))

    def _comparison(self, path: list[str], operator: str, right: Token) -> Predicate:
        wanted = _unquote(right.text)
        key = self._key(path, right)
        self._needed.append(self._condition(path, operator, key, wanted))
        if operator in ("=~", "!~"):
            pattern = compile_pattern(wanted, f"filter: {right.text[:200]} after {operator}")
            return lambda document: (
                isinstance(value := at(document, path), str)
                and (pattern.search(value) is not None) == (operator == "=~")
            )
        if operator == ":" and (key is _same or wanted == "*"):
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

    def _condition(
        self, path: list[str], operator: str, key: Callable[[Any], Any], wanted: str
    ) -> Condition:
        """Returns what an index may look up of a comparison."""
        name = ".".join(path)
        if operator == ":":
            return Comparison(name, ":", wanted) if key is _same or wanted == "*" else OPAQUE
        if operator in ("=~", "!~"):
            return Comparison(name, "regexp" if operator == "=~" else "not regexp", wanted)
        target = key(wanted)
        if isinstance(target, datetime):
            return Comparison(name, operator, target)
        if operator not in ("=", "!=") or (key is not _same and not isinstance(target, int)):
            return OPAQUE
        like = {"=": "~", "!=": "!~"}[operator]
        return Comparison(name, like if "*" in wanted else operator, wanted)

    def _key(self, path: list[str], right: Token) -> Callable[[Any], Any]:
        """How values of a field are ordered: names by rank, timestamps by time, numbers as such."""
        name = path[0]
        ranks = self._language.ranks.get(name)
        if ranks is not None:

            def rank(value: Any) -> int:
                if self._language.ignore_case:
                    value = str(value).upper()
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
                    raise self._error(
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


def _end(space: re.Pattern[str], text: str, position: int) -> int:
    """Where what separates tokens ends."""
    found = space.match(text, position)
    return found.end() if found else position


def _same(value: Any) -> Any:
    return value


def _is_number(value: Any) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", str(value)) is not None


def _unquote(text: str) -> str:
    if text[0] in "\"'":
        text = text[1:-1]
    return re.sub(r"\\(.)", r"\1", text)


def _path(token: Token) -> list[str]:
    """Reads a field's path: fields in camel or snake case, the keys of a map as they are."""
    parts = [_unquote(part) for part in PART.findall(token.text)] or [token.text]
    fields = next((i for i, part in enumerate(parts) if part in MAPS), len(parts))
    return [camel(part) for part in parts[:fields]] + parts[fields:]


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
