"""The emulator as the proxy of its jobs: it serves TensorFlow's Cloud Storage, and passes on the
rest as it is."""

import base64
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import certifi
import pytest
import requests
from custom_jobs import output, run, spec

from vertex_emulator.proxy.certificate import PEM, Certificate
from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import start
from vertex_emulator.vertex.environment import storage_variables

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
URL = "http://127.0.0.1:8085"


class Other:
    """A server of one connection at a time: notes what it is sent first, answers, and closes."""

    def __init__(self, answer: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self.port: int = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            with connection:
                self.heard.append(connection.recv(65536))
                connection.sendall(self._answer)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def other() -> Iterator[Other]:
    server = Other(b"answer")
    yield server
    server.close()


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Other]]:
    """An emulator that was started where HTTPS goes through a proxy, which refuses."""
    proxy = Other(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in PROXIES:
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        patch.setenv("HTTPS_PROXY", f"http://me:pass%40word@127.0.0.1:{proxy.port}")
        patch.setenv("NO_PROXY", "localhost")
        emulator = start(tmp_path_factory.mktemp("behind-proxy"))
    yield emulator.url, proxy
    emulator.stop()
    proxy.close()


def asked(url: str, request: bytes) -> tuple[socket.socket, bytes]:
    """Sends the first bytes of a connection, and returns it with the answer's head."""
    client = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60)
    client.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer and (data := client.recv(65536)):
        answer += data
    return client, answer


def test_a_connection_is_passed_on_as_it_is(clients: Clients, other: Other) -> None:
    client, answer = asked(clients.url, b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % other.port)
    with client:
        assert answer.startswith(b"HTTP/1.1 200 ")
        client.sendall(b"\x00\xff\r\n")
        assert client.makefile("rb").read() == b"answer"
    assert other.heard == [b"\x00\xff\r\n"]


def test_bytes_behind_the_request_are_passed_on(clients: Clients, other: Other) -> None:
    request = b"CONNECT localhost:%d HTTP/1.0\r\nUser-Agent: x\r\n\r\nearly" % other.port
    client, _answer = asked(clients.url, request)
    with client:
        assert client.makefile("rb").read() in (b"answer", b"")
    assert other.heard == [b"early"]


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, the base class's name
        """Says nothing."""


def test_requests_of_a_job_reach_other_hosts_by_the_certificates_of_these(
    clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vertex_emulator.proxy.certificate.HOSTS", ("localhost",))
    theirs = Certificate(tmp_path)
    server = HTTPServer(("127.0.0.1", 0), Hello)
    server.socket = theirs.context().wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_port}"
    code = (
        "import requests, ssl, sys, urllib.request\n"
        "url, roots = sys.argv[1:]\n"
        "print(requests.utils.get_environ_proxies(url)['https'])\n"
        "print(requests.get(url, verify=roots).text)\n"
        "context = ssl.create_default_context(cafile=roots)\n"
        "print(urllib.request.urlopen(url, context=context).read().decode())\n"
        "try: requests.get(url)\n"
        "except requests.exceptions.SSLError: print('not trusted')\n"
    )
    job = spec(code, url, str(theirs.roots))
    [pool] = job["job_spec"]["worker_pool_specs"]
    pool["container_spec"]["env"] = [
        {"name": name, "value": "none.example"} for name in ("NO_PROXY", "no_proxy")
    ]
    done = run(clients, job)
    server.shutdown()
    server.server_close()
    assert output(clients, done.name) == [clients.url, "hello", "hello", "not trusted"], done.error


@pytest.mark.parametrize(
    "request_line",
    [
        b"CONNECT nowhere HTTP/1.1\r\n\r\n",
        b"CONNECT  HTTP/1.1\r\n\r\n",
        b"CONNECT a:b:1 HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/2\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nX: " + b"x" * 70_000,
    ],
)
def test_what_is_no_request_is_refused(clients: Clients, request_line: bytes) -> None:
    client, answer = asked(clients.url, request_line)
    client.close()
    assert answer.startswith(b"HTTP/1.1 400 expected CONNECT HOST:PORT HTTP/1.1")


@pytest.mark.parametrize("target", ["127.0.0.1:1", "127.0.0.1:99999", "no-such-host.invalid:443"])
def test_a_host_that_cannot_be_reached_is_named(clients: Clients, target: str) -> None:
    client, answer = asked(clients.url, b"CONNECT %b HTTP/1.1\r\n\r\n" % target.encode())
    client.close()
    assert answer.startswith(f"HTTP/1.1 502 the emulator cannot reach {target} (".encode())


def test_the_proxy_of_the_person_is_asked(behind_proxy: tuple[str, Other]) -> None:
    """For all but TensorFlow: keras.datasets read from storage.googleapis.com with urllib."""
    url, proxy = behind_proxy
    for host in ("example.com", "storage.googleapis.com"):
        with pytest.raises(requests.exceptions.ProxyError, match="answered '407 Who are you'"):
            requests.get(f"https://{host}", proxies={"https": url}, timeout=60)
        head = proxy.heard[-1].decode()
        assert head.startswith(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n")
        login = base64.b64encode(b"me:pass@word").decode()
        assert f"\r\nProxy-Authorization: Basic {login}\r\n" in head


def test_the_persons_exceptions_of_it_hold(behind_proxy: tuple[str, Other], other: Other) -> None:
    url, proxy = behind_proxy
    before = len(proxy.heard)
    client, answer = asked(url, b"CONNECT localhost:%d HTTP/1.1\r\n\r\n" % other.port)
    client.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(proxy.heard) == before


@pytest.mark.parametrize("host", ["www.googleapis.com", "storage.googleapis.com"])
def test_tensorflows_storage_is_served_here(
    behind_proxy: tuple[str, Other], tmp_path: Path, host: str
) -> None:
    url, _proxy = behind_proxy
    clients = Clients(url)
    bucket = clients.storage.bucket("served-here")
    if not bucket.exists():
        bucket.create(location="us-central1")
    bucket.blob("a b").upload_from_string("text")
    job = run(clients, spec("import os; print(os.environ['CURL_CA_BUNDLE'])"))
    [roots] = output(clients, job.name)
    connection = http.client.HTTPSConnection(
        url.removeprefix("http://"), context=ssl.create_default_context(cafile=roots)
    )
    connection.set_tunnel(host, 443, {"User-Agent": "TSL"})
    path = (
        "/served-here/a%20b"
        if host.startswith("storage")
        else ("/storage/v1/b/served-here/o/a%20b?alt=media")
    )
    connection.request("GET", path, headers={"Transfer-Encoding": "identity"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"text")
    assert "Content-Type" in answer.headers.keys()  # noqa: SIM118, a mapping without regard to case
    connection.close()


def test_an_upload_goes_on_where_it_began(clients: Clients) -> None:
    """TensorFlow asks how far an upload came, and reads `Range`."""
    bucket = clients.storage.create_bucket("going-on", location="us-central1")
    job = run(clients, spec("import os; print(os.environ['CURL_CA_BUNDLE'])"))
    [roots] = output(clients, job.name)

    def sent(method: str, url: str, body: bytes, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection(
            clients.url.removeprefix("http://"), context=ssl.create_default_context(cafile=roots)
        )
        connection.set_tunnel("www.googleapis.com", 443, {"User-Agent": "TSL"})
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, url.removeprefix("https://www.googleapis.com"), body, named)
        answer = connection.getresponse()
        answer.read()
        return answer

    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=x"
    begun = dict(sent("POST", path, b"", Transfer_Encoding="identity").getheaders())
    place = begun["Location"]
    assert place.startswith("https://www.googleapis.com/upload/storage/v1/b/")
    part = bytes(256 * 1024)
    size = len(part) + 1
    answer = sent("PUT", place, part, Content_Range=f"bytes 0-{len(part) - 1}/{size}")
    assert answer.status == 308
    asked = sent("PUT", place, b"", Content_Range=f"bytes */{size}", Transfer_Encoding="identity")
    assert (asked.status, dict(asked.getheaders())["Range"]) == (308, f"bytes=0-{len(part) - 1}")
    end = sent("PUT", place, b"x", Content_Range=f"bytes {len(part)}-{len(part)}/{size}")
    assert end.status == 200
    assert bucket.blob("x").download_as_bytes() == part + b"x"


def test_who_does_not_trust_the_certificate_breaks_off(clients: Clients) -> None:
    connection = http.client.HTTPSConnection(clients.url.removeprefix("http://"))
    connection.set_tunnel("www.googleapis.com", 443, {"User-Agent": "TSL"})
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/storage/v1/b/x")
    assert requests.get(clients.url, timeout=60).status_code == 200


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*PROXIES, "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


LOOPBACK = "127.0.0.1,localhost,::1"


@pytest.mark.skipif(os.name == "nt", reason="TensorFlow for Windows has no gs://")
@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, {"NO_PROXY": LOOPBACK, "https_proxy": URL, "HTTPS_PROXY": URL}),
        (
            {"no_proxy": "a.example,.googleapis.com, storage.googleapis.com,b.example"},
            {"no_proxy": f"a.example,b.example,{LOOPBACK}", "HTTPS_PROXY": URL},
        ),
        (
            {"HTTPS_PROXY": "http://a:1", "HTTP_PROXY": "http://b:2"},
            {"https_proxy": URL, "HTTPS_PROXY": URL, "HTTP_PROXY": "http://b:2"},
        ),
        (
            {"HTTP_PROXY": "http://b:2", "NO_PROXY": "*"},
            {"HTTPS_PROXY": URL, "HTTP_PROXY": None, "NO_PROXY": LOOPBACK},
        ),
        (
            {"HTTPS_PROXY": "socks5h://a:1"},
            {"HTTPS_PROXY": "socks5h://a:1", "CURL_CA_BUNDLE": None},
        ),
        ({"ALL_PROXY": "socks5://a:1"}, {"HTTPS_PROXY": None, "GCS_RETRY_CONFIG_MAX_RETRIES": "1"}),
    ],
)
def test_a_persons_settings_hold(
    no_proxies: pytest.MonkeyPatch, own: dict[str, str], expected: dict[str, str | None]
) -> None:
    for name, value in own.items():
        no_proxies.setenv(name, value)
    environment = storage_variables(URL, Path("roots.pem"))
    assert {name: environment.get(name) for name in expected} == expected


def certificates(file: Path) -> set[bytes]:
    return set(PEM.findall(file.read_bytes()))


def test_the_usual_roots_stay(no_proxies: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = Certificate(tmp_path)
    own = certificates(tmp_path / "certificate.pem")
    assert certificates(Path(certifi.where())) | own <= certificates(first.roots)
    # A person's own are all that there are.
    kept = sorted(certificates(Path(certifi.where())))[:2]
    folder = tmp_path / "roots"
    folder.mkdir()
    for number, each in enumerate(kept):
        (folder / f"{number}.pem").write_bytes("größe\n".encode() + each)
    no_proxies.setenv("CURL_CA_BUNDLE", str(folder))
    assert certificates(Certificate(tmp_path).roots) == own | set(kept)
    no_proxies.setenv("CURL_CA_BUNDLE", str(folder / "0.pem"))
    assert certificates(Certificate(tmp_path).roots) == own | {kept[0]}


@pytest.mark.parametrize("text", ["", "no certificate"])
def test_a_broken_certificate_is_made_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "certificate.pem").write_text(text)
    Certificate(tmp_path).context()
    if os.name == "posix":
        assert (tmp_path / "certificate.pem").stat().st_mode & 0o777 == 0o600
