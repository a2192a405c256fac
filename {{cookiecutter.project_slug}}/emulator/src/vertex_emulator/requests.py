"""Reading request bodies within bounds."""

from typing import Any

import orjson
from starlette.requests import Request

from vertex_emulator.errors import invalid_argument, too_large

MAX_BYTES = 10 * 1024 * 1024


async def json_body(request: Request) -> Any:
    """Returns the decoded JSON body; an empty body is an empty object.

    Raises:
        ApiError: 400 INVALID_ARGUMENT where the body is no JSON; 413 where it is too large.
    """
    body = await limited_body(request, MAX_BYTES, "send less at a time")
    if not body:
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid_argument(f"Expected a JSON body: {error}.") from error


async def limited_body(request: Request, max_bytes: int, remedy: str) -> bytes:
    """Returns a request's body. Raises ApiError 413 with the remedy past `max_bytes`."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise too_large(f"Expected a body of at most {max_bytes} bytes; {remedy}.")
    return b"".join(parts)


def kind_of(value: Any) -> str:
    """Names the kind of a JSON value, for a message to the person who sent another."""
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        type(None): "nothing",
    }
    return names.get(type(value), "a number")
