"""Which names a listing of objects shows: prefix, delimiter, offsets, glob and page."""

import base64
import binascii
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import re2

from vertex_emulator import errors
from vertex_emulator.patterns import Pattern, compile_pattern


class Named(Protocol):
    """Anything that a listing can show."""

    @property
    def name(self) -> str: ...


Item = TypeVar("Item", bound=Named)
# Yields items with lower <= name < upper (no upper bound when None) in order of name.
Scan = Callable[[str, str | None], Generator[Item]]


@dataclass(frozen=True)
class Listing:
    """What to list; the names are those of the JSON API's `objects.list`.

    Attributes:
        prefix: only names that begin so.
        delimiter: names that hold it past the prefix are folded into one prefix; "" folds none.
        start_offset: only names >= this.
        end_offset: only names < this; "" is no bound.
        match_glob: only names and prefixes that match; "" matches all.
        include_trailing_delimiter: show an object whose name is itself a folded prefix.
        page_size: items and prefixes a page, at most.
        page_token: where the page before ended, or "".
    """

    prefix: str = ""
    delimiter: str = ""
    start_offset: str = ""
    end_offset: str = ""
    match_glob: str = ""
    include_trailing_delimiter: bool = False
    page_size: int = 1000
    page_token: str = ""


@dataclass
class Page(Generic[Item]):
    """One page of a listing; on the last, `next_page_token` is "" and nothing is `following`."""

    items: list[Item] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_page_token: str = ""
    following: Item | None = None


def successor(prefix: str) -> str | None:
    """Returns the least string above all that begin with the prefix; None when there is none.

    Order is by code point, which is also the order of UTF-8 bytes that SQLite compares by.
    """
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            # Surrogates have no UTF-8 form: what follows U+D7FF is U+E000.
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return None


def page(scan: Scan[Item], listing: Listing) -> Page[Item]:
    """Collects one page.

    Each folded prefix costs one seek, however many names lie under it.

    Raises:
        ApiError: 400 when the page token or the glob is malformed.
    """
    matches = glob_pattern(listing.match_glob) if listing.match_glob else None
    position: str | None = max(
        listing.prefix, listing.start_offset, decode_token(listing.page_token)
    )
    upper = _least(listing.end_offset or None, successor(listing.prefix))
    result: Page[Item] = Page()
    while position is not None and (upper is None or position < upper):
        with closing(scan(position, upper)) as items:
            position = _collect(items, listing, matches, result)
        if result.next_page_token:
            break
    return result


def _collect(
    items: Iterator[Item],
    listing: Listing,
    matches: Pattern | None,
    result: Page[Item],
) -> str | None:
    """Adds items to the page; returns where to seek next, or None at the end of the names."""
    for item in items:
        if len(result.items) + len(result.prefixes) >= listing.page_size:
            result.next_page_token = _encode_token(item.name)
            result.following = item
            return None
        folded = _folded(item.name, listing)
        if folded is None:
            if matches is None or matches.fullmatch(item.name):
                result.items.append(item)
            continue
        if matches is None or matches.fullmatch(folded):
            result.prefixes.append(folded)
            if listing.include_trailing_delimiter and item.name == folded:
                result.items.append(item)
        return successor(folded)
    return None


def _folded(name: str, listing: Listing) -> str | None:
    if not listing.delimiter:
        return None
    cut = name.find(listing.delimiter, len(listing.prefix))
    return None if cut < 0 else name[: cut + len(listing.delimiter)]


def _least(*bounds: str | None) -> str | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def _encode_token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def decode_token(token: str) -> str:
    """Returns the name that a page begins with; "" for no token. Raises ApiError 400."""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise errors.invalid_argument(
            f"Expected pageToken to be a nextPageToken of an earlier answer, got {token!r}."
        ) from error


def glob_pattern(glob: str) -> Pattern:
    """Translates a `matchGlob`.

    `*` and `?` stop at a slash, `**` does not, `**/` stands for any number of folders, `[a-z]`
    and `[!a-z]` are sets, `{a,b}` alternatives, and a backslash takes the next character as it is.
    Source: https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-object-glob

    Raises:
        ApiError: 400 when a bracket or a brace is not closed, or braces nest too deep.
    """
    pieces = ["(?s)"]
    depth = 0
    for token in _GLOB_TOKEN.finditer(glob):
        text = token.group()
        if token.lastgroup == "folders":
            pieces.append("(?:.*/)?" if _at_folder_start(glob, token.start()) else ".*/")
        elif token.lastgroup == "set":
            pieces.append(_set(text[1:-1]))
        elif token.lastgroup == "escaped":
            pieces.append(re2.escape(text[1]))
        elif text == "{":
            depth += 1
            if depth > _MAX_BRACES:
                raise errors.invalid_argument(
                    f"matchGlob: expected at most {_MAX_BRACES} nested braces."
                )
            pieces.append("(?:")
        elif text == "}" and depth:
            depth -= 1
            pieces.append(")")
        elif text == "," and depth:
            pieces.append("|")
        else:
            pieces.append(_GLOB_WILDCARDS.get(text) or re2.escape(text))
    return compile_pattern("".join(pieces), "matchGlob")


_GLOB_TOKEN = re.compile(
    r"(?P<folders>\*\*/)|\*\*|(?P<set>\[[!^]?[^]]+\])|(?P<escaped>\\.)|.", re.DOTALL
)
_SET_MEMBER = re.compile(r"(.)-(.)|(.)", re.DOTALL)
_MAX_BRACES = 50
_GLOB_WILDCARDS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


def _set(members: str) -> str:
    """Translates what stands between brackets; no set holds a slash."""
    inverted = members[0] in "!^"
    ranges = []
    for member in _SET_MEMBER.finditer(members[inverted:]):
        first, last, single = member.groups()
        ranges.append((ord(single or first), ord(single or last)))
        if ranges[-1][0] > ranges[-1][1]:
            raise errors.invalid_argument(
                f"matchGlob: expected an ascending range, got {member[0]!r}."
            )
    slash = ord("/")
    if inverted:
        ranges.append((slash, slash))
    else:
        below = [(first, min(last, slash - 1)) for first, last in ranges]
        above = [(max(first, slash + 1), last) for first, last in ranges]
        ranges = [(first, last) for first, last in below + above if first <= last]
        if not ranges:
            return r"[^\x00-\x{10FFFF}]"  # matches nothing
    text = "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in ranges)
    return f"[{'^' if inverted else ''}{text}]"


def _at_folder_start(glob: str, position: int) -> bool:
    return position == 0 or glob[position - 1] in "/{,"
