"""Reading request bodies within bounds."""

from typing import Any

import orjson
from starlette.requests import Request

from emulator.errors import ApiError, invalid_argument

MOST_BYTES = 10 * 1024 * 1024


async def json_body(request: Request) -> Any:
    """Returns the decoded JSON body; an empty body is an empty object.

    Raises:
        ApiError: 400 INVALID_ARGUMENT where the body is no JSON; 413 where it is too large.
    """
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise ApiError(
                413, "INVALID_ARGUMENT", f"Expected a body of at most {MOST_BYTES} bytes."
            )
    if not size:
        return {}
    try:
        return orjson.loads(b"".join(parts))
    except orjson.JSONDecodeError as error:
        raise invalid_argument(f"Expected a JSON body: {error}.") from error


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
