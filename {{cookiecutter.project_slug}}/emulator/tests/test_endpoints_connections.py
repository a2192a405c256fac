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
from model_server_process import ModelServer, start_model_server
from raw_requests import ask
from times_model import deploy, predict, undeploy, upload_export

from vertex_emulator.limits import allow_many_files
from vertex_emulator.testing.clients import Clients

MANY = 10_000
BODY = b'{"instances": [{"x": 2.0}]}'
PREDICT = "/v1/models/default:predict"


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


@pytest.fixture(scope="module")
def model_server(exports: Path) -> Iterator[ModelServer]:
    """A server of the same model, without an endpoint before it."""
    server = start_model_server("--model-dir", str(exports / "2"), "--port", "0")
    yield server
    assert server.predict(json.loads(BODY)).json()["predictions"] == [{"y": 4.0, "twice": 4.0}]
    assert server.stop() == (0, "", "")


def exchange(address: str, *parts: bytes, end: bool = False) -> bytes:
    """Sends bytes on a connection of its own, and returns all that comes until it is closed."""
    url = urlsplit(address)
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
    return "\r\n".join([first, f"Host: {host}", "Connection: close", *lines, "", ""]).encode(
        "latin-1"
    )


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
            large = session.post(f"{url}:predict", data=b"x" * 1_572_865, timeout=60)
            assert large.json()["error"]["status"] == "FAILED_PRECONDITION"


def test_a_path_may_be_quoted(clients: Clients, endpoint: str) -> None:
    quoted = "/v1/" + endpoint.replace("-", "%2D") + "%3Apredict"
    status, answer = ask(clients, quoted, "POST", BODY)
    assert (status, answer["predictions"]) == (200, [{"y": 4.0, "twice": 4.0}])


def test_an_endpoint_that_does_not_exist(clients: Clients) -> None:
    name = f"{clients.location}/endpoints/404404"
    answer = exchange(clients.url, head(clients, name, f"Content-Length: {len(BODY)}"), BODY)
    assert name in error_of(answer, 404)


def test_a_request_in_small_parts(clients: Clients, endpoint: str) -> None:
    text = head(clients, endpoint, f"Content-Length: {len(BODY)}") + BODY
    answer = exchange(clients.url, *(text[i : i + 1] for i in range(len(text))))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]


def test_a_chunked_body(clients: Clients, endpoint: str) -> None:
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:5], BODY[5:])]
    top = head(clients, endpoint, "Transfer-Encoding: chunked")
    answer = exchange(clients.url, top, *chunks, b"0\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]


def test_pipelined_requests_are_answered_in_order(clients: Clients, endpoint: str) -> None:
    host = urlsplit(clients.url).netloc
    bodies = [b'{"instances": [{"x": %d.0}]}' % number for number in range(20)]
    text = b"".join(
        b"POST /v1/%b:predict HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (endpoint.encode(), host.encode(), len(body), body)
        for body in bodies
    )
    answers = exchange(clients.url, text, end=True).split(b"HTTP/1.1 200 OK\r\n")[1:]
    found = [json.loads(each.partition(b"\r\n\r\n")[2])["predictions"][0]["y"] for each in answers]
    assert found == [2.0 * number for number in range(20)]


@pytest.mark.parametrize("length", [0, 1, len(BODY) - 1])
def test_a_body_cut_short(clients: Clients, endpoint: str, length: int) -> None:
    top = head(clients, endpoint, f"Content-Length: {len(BODY)}")
    answer = exchange(clients.url, top, BODY[:length], end=True)
    assert "ended before" in error_of(answer, 400)


def message_of(answer: bytes, status: int) -> str:
    """Returns the message of the model server's error, which is TensorFlow Serving's."""
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 %d " % status), answer
    error = json.loads(body)
    assert set(error) == {"error"}
    message: str = error["error"]
    return message


CHUNKED = "Transfer-Encoding: chunked"
BAD_HTTP: dict[str, tuple[list[str], bytes, int, str]] = {
    "negative": (["Content-Length: -1"], b"", 400, "Invalid character in Content-Length"),
    "no number": (["Content-Length: 0x2"], b"{}", 400, "Invalid character in Content-Length"),
    "without length": (["Content-Length: "], b"{}", 400, "Empty Content-Length"),
    "beyond 64 bits": (["Content-Length: " + "9" * 5000], b"", 400, "Content-Length overflow"),
    "two lengths": (["Content-Length: 2"] * 2, b"{}", 400, "Duplicate Content-Length"),
    "list of lengths": (["Content-Length: 2, 2"], b"{}", 400, "Invalid character in Content-L"),
    "both": (["Content-Length: 2", CHUNKED], b"2\r\n{}\r\n0\r\n\r\n", 400, "can't be present with"),
    "both, turned": ([CHUNKED, "Content-Length: 2"], b"2\r\n{}\r\n0\r\n\r\n", 400, "can't be pres"),
    "coding": (["Transfer-Encoding: gzip"], b"{}", 400, "invalid `Transfer-Encoding`"),
    "chunk": ([CHUNKED], b"zz\r\n{}", 400, "Invalid character in chunk size"),
    "negative chunk": ([CHUNKED], b"-1\r\n{}", 400, "Invalid character in chunk size"),
    "huge chunk": ([CHUNKED], b"f" * 20 + b"\r\n{}", 400, "Chunk size overflow"),
    "longer chunk": ([CHUNKED], b"1\r\n{}\r\n0\r\n\r\n", 400, "Expected LF after chunk data"),
    "chunk cut short": ([CHUNKED], b"9\r\n{", 400, "ended before all of it had come"),
    "small chunks": ([CHUNKED], b"1;" + b"y" * 20 + b"\r\n \r\n" * 100_000, 400, "chunk"),
    "endless extension": ([CHUNKED], b"1;" + b"y" * 3_000_000, 400, "send larger chunks"),
    "endless trailer": ([CHUNKED], b"0\r\nX: " + b"y" * 3_000_000, 400, "send larger chunks"),
    "trailers": ([CHUNKED], b"0\r\n" + b"X: y\r\n" * 30_000, 431, "head exceeds 65536 bytes"),
    "cut short": (["Content-Length: 9"], b"{}", 400, "ended before all of it had come"),
    "coding of a body": (["Content-Length: 1", "Content-Encoding: br"], b"x", 415, "'br' is not"),
    "no gzip": (["Content-Length: 1", "Content-Encoding: gzip"], b"x", 400, "not unpack as gzip"),
    "empty": (["Content-Length: 0"], b"", 400, "The document is empty"),
    "long header": (["X: " + "y" * 70_000], b"", 431, "head exceeds 65536 bytes"),
    "headers": (["X: y"] * 30_000, b"", 431, "head exceeds 65536 bytes"),
    "no colon": (["no colon"], b"", 400, "Invalid header token"),
    "NUL": (["X: \x00"], b"", 400, "Invalid header value char"),
    "folded": (["X: y\r\n z"], b"", 400, "Unexpected whitespace after header value"),
    "origin": (["Origin: http://[::1"], b"", 403, "http://[::1"),
    "no origin": (["Origin: http://\xff"], b"", 403, "http://\xff"),
}


@pytest.mark.parametrize("name", BAD_HTTP)
def test_bad_http(clients: Clients, endpoint: str, model_server: ModelServer, name: str) -> None:
    """The endpoint and the model server say the same, each in its own form."""
    lines, body, status, words = BAD_HTTP[name]
    answer = exchange(clients.url, head(clients, endpoint, *lines), body, end=True)
    assert words in error_of(answer, status)
    first = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    top = (first + "".join(line + "\r\n" for line in lines) + "\r\n").encode("latin-1")
    answer = exchange(model_server.url, top, body, end=True)
    assert words in message_of(answer, status)


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("Content-Length: 1572865", b""),
        (CHUNKED, b"180001\r\n" + b" " * 1_572_865),
    ],
    ids=["length", "chunks"],
)
def test_too_large(
    clients: Clients, endpoint: str, model_server: ModelServer, line: str, body: bytes
) -> None:
    """Each has a status of its own: Google's, and HTTP's."""
    answer = exchange(clients.url, head(clients, endpoint, line), body, end=True)
    assert "(1572865 bytes) exceeds 1.500MB limit" in error_of(answer, 400)
    top = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{line}\r\n\r\n"
    answer = exchange(model_server.url, top.encode(), body, end=True)
    assert "1572865 bytes or more, the limit is 1572864 bytes" in message_of(answer, 413)


NAN = b'{"a": NaN, "instances": '
BAD_BODIES: list[tuple[bytes, str]] = [
    (b"", "The document is empty"),
    (b" ", "input data is empty"),
    (b"null", "null Is not object"),
    (b"\x00" * 1000, "JSON Parse error: unexpected character"),
    (b"\x1f\x8b\x08\x00", "Byte 1 is not UTF-8; send text in UTF-8, not compressed"),
    (b'{"instances": [{"x": 1}]} {}', "unexpected content after document"),
    (b'{"instances": [{"x": 1}', "unexpected end of data"),
    (b'{"instances": [{"x": 1},]}', "trailing comma"),
    (b'{"instances": [{"x": "\xff"}]}', "Byte 22 is not UTF-8"),
    (b'{"instances": [{"x": "\\ud800"}]}', "no low surrogate in string"),
    (NAN + b'[{"x": "\\ud800"}]}', "A string has \\ud800 alone"),
    (b'{"instances": [{"x": "a\\u0000b"}]}', '"a\\u0000b" Type: String is not of expected type'),
    (b"[" * 1_500_000, "depth limit exceeded"),
    (NAN + b"[" * 100_000, "Lists and objects are nested too deep"),
    (b'{"instances": [{"x": ' + b"[" * 500 + b"]" * 500 + b"}]}", "lists are nested 501 deep"),
    (b'{"instances": [{"x": 1e999}]}', "number is infinity when parsed as double"),
    (b'{"instances": [{"x": ' + b"1" * 400 + b"}]}", "number is infinity when parsed as double"),
    (NAN + b'[{"x": 1e999}]}', "1e999 is beyond the largest number"),
    (NAN + b'[{"x": ' + b"1" * 5000 + b"}]}", "is beyond the largest number"),
    (b'{"instances": null}', "null Expecting 'instances' to be a list/array"),
    (b'{"instances": "x"}', "\"x\" Expecting 'instances' to be a list/array"),
    (b'{"instances": {"x": 1}}', "Expecting 'instances' to be a list/array"),
    (b'{"instances": []}', "send at least one instance"),
    (b'{"instances": [[1], [1, 2]]}', "element: 1 key: x of 'instances' list"),
    (b'{"instances": [1, {"x": 1}]}', "got object at item 1 of input list"),
    (b'{"instances": [{"x": 1}, 1]}', "element: 1 of 'instances' list"),
    (b'{"instances": [{}]}', "Missing named input: x."),
    (b'{"instances": [{"x": 1}, {"y": 1}]}', "element: 1 of 'instances' list. Missing named"),
    (b'{"instances": [{"x": 1, "y": 1}]}', 'does not have named input: "y"'),
    (b'{"instances": [{"' + b"y" * 1_000_000 + b'": 1}]}', "yyy...."),
    (b'{"instances": [{"x": "late"}]}', '"late" Type: String is not of expected type: float32'),
    (b'{"instances": [{"x": "' + b"9" * 1_000_000 + b'"}]}', "99..."),
    (b'{"instances": [{"x": null}]}', "null Type: Null is not of expected type"),
    (b'{"instances": [{"x": true}]}', "true Type: Boolean is not of expected type"),
    (b'{"instances": [{"x": {"b64": "QQ=="}}]}', "Type: Object is not of expected type"),
    (b'{"instances": [{"x": 1}], "inputs": {"x": [1]}}', "only one of 'inputs' or 'instances'"),
    (b'{"instances": [{"x": 1}], "signature_name": 7}', "'signature_name' key must be a string"),
    (b'{"instances": [1], "signature_name": "z"}', '"z" not found in signature def'),
    (b'{"instances": [1], "signature_name": "' + b"z" * 1_000_000 + b'"}', "zzz... not found"),
    (b'{"' + b"k" * 1_000_000 + b'": 1}', "the request has kkk"),
    (b'{"inputs": null}', "null Type: Null is not of expected type"),
]


@pytest.mark.parametrize(("body", "words"), BAD_BODIES, ids=lambda value: repr(value[:40]))
def test_a_bad_body(
    clients: Clients, endpoint: str, model_server: ModelServer, body: bytes, words: str
) -> None:
    """The endpoint passes on what the model server says: a sentence, however long the body."""
    top = f"POST {PREDICT} HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = exchange(model_server.url, top.encode(), body)
    message = message_of(answer, 400)
    assert words in message
    assert len(message) < 500
    assert "\n" not in message
    length = f"Content-Length: {len(body)}"
    answer = exchange(clients.url, head(clients, endpoint, length), body)
    assert json.loads(error_of(answer, 400)) == {"error": message}
    raw = exchange(clients.url, head(clients, endpoint, length, verb="rawPredict"), body)
    assert message_of(raw, 400) == message


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"BREW / HTTP/1.1\r\n\r\n", 400, "Send HTTP/1.1 without TLS"),
        (b"\x16\x03\x01\x02\x00\n\x01\x00\x01\xfc\x03\x03", 400, "Send HTTP/1.1 without TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "Send HTTP/1.1 without TLS"),
        (b"GET /" + b"a" * 1_000_000, 431, "head exceeds 65536 bytes"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 1_000_000, 431, "head exceeds 65536 bytes"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000, 431, "head exceeds 65536 bytes"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bad_http_that_is_no_prediction(
    clients: Clients, endpoint: str, data: bytes, status: int, words: str
) -> None:
    assert words in error_of(exchange(clients.url, data, end=True), status)
    _ = endpoint  # asked once more when the last test has ended


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
