"""Partial responses: the `fields` parameter of Google's JSON APIs.

Source: https://cloud.google.com/storage/docs/json_api#partial-response
"""

import re
from typing import Any

from vertex_emulator import errors

# What to keep below each name; an empty mask keeps everything.
Mask = dict[str, "Mask"]

_MAX_DEPTH = 50  # of parentheses and slashes
_TOKEN = re.compile(r"[^\s,/()]+|[,/()]")


def select(document: dict[str, Any], fields: str) -> dict[str, Any]:
    """Returns the part of a document that a mask such as `items(name,size),nextPageToken` names.

    Raises:
        ApiError: 400 when the mask is malformed.
    """
    tokens = _TOKEN.findall(fields)
    _check_depth(tokens)
    mask = _parse_list(tokens, fields)
    if tokens:
        raise _malformed(fields)
    kept: dict[str, Any] = _apply(document, mask)
    return kept


def _check_depth(tokens: list[str]) -> None:
    depth = deepest = 0
    for token in tokens:
        depth += {"(": 1, "/": 1, ")": -1, ",": 0}.get(token, 0)
        deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        raise errors.invalid_argument(f"fields: expected at most {_MAX_DEPTH} levels.")


def _parse_list(tokens: list[str], fields: str) -> Mask:
    mask: Mask = {}
    while True:
        _parse_path(tokens, mask, fields)
        if not tokens or tokens[0] != ",":
            return mask
        tokens.pop(0)


def _parse_path(tokens: list[str], mask: Mask, fields: str) -> None:
    if not tokens or tokens[0] in ",/()":
        raise _malformed(fields)
    name = tokens.pop(0)
    below = mask.setdefault(name, {})
    if tokens and tokens[0] == "/":
        tokens.pop(0)
        _parse_path(tokens, below, fields)
    elif tokens and tokens[0] == "(":
        tokens.pop(0)
        below.update(_parse_list(tokens, fields))
        if not tokens or tokens.pop(0) != ")":
            raise _malformed(fields)


def _apply(value: Any, mask: Mask) -> Any:
    if not mask:
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
