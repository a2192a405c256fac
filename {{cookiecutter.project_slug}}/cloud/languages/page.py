"""A page with a form that asks the endpoint, and the server of this machine that it needs.

A page must hold no credentials, and Vertex AI answers no page of another origin. So the page asks
the server that it comes from, which passes the request on with the credentials of whoever runs it.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jinja2
import requests

from cloud.client import Client
from cloud.console import say
from cloud.errors import UserError
from cloud.languages.fields import GAPS, Field, is_exact_in_javascript

PORT = 8090
FILE = "app.html"
CONTENT_TYPE = "text/html; charset=utf-8"
MOST_BYTES = 10_000_000  # what a dedicated endpoint takes; a shared one takes less
SECONDS = 60  # as a shared endpoint waits for its model
# The page loads nothing of other hosts, and no page of others shows it in a frame.
POLICY = "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
TEMPLATE = Path(__file__).with_name("templates") / f"{FILE}.jinja"


def render(fields: Sequence[Field], outputs: Mapping[str, str], *, model: str, gaps: bool) -> str:
    """Returns the page.

    Args:
        fields: of an instance.
        outputs: what the model answers, each with what it is.
        model: its name.
        gaps: whether a value may be missing, as it may of a table's.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    known = [
        each if is_exact_in_javascript(each) else dataclasses.replace(each, example=None)
        for each in fields
    ]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        model=model,
        fields=list(map(dataclasses.asdict, known)),
        outputs=dict(outputs),
        gaps=GAPS if gaps else {},
        booleans=any(each.type == "boolean" for each in fields),
    )


def serve(client: Client, url: str, page: str, port: int) -> None:
    """Serves the page on loopback until it is interrupted.

    Args:
        client: of the target.
        url: where the endpoint takes predictions.
        page: its text.
        port: 0 for any.

    Raises:
        UserError: the port is not free.
    """
    try:
        server = Server(client, url, page, port)
    except OSError as error:
        raise UserError(
            f"--port: {port} cannot be used ({error.strerror}); give another, or 0 for any."
        ) from error
    with server:
        say(f"The page is at http://127.0.0.1:{server.server_port}/ until Ctrl-C.", "bold")
        server.serve_forever()


class Server(ThreadingHTTPServer):
    """Serves the page, and passes predictions on."""

    daemon_threads = True

    def __init__(self, client: Client, url: str, page: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.client = client
        self.url = url
        self.page = page.encode()
        self.hosts = [f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")]


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        """Answers the page."""
        if self._is_own() and self.path in ("/", f"/{FILE}"):
            self._answer(200, self.server.page, CONTENT_TYPE)
        else:
            self._answer(404, b"There is nothing here.", "text/plain")

    def do_POST(self) -> None:
        """Passes a request for predictions on, and the endpoint's answer back."""
        length = self.headers.get("Content-Length", "")
        is_json = self.headers.get_content_type() == "application/json"
        if not self._is_own() or self.path != "/predict" or not is_json:
            self._refuse(403, "Expected a request of this server's own page for predictions.")
            return
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self._refuse(413, f"Expected a request of up to {MOST_BYTES:,} bytes.")
            return
        body = self.rfile.read(int(length))
        headers = {"Content-Type": "application/json"}
        try:
            found = self.server.client.session.post(
                self.server.url, data=body, headers=headers, timeout=SECONDS
            )
        except requests.RequestException:
            self._refuse(502, f"The endpoint {self.server.url} does not answer.")
            return
        self._answer(found.status_code, found.content, "application/json")

    def _is_own(self) -> bool:
        """Whether the request is of no other site's page, by its names and what browsers send."""
        host = self.headers.get("Host", "")
        return (
            host in self.server.hosts
            and self.headers.get("Origin", f"http://{host}") == f"http://{host}"
            and self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
        )

    def _refuse(self, status: int, message: str) -> None:
        error = {"error": {"code": status, "message": message}}
        self._answer(status, json.dumps(error).encode(), "application/json")

    def _answer(self, status: int, content: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Says nothing of each request."""
