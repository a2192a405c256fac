"""Pages of a list, as every Google list method gives them (https://google.aip.dev/158).

A page token holds the position of the last item of its page, not a count: it stays valid when new
items come before it, or old ones go.
"""

import base64
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vertex_emulator.errors import invalid_argument

Position = tuple[str, int]  # what the list is ordered by, and a number that tells equals apart


@dataclass(frozen=True)
class Window:
    """The part of a list that a request asks for.

    Attributes:
        size: items on the page at the most.
        after: position of the last item of the page before; None for the first page.
    """

    size: int
    after: Position | None


def window(size: int | str, token: str | None, max_size: int) -> Window:
    """Reads `pageSize` and `pageToken`.

    Args:
        size: items on a page; 0 takes `max_size`.
        token: `nextPageToken` of the page before, or nothing for the first.
        max_size: items on a page at most.

    Raises:
        ApiError: 400 INVALID_ARGUMENT for a negative size or a token that no list gave.
    """
    try:
        count = int(size)
    except (TypeError, ValueError) as error:
        raise invalid_argument(f"pageSize: expected a whole number, got {size!r}.") from error
    if count < 0:
        raise invalid_argument(f"pageSize: expected 0 or more, got {count}.")
    return Window(min(count or max_size, max_size), _decode(token) if token else None)


def page(key: str, items: Iterable[tuple[Position, Any]], wanted: Window) -> dict[str, Any]:
    """Returns one page under `key`, with `nextPageToken` where more follow.

    Args:
        key: the field that holds the items.
        items: what follows `wanted.after`, each with its position; read no further than needed.
        wanted: the part to return.
    """
    found = list(itertools.islice(items, wanted.size + 1))
    kept = found[: wanted.size]
    answer: dict[str, Any] = {key: [item for _position, item in kept]}
    if len(found) > len(kept):
        position = json.dumps(kept[-1][0]).encode()
        answer["nextPageToken"] = base64.urlsafe_b64encode(position).decode()
    return answer


def _decode(token: str) -> Position:
    try:
        text, number = json.loads(base64.urlsafe_b64decode(token))
    except (TypeError, ValueError, RecursionError):
        text, number = None, None
    if not isinstance(text, str) or type(number) is not int or abs(number) >= 2**63:
        raise invalid_argument(
            f"pageToken: expected the nextPageToken of an earlier answer, got {token!r}."
        )
    return text, number
