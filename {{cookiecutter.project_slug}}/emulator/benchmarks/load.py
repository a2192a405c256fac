"""Measures what a prediction server answers, in a closed loop or at a fixed rate.

python benchmarks/load.py http://127.0.0.1:8501/v1/models/default:predict request.json

In a closed loop each connection sends the file's content, waits for the whole answer and sends
again. At a fixed rate (`--rate`) requests are due at even intervals, whether earlier ones are
answered or not, and their latency counts from that moment. One thread and raw sockets keep the
generator's own cost low, because it shares the machine with the server.
"""

import argparse
import dataclasses
import json
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MOST_CONNECTIONS = 512  # at a fixed rate; requests beyond them wait, and their latency grows
CHECK_EVERY = 16  # answers; each is as costly to check as it was to receive


@dataclasses.dataclass(frozen=True)
class Result:
    """What one run measured.

    Attributes:
        answers: number of whole answers.
        errors: how many of them had a status other than 200, or a wrong prediction.
        seconds: length of the run.
        latencies: sorted seconds from sending a request, or from when it was due, to its answer.
    """

    answers: int
    errors: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        return self.answers / self.seconds

    def percentile(self, percent: float) -> float:
        """Returns the latency in seconds that `percent` of the answers did not exceed."""
        return self.latencies[min(int(self.answers * percent / 100), self.answers - 1)]

    def __str__(self) -> str:
        return (
            f"{self.rate:,.0f} requests/s, "
            f"p50 {self.percentile(50) * 1e3:.2f} ms, p99 {self.percentile(99) * 1e3:.2f} ms, "
            f"{self.errors} errors in {self.answers} answers"
        )

    def summary(self) -> dict[str, float]:
        """Returns the figures: requests a second, milliseconds, and counts."""
        return {
            "rate": self.rate,
            "p50": self.percentile(50) * 1e3,
            "p99": self.percentile(99) * 1e3,
            "errors": self.errors,
            "answers": self.answers,
        }


class _Connection:
    """One client that has at most one request on its way."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._received = b""
        self._start = self._expected = 0
        self.since = 0.0

    @property
    def body(self) -> bytes:
        return self._received[self._start :]

    def send(self, since: float | None = None) -> None:
        """Sends the request; its latency counts from now, or from `since`."""
        self._received, self._expected = b"", 0
        self.since = time.perf_counter() if since is None else since
        self.socket.sendall(self._request)

    def receive(self) -> int | None:
        """Returns the HTTP status once the whole answer is here, None before."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise SystemExit("The server closed a connection before it had answered.")
        self._received += data
        if not self._expected:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = self._received[:end].lower()
            start = head.find(b"content-length:")
            if start < 0:
                raise SystemExit("The server's answer has no Content-Length; cannot measure it.")
            self._start = end + 4
            self._expected = self._start + int(head[start + 15 :].split(b"\r\n", 1)[0])
        if len(self._received) < self._expected:
            return None
        return int(self._received[9:12])


class _Tally:
    """Answers as they come."""

    def __init__(self, check: Callable[[bytes], bool] | None) -> None:
        self.latencies: list[float] = []
        self.errors = 0
        self._check = check

    def add(self, client: _Connection, status: int) -> None:
        self.latencies.append(time.perf_counter() - client.since)
        is_wrong = status != 200
        if self._check is not None and not is_wrong and len(self.latencies) % CHECK_EVERY == 1:
            is_wrong = not self._check(client.body)
        self.errors += is_wrong

    def result(self, url: str, seconds: float) -> Result:
        if not self.latencies:
            raise SystemExit(f"{url} gave no answer within {seconds:.0f} s.")
        return Result(len(self.latencies), self.errors, seconds, sorted(self.latencies))


def request_of(url: str, body: bytes) -> tuple[tuple[str, int], bytes]:
    """Returns the address and the whole HTTP request of a POST."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (parts.hostname or "127.0.0.1", parts.port or 80), head.encode() + body


def run(
    url: str,
    body: bytes,
    connections: int,
    seconds: float,
    check: Callable[[bytes], bool] | None = None,
) -> Result:
    """Posts `body` (JSON) to `url` over `connections` connections for `seconds`.

    Args:
        url: where to.
        body: JSON.
        connections: each with one request on its way.
        seconds: length of the run.
        check: whether an answer's body is right; asked of every 16th.
    """
    address, request = request_of(url, body)
    try:
        clients = [_Connection(address, request) for _ in range(connections)]
    except OSError as error:
        raise SystemExit(f"Cannot connect to {url}: {error}; is the server up?") from None
    tally = _Tally(check)
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send()
        begin = time.perf_counter()
        while time.perf_counter() < begin + seconds:
            for key, _ in selector.select(timeout=1.0):
                client = key.data
                status = client.receive()
                if status is not None:
                    tally.add(client, status)
                    client.send()
        elapsed = time.perf_counter() - begin
    for client in clients:
        client.socket.close()
    return tally.result(url, elapsed)


def run_at_rate(
    url: str,
    body: bytes,
    rate: float,
    seconds: float,
    check: Callable[[bytes], bool] | None = None,
) -> Result:
    """Posts `rate` requests a second, evenly, and waits for the last answer."""
    address, request = request_of(url, body)
    idle: deque[_Connection] = deque()
    clients: list[_Connection] = []
    tally = _Tally(check)
    total, sent = int(rate * seconds), 0
    with selectors.DefaultSelector() as selector:
        begin = time.perf_counter()
        while len(tally.latencies) < total:
            now = time.perf_counter()
            while sent < total and (due := begin + sent / rate) <= now:
                if not idle and len(clients) < MOST_CONNECTIONS:
                    client = _Connection(address, request)
                    clients.append(client)
                    idle.append(client)
                    selector.register(client.socket, selectors.EVENT_READ, client)
                if not idle:
                    break
                idle.popleft().send(due)
                sent += 1
            wait = max(0.0, begin + sent / rate - time.perf_counter()) if sent < total else 1.0
            for key, _ in selector.select(timeout=wait if idle or sent == 0 else 0.01):
                client = key.data
                status = client.receive()
                if status is not None:
                    tally.add(client, status)
                    idle.append(client)
        elapsed = time.perf_counter() - begin
    for client in clients:
        client.socket.close()
    return tally.result(url, elapsed)


def matches(expected: Any, body: bytes) -> bool:
    """Whether an answer holds the expected numbers, whatever names them, to a float32's sum."""
    found = numbers(json.loads(body))
    return len(found) >= len(expected) and all(
        abs(one - other) < 1e-4 for one, other in zip(found, expected, strict=False)
    )


def numbers(value: Any) -> list[float]:
    """Returns the numbers of a JSON value, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, float) else []


def main() -> None:
    """Runs the measurement that the command line asks for and prints one line."""
    parser = argparse.ArgumentParser(description="Load for a prediction server.")
    parser.add_argument(
        "url", help="where to POST, such as http://127.0.0.1:8501/v1/models/m:predict"
    )
    parser.add_argument("body", type=Path, help="file with the JSON request to send")
    parser.add_argument("--connections", type=int, default=64, help="connections (default: 64)")
    parser.add_argument("--rate", type=float, help="requests a second, instead of a closed loop")
    parser.add_argument("--seconds", type=float, default=5.0, help="length (default: 5)")
    parser.add_argument("--expect", help="JSON list of the numbers that answers hold")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    body = given.body.read_bytes()
    expected = json.loads(given.expect) if given.expect else None
    check = None if expected is None else lambda answer: matches(expected, answer)
    run(given.url, body, given.connections, 1.0)  # the first second warms up
    if given.rate:
        result = run_at_rate(given.url, body, given.rate, given.seconds, check)
    else:
        result = run(given.url, body, given.connections, given.seconds, check)
    print(json.dumps(result.summary()) if given.json else result)


if __name__ == "__main__":
    main()
