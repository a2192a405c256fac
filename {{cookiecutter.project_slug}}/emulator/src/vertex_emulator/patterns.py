"""Patterns that come with a request, in an engine that no pattern can make slow.

RE2 takes time that grows with the text's length alone, and is what Google's own services mean by a
regular expression: https://github.com/google/re2/wiki/Syntax.
"""

import functools
import re
from collections.abc import Callable
from typing import Protocol

import re2

from vertex_emulator.errors import invalid_argument

MAX_LENGTH = 4_096  # characters of a pattern
# Instructions of a program. Of a larger one a `Set` may run out of memory, and say no for that.
MAX_SET_SIZE = 1_000
# The pieces of a pattern, as far as they tell text that every match contains. What has another
# meaning than these, such as (?i), \Q or \x41, is not among them.
PIECE = re.compile(
    r"""(?:
        (?P<literal>[^\\.^$*+?()\[\]{}|]|\\[^a-zA-Z0-9])
      | (?P<any>\.|\^|\$|\\[dDsSwWbBAz]|\[\^?\]?+(?:\[:\^?\w+:\]|\\[^QE]|[^\]\\\[])*\])
      | (?P<once>\+\??(?![*+?{]))
      | (?P<maybe>[*?]\??|\{\d+(?:,\d*)?\}\??)
      | (?P<open>\((?!\?))
      | (?P<close>\))
    )""",
    re.VERBOSE,
)

_QUIET = re2.Options()
_QUIET.log_errors = False  # what is wrong is in the answer


class Pattern(Protocol):
    """A compiled pattern, as `re.Pattern`.

    Attributes:
        programsize: how many instructions it has.
    """

    programsize: int

    def search(self, text: str) -> object | None:
        """Returns the first match in a text, or None."""

    def fullmatch(self, text: str) -> object | None:
        """Returns the match of a whole text, or None."""


def compile_pattern(pattern: str, where: str) -> Pattern:
    """Compiles a regular expression.

    Args:
        pattern: in RE2's syntax.
        where: names the pattern in an error.

    Raises:
        ApiError: 400 INVALID_ARGUMENT where it is too long, or none.
    """
    if len(pattern) > MAX_LENGTH:
        raise invalid_argument(
            f"{where}: expected a pattern of at most {MAX_LENGTH} characters, got {len(pattern)}."
        )
    try:
        compiled: Pattern = re2.compile(pattern, _QUIET)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise invalid_argument(
            f"{where}: {pattern[:200]!r} is not a valid pattern: {text}."
        ) from error
    return compiled


@functools.lru_cache(256)
def wildcards(text: str) -> Pattern:
    """Compiles a text in which `*` stands for any characters and all else for itself."""
    return compile_pattern("(?s)" + ".*".join(map(re2.escape, text.split("*"))), "filter")


def has_match(pattern: str, text: str | None) -> bool:
    """Whether a text has a match; SQLite's `REGEXP` calls this for each row."""
    return text is not None and bool(_matcher(pattern)(text))


@functools.lru_cache(256)
def _matcher(pattern: str) -> Callable[[str], object]:
    """Returns what tells whether a text has a match: a set of one takes half the time."""
    compiled = compile_pattern(pattern, "filter")
    if compiled.programsize > MAX_SET_SIZE:
        return compiled.search
    alone = re2.Set.SearchSet(_QUIET)
    alone.Add(pattern)
    alone.Compile()
    match: Callable[[str], object] = alone.Match  # returns [0], or None
    return match


def text_in(pattern: str) -> str:
    """Returns the longest text that every match of a pattern contains; "" where none is known."""
    runs, depth, place = [""], 0, 0
    while place < len(pattern):
        piece = PIECE.match(pattern, place)
        if piece is None:
            return ""
        place = piece.end()
        if piece["literal"] and not depth:
            runs[-1] += piece["literal"][-1]
            continue
        if piece["maybe"]:
            runs[-1] = runs[-1][:-1]
        depth += bool(piece["open"]) - bool(piece["close"])
        runs.append("")
    return max(runs, key=len)
