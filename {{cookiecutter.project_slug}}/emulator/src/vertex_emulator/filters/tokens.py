"""The pieces of a filter, and the paths of fields among them."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from vertex_emulator.errors import ApiError
from vertex_emulator.names import camel

# Makes an error of what is wrong and the position of its first character.
Complain = Callable[[str, int], ApiError]

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
MAPS = {"labels", "jsonPayload", "metadata"}  # fields whose keys are the user's own


@dataclass(frozen=True)
class Token:
    """A piece of a filter: its kind (a group name of `TOKEN`), its text, and where it begins."""

    kind: str
    text: str
    position: int

    @property
    def value(self) -> str:
        """The text without quotes and backslashes."""
        return unquote(self.text)

    @property
    def path(self) -> list[str]:
        """The text as a field's path."""
        return _path(self)

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.position + len(self.text)


def tokenize(text: str, comments: bool, complain: Complain) -> list[Token]:
    """Cuts a filter into its pieces.

    Raises:
        ApiError: 400 INVALID_ARGUMENT, as `complain` makes it.
    """
    tokens = []
    space = SPACE_AND_COMMENTS if comments else SPACE
    position = _end(space, text, 0)
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise complain("an unfinished or unknown sign", position)
        kind = match.lastgroup
        tokens.append(Token(kind, match.group(kind), match.start(kind)))
        position = _end(space, text, match.end())
    return tokens


def unquote(text: str) -> str:
    """Returns a text without its quotes and backslashes."""
    if text[0] in "\"'":
        text = text[1:-1]
    return re.sub(r"\\(.)", r"\1", text)


def _end(space: re.Pattern[str], text: str, position: int) -> int:
    """Where what separates tokens ends."""
    found = space.match(text, position)
    return found.end() if found else position


def _path(token: Token) -> list[str]:
    """Reads a field's path: fields in camel or snake case, the keys of a map as they are."""
    parts = [unquote(part) for part in PART.findall(token.text)] or [token.text]
    fields = next((i for i, part in enumerate(parts) if part in MAPS), len(parts))
    return [camel(part) for part in parts[:fields]] + parts[fields:]
