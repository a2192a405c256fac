"""Changes of resources that have etags, which keep one client from undoing what another did."""

import time
from collections.abc import Iterable

from vertex_emulator.errors import conflict, invalid_argument
from vertex_emulator.state.documents import Document
from vertex_emulator.times import now
from vertex_emulator.vertex.resources import mask_fields


def first(document: Document) -> Document:
    """Returns a new resource with its etag and times."""
    moment = now()
    return document | {"etag": _number(), "createTime": moment, "updateTime": moment}


def fields_to_change(mask: str | None, given: Document, changeable: Iterable[str]) -> list[str]:
    """Returns what a PATCH changes: the fields of the mask, or else all that it gives.

    Raises:
        ApiError: 400 INVALID_ARGUMENT where the mask names another field than those.
    """
    if mask:
        return mask_fields(mask, changeable)
    return [field for field in changeable if field in given]


def check_etag(kind: str, given: Document, stored: Document) -> None:
    """Refuses a change of an older state of a resource; one without an etag is of any.

    Args:
        kind: of the resource, such as `Context`.
        given: the resource in the request.
        stored: the resource as it is.

    Raises:
        ApiError: 409 ABORTED, in the words that the SDK's `Context.update` looks for.
    """
    etag = given.get("etag")
    if etag and etag != stored["etag"]:
        raise conflict(
            f"Specified {kind} `etag`: `{etag}` does not match server `etag`: `{stored['etag']}`;"
            " read it again, and change that."
        )


def check_immutable(given: Document, stored: Document, fields: Iterable[str]) -> None:
    """Refuses another value of a field that never changes.

    Raises:
        ApiError: 400 INVALID_ARGUMENT.
    """
    for field in fields:
        if given.get(field, stored.get(field)) != stored.get(field):
            raise invalid_argument(
                f"{field}: it cannot change from {stored.get(field)!r} to {given[field]!r}."
            )


def replace(document: Document, given: Document, fields: Iterable[str]) -> None:
    """Gives fields of a document the request's values; what the request leaves out goes."""
    for field in fields:
        document.pop(field, None)
        if field in given:
            document[field] = given[field]
    stamp(document)


def stamp(document: Document) -> None:
    """Says that a document has changed; its etag grows, as the SDK compares etags."""
    document |= {"updateTime": now(), "etag": str(max(int(document["etag"]) + 1, int(_number())))}


def _number() -> str:
    return str(time.time_ns() // 1_000_000)
