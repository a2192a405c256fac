"""The endpoint's port: whoever comes, however many, however badly, gets an answer."""

import asyncio
import json
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from emulator.limits import allow_many_files
from tests.conftest import Clients
from tests.emulator.test_endpoints import deploy, exports, predict, undeploy, upload_export
from tests.emulator.test_safety import ask

__all__ = ["exports"]  # a fixture

MANY = 10_000
BODY = b'{"instances": [{"x": 2.0}]}'


@pytest.fixture(scope="module")
def endpoint(clients: Clients, exports: Path) -> Iterator[str]:
    clients.storage.create_bucket("asked-bucket", location="us-central1")
    model = upload_export(clients, exports / "2", "gs://asked-bucket/2").model
    created = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "asked"}
    )
    name: str = created.result(timeout=60).name
    deployed = deploy(clients, name, model, {"0": 100})
    yield name
    answer = predict(clients, name, json.loads(BODY))  # the server has stayed
    assert answer.json()["predictions"] == [{"y": 4.0, "twice": 4.0}]
    undeploy(clients, name, deployed)


def exchange(clients: Clients, *parts: bytes, end: bool = False) -> bytes:
    """Sends bytes on a connection of its own, and returns all that comes until it is closed."""
    url = urlsplit(clients.url)
    with socket.create_connection((url.hostname, url.port), timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(1 << 16):
            received += part
    return received


def head(clients: Clients, endpoint: str, *lines: str, verb: str = "predict") -> bytes:
    """The head of a request for a prediction, whose connection closes behind it."""
    host = urlsplit(clients.url).netloc
    first = f"POST /v1/{endpoint}:{verb} HTTP/1.1"
    return "\r\n".join([first, f"Host: {host}", "Connection: close", *lines, "", ""]).encode()


def error_of(answer: bytes, status: int) -> str:
    """Returns the message of Google's error, whose status must be that of the answer."""
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 %d " % status), answer
    error = json.loads(body)["error"]
    assert error["code"] == status
    message: str = error["message"]
    return message


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.com"},
        {"Origin": "http://example.com"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["predict", "rawPredict"])
def test_another_site_is_refused(
    clients: Clients, endpoint: str, headers: dict[str, str], verb: str
) -> None:
    status, answer = ask(clients, f"/v1/{endpoint}:{verb}", "POST", BODY, headers)
    assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_predictions_and_other_requests_share_a_connection(clients: Clients, endpoint: str) -> None:
    with requests.Session() as session:
        for _ in range(2):
            for api in ("v1", "v1beta1", "ui"):
                url = f"{clients.url}/{api}/{endpoint}"
                answer = session.post(f"{url}:predict?alt=json", data=BODY, timeout=60)
                assert answer.json()["predictions"] == [{"y": 4.0, "twice": 4.0}]
            assert session.get(url, timeout=60).json()["name"] == endpoint
            raw = session.post(f"{url}:rawPredict", data=BODY, timeout=60)
            assert raw.headers["X-Vertex-AI-Endpoint-Id"] == endpoint.rpartition("/")[2]
            large = session.post(f"{url}:predict", data=b"x" * 1_500_001, timeout=60)
            assert large.status_code == 413


def test_a_path_may_be_quoted(clients: Clients, endpoint: str) -> None:
    quoted = "/v1/" + endpoint.replace("-", "%2D") + "%3Apredict"
    status, answer = ask(clients, quoted, "POST", BODY)
    assert (status, answer["predictions"]) == (200, [{"y": 4.0, "twice": 4.0}])


def test_an_endpoint_that_does_not_exist(clients: Clients) -> None:
    name = f"{clients.location}/endpoints/404404"
    answer = exchange(clients, head(clients, name, f"Content-Length: {len(BODY)}"), BODY)
    assert name in error_of(answer, 404)


def test_a_request_in_small_parts(clients: Clients, endpoint: str) -> None:
    text = head(clients, endpoint, f"Content-Length: {len(BODY)}") + BODY
    answer = exchange(clients, *(text[i : i + 1] for i in range(len(text))))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]


def test_a_chunked_body(clients: Clients, endpoint: str) -> None:
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:5], BODY[5:])]
    top = head(clients, endpoint, "Transfer-Encoding: chunked")
    answer = exchange(clients, top, *chunks, b"0\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]


def test_pipelined_requests_are_answered_in_order(clients: Clients, endpoint: str) -> None:
    host = urlsplit(clients.url).netloc
    bodies = [b'{"instances": [{"x": %d.0}]}' % number for number in range(20)]
    text = b"".join(
        b"POST /v1/%b:predict HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (endpoint.encode(), host.encode(), len(body), body)
        for body in bodies
    )
    answers = exchange(clients, text, end=True).split(b"HTTP/1.1 200 OK\r\n")[1:]
    found = [json.loads(each.partition(b"\r\n\r\n")[2])["predictions"][0]["y"] for each in answers]
    assert found == [2.0 * number for number in range(20)]


@pytest.mark.parametrize("length", [0, 1, len(BODY) - 1])
def test_a_body_cut_short(clients: Clients, endpoint: str, length: int) -> None:
    top = head(clients, endpoint, f"Content-Length: {len(BODY)}")
    answer = exchange(clients, top, BODY[:length], end=True)
    assert "ended before" in error_of(answer, 400)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Content-Length: 1500001"], 413),
        (["Content-Length: -1"], 400),
        (["Content-Length: 1", "Content-Encoding: gzip"], 415),
        (["Content-Length: 0"], 400),
        (["X: " + "y" * 70_000], 431),
        (["no colon"], 400),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_head(clients: Clients, endpoint: str, lines: list[str], status: int) -> None:
    assert error_of(exchange(clients, head(clients, endpoint, *lines)), status)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 100_000,
        b'{"instances": [{"x": "\xff"}]}',
        b'{"instances": [{"x": 1e999}]}',
        b'{"instances": [{"x": 1}, {"y": 1}]}',
        b'{"instances": [{"x": [[1]]}]}',
        b'{"instances": {"x": 1}}',
        b'{"instances": [{"x": 1}], "signature_name": 7}',
        b"\x00" * 1000,
    ],
    ids=lambda value: repr(value[:40]),
)
def test_a_bad_body(clients: Clients, endpoint: str, body: bytes) -> None:
    answer = exchange(clients, head(clients, endpoint, f"Content-Length: {len(body)}"), body)
    assert error_of(answer, 400)


def may_open() -> int:
    """How many connections this process may have, up to `MANY`."""
    if sys.platform == "win32":
        return 500
    import resource

    allow_many_files()
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MANY if most == resource.RLIM_INFINITY else min(MANY, most - 200)


def test_ten_thousand_connections(clients: Clients, endpoint: str) -> None:
    """All are open at once before the first asks; each gets its answer."""
    request = head(clients, endpoint, f"Content-Length: {len(BODY)}") + BODY
    url = urlsplit(clients.url)
    number = may_open()

    async def main() -> Counter[bytes]:
        opening = asyncio.Semaphore(500)  # what a listening socket holds for its server is bounded

        async def open_one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            async with opening:
                return await asyncio.open_connection(url.hostname, url.port)

        pairs = await asyncio.gather(*(open_one() for _ in range(number)))
        for _reader, writer in pairs:
            writer.write(request)
        answers = await asyncio.gather(*(reader.read() for reader, _writer in pairs))
        for _reader, writer in pairs:
            writer.close()
        assert all(answer.endswith(b"}") for answer in answers)
        return Counter(answer[:12] for answer in answers)

    assert asyncio.run(main()) == {b"HTTP/1.1 200": number}
