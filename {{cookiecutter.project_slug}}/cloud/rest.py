"""One call of a REST API of Google Cloud, where its client library would bring too much along."""

from typing import Any

import requests

from cloud.client import Client
from cloud.errors import UserError


def call(
    client: Client,
    method: str,
    service: str,
    path: str,
    body: Any = None,
    *,
    query: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Calls a method and returns its answer.

    Args:
        client: of the target.
        method: of HTTP.
        service: name of the API, such as `logging`.
        path: below the API's address, with its version.
        body: what is sent as JSON.
        query: parameters.

    Raises:
        UserError: the API refuses, with its own message, or does not answer.
    """
    found = find(client, method, service, path, body, query=query)
    if found is None:
        raise UserError(f"{service}: there is no {path}.")
    return found


def find(
    client: Client,
    method: str,
    service: str,
    path: str,
    body: Any = None,
    *,
    query: dict[str, str] | None = None,
) -> dict[str, Any] | None:
    """Calls a method as `call` does; returns None where the resource does not exist (404)."""
    url = f"{client.api_url(service)}/{path}"
    try:
        response = client.session.request(method, url, json=body, params=query)
    except requests.RequestException as error:
        raise UserError(f"{service} does not answer: {error}") from error
    if response.status_code == 404:
        return None
    try:
        answer: dict[str, Any] = response.json() if response.content else {}
    except ValueError as error:
        raise UserError(
            f"{service} answered {response.status_code} with something else than JSON:"
            f" {response.text[:200]!r}."
        ) from error
    if response.status_code >= 400:
        raise UserError(f"{service}: {answer['error']['message']}")
    return answer
