"""A page of a list, as the API's own list method gives it, with its filter and its errors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from vertex_emulator.errors import ApiError
from vertex_emulator.state.documents import Document

A_PAGE = 50


@dataclass(frozen=True)
class Listed:
    """What a list page shows.

    Attributes:
        items: of the page.
        filter: as the person gave it.
        problem: what is wrong with the filter or the page, or "".
        next: token of the page that follows, or "".
        is_first: whether nothing newer is left out.
        status: of HTTP.
    """

    items: list[Document]
    filter: str
    problem: str
    next: str
    is_first: bool
    status: int


def listed(request: Request, key: str, call: Callable[[dict[str, str]], dict[str, Any]]) -> Listed:
    """Asks a list method for the page that a request names.

    Args:
        request: with `filter` and `pageToken` in its query.
        key: field of the answer that holds the items.
        call: the method; its argument is the query.
    """
    condition = request.query_params.get("filter", "").strip()
    token = request.query_params.get("pageToken", "")
    query = {"filter": condition, "pageSize": str(A_PAGE), "pageToken": token}
    try:
        answer = call(query)
    except ApiError as error:
        return Listed([], condition, error.message, "", not token, error.code)
    return Listed(answer[key], condition, "", answer.get("nextPageToken", ""), not token, 200)
