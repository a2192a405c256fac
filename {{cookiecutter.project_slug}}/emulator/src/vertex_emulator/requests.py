"""Reading request bodies within bounds."""

from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request

from vertex_emulator.errors import ApiError, from_http_status, invalid_argument, too_large
from vertex_emulator.http import encoding
from vertex_emulator.http.errors import RequestError

MAX_BYTES = 10 * 1024 * 1024


async def json_body(request: Request) -> Any:
    """Returns the decoded JSON body; an empty body is an empty object.

    Raises:
        ApiError: 400 INVALID_ARGUMENT where the body is no JSON; 413 where it is too large.
    """
    body = await limited_body(request, MAX_BYTES, _too_large)
    if not body:
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid_argument(f"Expected a JSON body: {error}.") from error


def _too_large(_size: int) -> ApiError:
    return too_large(f"Expected a body of at most {MAX_BYTES} bytes; send less at a time.")


async def limited_body(
    request: Request, max_bytes: int, error_of: Callable[[int], ApiError]
) -> bytes:
    """Returns a request's body, unpacked where it came compressed.

    Args:
        request: whose body is not read yet.
        max_bytes: of the body, packed and unpacked.
        error_of: returns the error of a body that has more; its argument is the size so far.

    Raises:
        ApiError: that of `error_of`; 400 for a body that does not unpack; 415 for one that is
            compressed otherwise than with gzip.
    """
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise error_of(size)
    body = b"".join(parts)
    try:
        if not body or encoding.is_plain(request.headers.get("content-encoding", "")):
            return body
        unpacked = encoding.unpack(body, max_bytes)
    except RequestError as error:
        raise from_http_status(error.status, f"{error.message}.") from None
    if unpacked is None:
        raise error_of(max_bytes + 1)
    return unpacked


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
