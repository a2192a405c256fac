"""Measures what a prediction server answers to a number of connections in a closed loop.

python benchmarks/load.py http://127.0.0.1:8501/v1/models/default:predict request.json

Each connection sends the file's content, waits for the whole answer and sends again. One thread
and raw sockets keep the generator's own cost low, because it shares the machine with the server.
"""

import argparse
import dataclasses
import selectors
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit


@dataclasses.dataclass(frozen=True)
class Result:
    """What one run measured.

    Attributes:
        answers: number of whole answers.
        errors: how many of them had a status other than 200.
        seconds: length of the run.
        latencies: sorted seconds from sending a request to its whole answer.
    """

    answers: int
    errors: int
    seconds: float
    latencies: list[float]

    def percentile(self, percent: float) -> float:
        """Returns the latency in seconds that `percent` of the answers did not exceed."""
        return self.latencies[min(int(self.answers * percent / 100), self.answers - 1)]

    def __str__(self) -> str:
        return (
            f"{self.answers / self.seconds:,.0f} requests/s, "
            f"p50 {self.percentile(50) * 1e3:.2f} ms, p99 {self.percentile(99) * 1e3:.2f} ms, "
            f"{self.errors} errors in {self.answers} answers"
        )


class _Connection:
    """One client that has at most one request on its way."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._received = b""
        self._expected = 0
        self.sent = 0.0

    def send(self) -> None:
        self._received, self._expected = b"", 0
        self.sent = time.perf_counter()
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
            self._expected = end + 4 + int(head[start + 15 :].split(b"\r\n", 1)[0])
        if len(self._received) < self._expected:
            return None
        return int(self._received[9:12])


def run(url: str, body: bytes, connections: int, seconds: float) -> Result:
    """Posts `body` (JSON) to `url` over `connections` connections for `seconds`."""
    parts = urlsplit(url)
    request = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    try:
        clients = [_Connection(address, request) for _ in range(connections)]
    except OSError as error:
        raise SystemExit(f"Cannot connect to {parts.netloc}: {error}; is the server up?") from None
    latencies: list[float] = []
    errors = 0
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
                    latencies.append(time.perf_counter() - client.sent)
                    errors += status != 200
                    client.send()
        elapsed = time.perf_counter() - begin
    for client in clients:
        client.socket.close()
    if not latencies:
        raise SystemExit(f"{url} gave no answer within {seconds:.0f} s.")
    return Result(len(latencies), errors, elapsed, sorted(latencies))


def main() -> None:
    """Runs the measurement that the command line asks for and prints one line."""
    parser = argparse.ArgumentParser(description="Closed-loop load for a prediction server.")
    parser.add_argument(
        "url", help="where to POST, such as http://127.0.0.1:8501/v1/models/m:predict"
    )
    parser.add_argument("body", type=Path, help="file with the JSON request to send")
    parser.add_argument("--connections", type=int, default=64, help="connections (default: 64)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length (default: 5)")
    args = parser.parse_args()
    run(args.url, args.body.read_bytes(), args.connections, 1.0)  # the first second warms up
    print(run(args.url, args.body.read_bytes(), args.connections, args.seconds))


if __name__ == "__main__":
    main()
