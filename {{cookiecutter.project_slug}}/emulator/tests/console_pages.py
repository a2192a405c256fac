"""Pages of the console, as a browser asks for them, and what a client makes for them to show."""

import re
from typing import Any

import requests

from vertex_emulator.testing.clients import Clients

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def page(clients: Clients, path: str, status: int = 200) -> str:
    answer = requests.get(f"{clients.url}{path}", headers={"accept": BROWSER}, timeout=60)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    return answer.text


def token(text: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', text)
    assert found is not None
    return found[1]


def post(clients: Clients, path: str, body: Any) -> Any:
    answer = requests.post(f"{clients.url}/v1/{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()
