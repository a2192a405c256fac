"""The model server as a process: start, batches, connections, drain."""

import contextlib
import gzip
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from google.cloud import storage
from model_server_process import (
    Gate,
    ModelServer,
    eventually,
    run_model_server,
    save_model,
    start_model_server,
)

from vertex_emulator.testing.running import RunningEmulator

FLIGHT = {"hours": 1.5, "seats": 2, "carrier": "UA"}


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_model(folder / "1")
    return folder


@pytest.fixture(scope="module")
def server(model_dir: Path) -> Iterator[ModelServer]:
    """Started with the very arguments and environment of TensorFlow Serving's container."""
    server = start_model_server(
        "--rest_api_port=8080",
        "--port=8500",
        "--model_name=late",
        f"--model_base_path={model_dir}",
        "--enable_batching",
        "--max-batch-size=16",
        environment={
            "AIP_HTTP_PORT": "0",
            "AIP_HEALTH_ROUTE": "/health",
            "AIP_PREDICT_ROUTE": "/predict",
        },
    )
    yield server
    code, out, err = server.stop()
    assert (code, out, err) == (0, "", "")


def test_vertex_ai_routes(server: ModelServer) -> None:
    assert requests.get(server.url + "/health", timeout=60).status_code == 200
    for path in ("/predict", "/v1/models/late:predict"):
        # Vertex AI passes "parameters" on beside the instances.
        response = server.predict({"instances": [FLIGHT], "parameters": {"a": 1}}, path)
        assert response.json() == {"predictions": [1.5]}


def test_what_waits_becomes_the_next_batch(server: ModelServer, tmp_path: Path) -> None:
    gate = Gate(server, tmp_path / "open")
    answers = gate.send([{"signature_name": "wait", "instances": [""]}] * 10)
    assert [answer.json() for answer in answers] == [{"predictions": [10]}] * 10
    assert gate.first.result().json() == {"predictions": [1]}


def test_a_batch_is_split_at_its_limit_but_a_request_is_not(
    server: ModelServer, tmp_path: Path
) -> None:
    gate = Gate(server, tmp_path / "open")
    answers = gate.send([{"signature_name": "wait", "inputs": [""] * 7}] * 4)
    assert [answer.json()["outputs"] for answer in answers] == [[14] * 7] * 4
    large = server.predict({"signature_name": "wait", "instances": [""] * 40}, "/predict")
    assert large.json() == {"predictions": [40] * 40}


def test_each_signature_has_batches_of_its_own(server: ModelServer, tmp_path: Path) -> None:
    gate = Gate(server, tmp_path / "open")
    waits = {"signature_name": "wait", "instances": [""]}
    answers = gate.send([waits, {"instances": [FLIGHT]}] * 3)
    assert [answer.json() for answer in answers] == [
        {"predictions": [3]},
        {"predictions": [1.5]},
    ] * 3


def test_a_bad_neighbour_fails_alone(server: ModelServer, tmp_path: Path) -> None:
    """One value is refused by its type, one by the model, in the same batch as ten good ones."""
    gate = Gate(server, tmp_path / "open")
    texts: list[object] = [*map(str, range(6)), 6, *map(str, range(7, 11)), "eleven"]
    answers = gate.send([{"signature_name": "parse", "instances": [text]} for text in texts])
    for text, answer in zip(texts, answers, strict=True):
        if text == 6:
            assert answer.status_code == 400
            assert "element: 0 key: text" in answer.json()["error"]
        elif text == "eleven":
            assert answer.status_code == 400
            assert "could not correctly convert string: eleven" in answer.json()["error"]
        else:
            assert answer.json()["predictions"][0]["number"] == float(str(text))


def test_rows_are_never_mixed_up(server: ModelServer) -> None:
    def ask(number: int) -> Any:
        flight = {**FLIGHT, "hours": number, "carrier": "DL"}
        rows = [{**flight, "seats": seats} for seats in range(number % 5 + 1)]
        return server.predict({"instances": rows}, "/predict").json()["predictions"]

    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(ask, range(400)))
    assert answers == [[float(i * n) for n in range(i % 5 + 1)] for i in range(400)]


def test_a_signature_that_breaks_its_promise_of_rows_is_called_alone(
    server: ModelServer, tmp_path: Path
) -> None:
    gate = Gate(server, tmp_path / "open")
    answers = gate.send([{"signature_name": "crossed", "inputs": [1.0, 3.0]}] * 3)
    assert [answer.json() for answer in answers] == [{"outputs": [2.0]}] * 3


def test_rows_of_other_requests_never_enter_a_call_that_mixes_them(model_dir: Path) -> None:
    server = start_model_server("--model-dir", str(model_dir), "--port", "0")

    def ask(number: int) -> Any:
        asked = {"signature_name": "softmax", "instances": [float(number)]}
        return server.predict(asked).json()

    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(ask, range(400)))
    assert answers == [{"predictions": [1.0]}] * 400
    assert server.metric("model_server_batch_requests_count") == 400
    assert server.stop()[0] == 0


@pytest.mark.parametrize(
    ("flags", "file", "rows"),
    [
        ([], "", 1),
        (["--enable_batching=false"], "", 1),
        (["--enable_batching=true"], "", 10),
        ([], "batching_params.pbtxt", 10),
        (["--enable_batching", "--enable_per_model_batching_parameters=true"], "", 1),
        (
            ["--enable_batching", "--enable_per_model_batching_parameters=true"],
            "batching_params.pbtxt",
            10,
        ),
    ],
)
def test_calls_are_shared_where_somebody_says_so(
    model_dir: Path, tmp_path: Path, flags: list[str], file: str, rows: int
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_dir, folder)
    if file:
        (folder / "1" / file).write_text("max_batch_size { value: 64 }\n", encoding="utf-8")
    server = start_model_server(
        *("--model-dir", str(folder), "--port", "0", *flags),
        environment={"AIP_PREDICT_ROUTE": "/predict"},
    )
    gate = Gate(server, tmp_path / "open")
    answers = gate.send([{"signature_name": "wait", "instances": [""]}] * 10)
    assert [answer.json() for answer in answers] == [{"predictions": [rows]}] * 10
    assert server.stop()[0] == 0


def test_requests_of_other_shapes_share_no_call(server: ModelServer, tmp_path: Path) -> None:
    """An op may take them, and broadcast rows of one request over those of another."""
    gate = Gate(server, tmp_path / "open")
    calls = server.metric("model_server_batch_requests_sum")
    asked = [
        {"signature_name": "parse", "inputs": [["1"], ["2"]]},
        {"signature_name": "parse", "inputs": "3"},
        {"signature_name": "parse", "instances": ["4"]},
        {"signature_name": "parse", "inputs": []},
        {"signature_name": "parse", "instances": [["5"]]},
    ]
    answers = [answer.json() for answer in gate.send([*asked])]
    batches = [each.get("outputs", {"batch": each.get("predictions")})["batch"] for each in answers]
    assert batches[0] == [[2], [2]]
    assert batches[1] == 1
    assert batches[2] == [{"number": 4.0, "echo": "4", "batch": 1}]
    assert batches[3] == []
    assert batches[4] == [{"number": [5.0], "echo": ["5"], "batch": [1]}]
    assert server.metric("model_server_batch_requests_sum") == calls + 5


def talk(server: ModelServer, data: bytes) -> bytes:
    """Sends bytes, and returns all that comes back until the server closes."""
    with socket.create_connection(server.address, timeout=60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def post(body: bytes, *headers: str) -> bytes:
    lines = [
        "POST /predict HTTP/1.1",
        "Host: localhost",
        *headers,
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


GOOD = post(json.dumps({"instances": [FLIGHT]}).encode())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400 Bad Request"),  # TLS
        (b"GET / HTTP/1.1\r\nA b: c\r\n\r\n", b"400 Bad Request"),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"431 "),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n", b"431 "),
        (post(b"{}", "Origin: http://elsewhere"), b"403 Forbidden"),
        (post(b"{}", "Content-Encoding: br"), b"415 "),
        (post(b"{}", "Content-Encoding: gzip"), b"400 "),
        (post(gzip.compress(b"{}")[:-1], "Content-Encoding: gzip"), b"400 "),
        (post(gzip.compress(b" " * 1_572_865), "Content-Encoding: gzip"), b"413 "),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400 Bad Request"),
    ],
    ids=["tls", "header", "path", "headers", "origin", "br", "no gzip", "half", "bomb", "connect"],
)
def test_what_is_not_plain_http_is_refused_and_closed(
    server: ModelServer, data: bytes, reason: bytes
) -> None:
    answer = talk(server, data)
    assert answer.startswith(b"HTTP/1.1 " + reason)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer
    assert set(json.loads(answer.partition(b"\r\n\r\n")[2])) == {"error"}


def test_an_offer_of_another_protocol_is_ignored(server: ModelServer) -> None:
    """Java's HttpClient makes it with each request; RFC 9110, 7.8 lets a server ignore it."""
    body = json.dumps({"instances": [FLIGHT]}).encode()
    offer = "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA"
    answer = talk(server, post(body, *offer) + GOOD)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.count(b'{"predictions":[') == 2


def test_a_request_cut_short_is_told_so_and_harms_nobody(server: ModelServer) -> None:
    for part in (GOOD[:-5], GOOD[:30]):
        answer = talk(server, part)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
        assert b"it had come" in answer
    assert server.predict({"instances": [FLIGHT]}, "/predict").status_code == 200


def test_requests_in_one_write_are_answered_in_order(server: ModelServer) -> None:
    bodies = [json.dumps({"instances": [{**FLIGHT, "hours": n}]}).encode() for n in range(5)]
    data = (
        b"".join(post(body) for body in bodies) + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    answers = talk(server, data)
    places = [answers.index(b'{"predictions":[%d.0]}' % n) for n in range(5)]
    assert places == sorted(places)
    assert answers.index(b"model_version_status") > places[-1]
    assert answers.count(b"HTTP/1.1 200 OK") == 6


def test_many_requests_behind_a_slow_one_are_answered(server: ModelServer, tmp_path: Path) -> None:
    gate = Gate(server, tmp_path / "open")
    data = GOOD + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5000
    with ThreadPoolExecutor(1) as thread:
        answers = thread.submit(talk, server, data)
        eventually(lambda: server.metric("model_server_waiting") == 1)
        gate.open()
        assert answers.result().count(b"HTTP/1.1 200 OK") == 5001


def test_chunks_and_slow_bytes_make_a_request(server: ModelServer) -> None:
    body = json.dumps({"instances": [FLIGHT]}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    data = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    )
    assert b'{"predictions":[1.5]}' in talk(server, data)
    with socket.create_connection(server.address, timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GOOD:
            connection.send(bytes([byte]))
        assert connection.recv(65536).endswith(b'{"predictions":[1.5]}')


def test_a_client_that_does_not_read_is_not_read(server: ModelServer) -> None:
    """Its requests stay with it, however many it sends; the server keeps none of them."""
    many = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5000
    sent = 0
    with socket.create_connection(server.address, timeout=2) as connection:
        with contextlib.suppress(TimeoutError):
            while sent < 100_000_000:
                sent += connection.send(many)
        assert sent < 100_000_000
        assert server.predict({"instances": [FLIGHT]}, "/predict").json() == {"predictions": [1.5]}
        connection.settimeout(60)
        connection.shutdown(socket.SHUT_WR)
        answers = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    whole, part = divmod(sent, len(many) // 5000)
    assert answers.count(b"HTTP/1.1 200 OK") == whole
    assert answers.count(b"HTTP/1.1 400 Bad Request") == bool(part)


def test_a_client_that_expects_continue_is_asked_for_the_body(server: ModelServer) -> None:
    head, _, body = GOOD.partition(b"\r\n\r\n")
    with socket.create_connection(server.address, timeout=60) as connection:
        connection.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_a_body_over_the_limit_is_refused_with_413(server: ModelServer) -> None:
    body = b" " * 1_572_864
    inside = requests.post(server.url + "/predict", data=body, timeout=60)
    assert inside.status_code == 400  # read, and no document in it
    declared = requests.post(server.url + "/predict", data=body + b" ", timeout=60)
    chunked = requests.post(
        server.url + "/predict", data=(b" " * 100_000 for _ in range(100)), timeout=60
    )
    for response in (declared, chunked):
        assert response.status_code == 413
        assert "the limit is 1572864 bytes" in response.json()["error"]


def test_a_body_may_be_compressed(server: ModelServer) -> None:
    whole = json.dumps({"instances": [FLIGHT]}).encode()
    members = gzip.compress(whole[:9]) + gzip.compress(whole[9:])
    at_limit = gzip.compress(whole + b" " * (1_572_864 - len(whole)))
    for body in (gzip.compress(whole), members, at_limit):
        for coding in ("gzip", "GZIP", "x-gzip"):
            headers = {"Content-Encoding": coding}
            answer = requests.post(server.url + "/predict", body, headers=headers, timeout=60)
            assert answer.json() == {"predictions": [1.5]}


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("localhost", True),
        ("LOCALHOST:9000", True),
        ("127.0.0.1:8501", True),
        ("[::1]:8501", True),
        ("192.168.0.7", True),
        ("example.com", False),
        ("localhost.example.com:8501", False),
        ("127.0.0.1.example.com", False),
        ("[::1", False),
        ("a@127.0.0.1@example.com", False),
    ],
)
def test_a_site_that_calls_its_name_ours_is_refused(
    server: ModelServer, host: str, admitted: bool
) -> None:
    """A page may have its own name lead to loopback; its requests have that name as their Host."""
    body = json.dumps({"instances": [FLIGHT]}).encode()
    origin = f"http://{host}"
    answer = requests.post(
        server.url + "/predict", body, headers={"Host": host, "Origin": origin}, timeout=60
    )
    assert answer.status_code == (200 if admitted else 403)
    assert admitted or f"the Host is {host!r}" in answer.json()["error"]


def test_many_connections_at_once(server: ModelServer) -> None:
    connections = [socket.create_connection(server.address, timeout=60) for _ in range(400)]
    for connection in connections:
        connection.sendall(GOOD)
    for connection in connections:
        with connection:
            assert connection.recv(65536).endswith(b'{"predictions":[1.5]}')


def test_clients_that_vanish_harm_nobody(server: ModelServer, tmp_path: Path) -> None:
    gate = Gate(server, tmp_path / "open")
    for _ in range(20):
        with socket.create_connection(server.address, timeout=60) as connection:
            connection.sendall(GOOD)
    gate.open()
    assert server.predict({"instances": [FLIGHT]}, "/predict").json() == {"predictions": [1.5]}


def test_more_than_may_wait_is_refused_with_503(model_dir: Path, tmp_path: Path) -> None:
    server = start_model_server(
        "--model-dir",
        str(model_dir),
        "--port",
        "0",
        "--max-waiting-bytes",
        "100",
        environment={"AIP_PREDICT_ROUTE": "/predict"},
    )
    gate = Gate(server, tmp_path / "open")
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(server.predict, {"instances": [FLIGHT]})
        eventually(lambda: server.metric("model_server_waiting") == 1)
        refused = server.predict({"instances": [FLIGHT] * 2})
        assert refused.status_code == 503
        assert "overloaded" in refused.json()["error"]
        gate.open()
        assert waiting.result().status_code == 200
    assert server.stop()[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_sigterm_answers_what_was_accepted_and_exits_0(model_dir: Path, tmp_path: Path) -> None:
    server = start_model_server(
        "--model-dir",
        str(model_dir),
        "--port",
        "0",
        environment={"AIP_PREDICT_ROUTE": "/predict", "AIP_HEALTH_ROUTE": "/health"},
    )
    gate = Gate(server, tmp_path / "open")
    idle = socket.create_connection(server.address, timeout=60)
    half = socket.create_connection(server.address, timeout=60)
    half.sendall(GOOD[:-9])
    with idle, half, ThreadPoolExecutor(8) as threads:
        waiting = [
            threads.submit(server.predict, {"instances": [FLIGHT]}, "/predict") for _ in range(8)
        ]
        eventually(lambda: server.metric("model_server_waiting") == 8)
        server.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""  # closed: the drain has begun
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(server.address, timeout=60)
        half.sendall(GOOD[-9:])  # of a request whose first byte was accepted
        gate.open()
        assert {answer.result().text for answer in waiting} == {'{"predictions":[1.5]}'}
        assert all(answer.result().headers["connection"] == "close" for answer in waiting)
        late = b"".join(iter(lambda: half.recv(65536), b""))
        assert late.endswith(b'{"predictions":[1.5]}')
    assert gate.first.result().status_code == 200
    out, err = server.process.communicate(timeout=60)
    assert (server.process.returncode, out, err) == (0, "", "")


def test_until_the_model_is_loaded_every_route_says_503(model_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = run_model_server("--model-dir", str(model_dir), "--port", str(port))

    url = f"http://127.0.0.1:{port}/v1/models/default"

    def status() -> int:
        try:
            return requests.get(url, timeout=60).status_code
        except requests.ConnectionError:
            return 0

    seen = [status()]
    while seen[-1] != 200:
        seen.append(status())
    assert sorted(set(seen) - {0}) == [200, 503]
    assert process.stdout is not None
    assert process.stdout.readline() == f"Model server ready on http://127.0.0.1:{port}\n"
    second = run_model_server("--model-dir", str(model_dir), "--port", str(port))
    _, err = second.communicate(timeout=60)
    assert second.returncode == 1
    assert err.startswith(f"error: Cannot listen on 127.0.0.1:{port}: ")
    assert err.count("\n") == 1
    process.terminate()
    process.communicate(timeout=60)


@pytest.mark.parametrize("content", ["nothing", "empty", "bare", "broken"])
def test_a_folder_without_a_model_is_one_sentence_and_exit_1(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "model"
    expected = {
        "nothing": f"error: The model folder {folder} does not exist; give the folder above",
        "empty": f"error: {folder} contains no SavedModel; expected a version in it",
        "bare": f"error: {folder} holds saved_model.pb itself; put it into a numbered folder",
        "broken": f"error: {folder / '1'} does not load as a SavedModel: ",
    }
    if content != "nothing":
        folder.mkdir()
    if content == "bare":
        (folder / "saved_model.pb").touch()
    if content == "broken":
        (folder / "1").mkdir()
        (folder / "1" / "saved_model.pb").write_bytes(b"no protocol buffer")
    process = run_model_server("--model-dir", str(folder), "--port", "0")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.startswith(expected[content])
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        ([], {}, "expected --model-dir"),
        (["--model-dir", "m", "--port", "http"], {}, "expected a TCP port from 0 to 65535"),
        (["--model-dir", "m", "--max-batch-size", "0"], {}, "expected a whole number from 1"),
        (["--model-dir", "m", "--batch", "1"], {}, "unrecognized arguments: --batch"),
        (["--model-dir", "m"], {"AIP_HTTP_PORT": "x"}, "AIP_HTTP_PORT: expected a TCP port"),
    ],
)
def test_a_bad_flag_is_refused(
    arguments: list[str], environment: dict[str, str], reason: str
) -> None:
    process = run_model_server(*arguments, environment=environment)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert reason in err.splitlines()[-1]


def test_a_model_in_a_bucket_is_served(emulator: RunningEmulator, model_dir: Path) -> None:
    bucket = storage.Client(project="p").create_bucket("model-server-test")
    for path in model_dir.rglob("*"):
        if path.is_file():
            name = path.relative_to(model_dir).as_posix()
            bucket.blob(f"models/late/{name}").upload_from_filename(str(path))
    server = start_model_server(
        "--port", "0", environment={"AIP_STORAGE_URI": "gs://model-server-test/models/late"}
    )
    assert server.predict({"instances": [FLIGHT]}).json() == {"predictions": [1.5]}
    assert server.stop() == (0, "", "")

    for uri, reason in [
        ("gs://model-server-test/models", "contains no SavedModel"),
        ("gs://model-server-test/models/late/1", "holds saved_model.pb itself"),
        ("gs://no-such-bucket/models", "cannot be read"),
    ]:
        process = run_model_server("--model-dir", uri, "--port", "0")
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (1, "")
        assert reason in err
        assert err.count("\n") == 1


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everywhere"
)
@pytest.mark.parametrize("below", ["", "1"])
def test_a_folder_that_may_not_be_read_is_one_sentence(tmp_path: Path, below: str) -> None:
    folder = tmp_path / "model"
    (folder / "1").mkdir(parents=True)
    (folder / below).chmod(0)
    process = run_model_server("--model-dir", str(folder), "--port", "0")
    _out, err = process.communicate(timeout=60)
    (folder / below).chmod(0o700)
    assert process.returncode == 1
    assert err.startswith(f"error: The model folder {folder} cannot be read: ")
    assert err.count("\n") == 1
