"""The part of an answer that a request asks for: `fields` of Google's JSON APIs, and `readMask`.

Sources: https://cloud.google.com/storage/docs/json_api#partial-response and
https://protobuf.dev/reference/protobuf/google.protobuf/#field-mask.
"""

import re
from collections.abc import Iterable
from typing import Any

from vertex_emulator import errors

Path = list[str]  # the names from the top to a field
# What to keep below each name; None keeps everything.
Mask = dict[str, "Mask"] | None

_MAX_DEPTH = 50  # of parentheses and slashes
_TOKEN = re.compile(r"[^\s,/()]+|[,/()]")


def select(document: dict[str, Any], fields: str) -> dict[str, Any]:
    """Returns the part of a document that a mask such as `items(name,size),nextPageToken` names.

    Raises:
        ApiError: 400 when the mask is malformed.
    """
    tokens = _TOKEN.findall(fields)
    _check_depth(tokens)
    paths = _parse_list(tokens, fields)
    if tokens:
        raise _malformed(fields)
    return keep(document, paths)


def keep(document: dict[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """Returns what lies at some paths of a document; they go into each item of a list.

    `*` in a path stands for every name. What a path does not find is left out.
    """
    kept: dict[str, Any] = _apply(document, _mask(paths))
    return kept


def _check_depth(tokens: list[str]) -> None:
    depth = deepest = 0
    for token in tokens:
        depth += {"(": 1, "/": 1, ")": -1, ",": 0}.get(token, 0)
        deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        raise errors.invalid_argument(f"fields: expected at most {_MAX_DEPTH} levels.")


def _parse_list(tokens: list[str], fields: str) -> list[Path]:
    paths = _parse_path(tokens, fields)
    while tokens and tokens[0] == ",":
        tokens.pop(0)
        paths += _parse_path(tokens, fields)
    return paths


def _parse_path(tokens: list[str], fields: str) -> list[Path]:
    if not tokens or tokens[0] in ",/()":
        raise _malformed(fields)
    name = tokens.pop(0)
    below: list[Path] = [[]]
    if tokens and tokens[0] == "/":
        tokens.pop(0)
        below = _parse_path(tokens, fields)
    elif tokens and tokens[0] == "(":
        tokens.pop(0)
        below = _parse_list(tokens, fields)
        if not tokens or tokens.pop(0) != ")":
            raise _malformed(fields)
    return [[name, *rest] for rest in below]


def _mask(paths: Iterable[Path]) -> Mask:
    mask: dict[str, Mask] = {}
    for *parents, last in paths:
        at = mask
        for name in parents:
            below = at.setdefault(name, {})
            if below is None:  # another path keeps all of it
                break
            at = below
        else:
            at[last] = None
    return mask


def _apply(value: Any, mask: Mask) -> Any:
    if mask is None:
        return value
    if isinstance(value, list):
        return [_apply(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _apply(item, mask[name] if name in mask else mask["*"])
        for name, item in value.items()
        if name in mask or "*" in mask
    }


def _malformed(fields: str) -> errors.ApiError:
    return errors.invalid_argument(
        f"Expected fields to be a mask such as items(name,size), got {fields!r}."
    )
