"""load: requests are due by the clock, and each outcome is counted."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from cloud.serving import load
from cloud.serving.load import Load, Measured

AT_ONCE = 5


class Endpoint(BaseHTTPRequestHandler):
    """Answers nobody before several have asked; refuses what asks for it."""

    protocol_version = "HTTP/1.1"
    arrived = threading.Barrier(AT_ONCE)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.arrived.wait(60)
        number = body["instances"][0]
        status = 429 if number == 2 else 200
        answer: dict[str, Any] = {"predictions": [], "modelVersionId": str(1 + number % 2)}
        if status == 429:
            answer = {"error": {"message": "not ready"}}
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_parts: object) -> None:
        """Says nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/predict"
    server.shutdown()
    server.server_close()


def test_requests_do_not_wait_for_answers(url: str) -> None:
    """A closed loop would wait for ever: nobody is answered before all have asked."""
    client: Any = SimpleNamespace(session=requests.Session())
    measured = Measured()
    bodies = [{"instances": [number]} for number in range(AT_ONCE)]
    load.run(client, url, Load(rate=1000, seconds=AT_ONCE / 1000, bodies=bodies), measured)
    assert {name: len(found) for name, found in measured.versions().items()} == {"1": 2, "2": 2}
    assert measured.problems == {"429: not ready": 1}


def test_who_does_not_answer_is_counted() -> None:
    client: Any = SimpleNamespace(session=requests.Session())
    measured = Measured()
    load.run(client, "http://127.0.0.1:1/predict", Load(100, 0.03, [{}]), measured)
    assert measured.problems == {"no answer: ConnectionError": 3}


def test_a_quantile_is_a_latency_that_was_measured() -> None:
    seconds = [float(each) for each in range(100, 0, -1)]
    assert [load.quantile(seconds, share) for share in load.QUANTILES.values()] == [50, 95, 99]
    assert load.quantile([7.0], 0.99) == 7
    assert load.quantile([1.0, 2.0, 3.0], 0.5) == 2


def test_the_number_of_requests_follows_rate_and_time() -> None:
    assert Load(20, 60, []).count == 1200
    assert Load(0.1, 1, []).count == 1
