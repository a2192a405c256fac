"""Patterns that come with a request, in an engine that no pattern can make slow.

RE2 takes time that grows with the text's length alone, and is what Google's own services mean by a
regular expression: https://github.com/google/re2/wiki/Syntax.
"""

import functools
from typing import Protocol

import re2

from vertex_emulator.errors import invalid_argument

MAX_LENGTH = 4_096  # characters of a pattern

_QUIET = re2.Options()
_QUIET.log_errors = False  # what is wrong is in the answer


class Pattern(Protocol):
    """A compiled pattern, as `re.Pattern`."""

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
    return text is not None and _compiled(pattern).search(text) is not None


@functools.lru_cache(256)
def _compiled(pattern: str) -> Pattern:
    return compile_pattern(pattern, "filter")
