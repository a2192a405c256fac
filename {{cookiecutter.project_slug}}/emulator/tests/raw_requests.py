"""Requests as they are written, which clients would tidy."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from vertex_emulator.testing.clients import Clients


def ask(
    clients: Clients, path: str, method: str = "GET", body: bytes = b"", headers: Any = None
) -> tuple[int, dict[str, Any]]:
    """Sends a request as it is: clients would change its Host and tidy its path."""
    connection = http.client.HTTPConnection(urlsplit(clients.url).netloc, timeout=60)
    connection.request(method, path, body, headers or {})
    with connection.getresponse() as answer:
        content = answer.read()
    connection.close()
    return answer.status, json.loads(content)
