"""Clients in other languages at an https: address: where their token is from, and that it arrives.

The endpoint is a server of TLS on loopback, whose certificate each language is told to trust as
its users tell it.
"""

import ipaddress
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from cloud.languages import writing
from cloud.languages.fields import Field

TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105, no secret
PASSWORD = "changeit"  # noqa: S105, as Java's own
# By client: what runs it, and the variable that names what it trusts.
PROGRAMS = {
    "client.sh": (("sh",), "CURL_CA_BUNDLE={folder}/server.pem"),
    "client.py": ((sys.executable,), "SSL_CERT_FILE={folder}/server.pem"),
    "client.mjs": (("node",), "NODE_EXTRA_CA_CERTS={folder}/server.pem"),
    "Client.java": (
        ("java",),
        "JDK_JAVA_OPTIONS=-Djavax.net.ssl.trustStore={folder}/trust.p12"
        f" -Djavax.net.ssl.trustStorePassword={PASSWORD}",
    ),
    "client.go": (("go", "run"), "SSL_CERT_FILE={folder}/server.pem"),
}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the gcloud here is a shell script")


class Answering(ThreadingHTTPServer):
    """Answers as Google's metadata server does, and as an endpoint that tells who asked it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), AnsweringHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class AnsweringHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_asked_well = self.headers["Metadata-Flavor"] == "Google" and self.path == TOKEN_PATH
        token = {"access_token": "of-the-machine", "expires_in": 3599, "token_type": "Bearer"}
        self._answer(200 if is_asked_well else 403, token if is_asked_well else {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, {"predictions": [self.headers["Authorization"]]})

    def _answer(self, status: int, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def write_certificate(folder: Path) -> None:
    """Writes a certificate of 127.0.0.1 with its key, and a store of Java that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "endpoint")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    own = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "server.pem").write_bytes(own + made.public_bytes(Encoding.PEM))
    trusted = [pkcs12.PKCS12Certificate(made, b"endpoint")]
    secret = serialization.BestAvailableEncryption(PASSWORD.encode())
    (folder / "trust.p12").write_bytes(pkcs12.serialize_java_truststore(trusted, secret))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the clients, what they trust, and a `gcloud` that prints the token of `token`."""
    made = tmp_path_factory.mktemp("tokens")
    write_certificate(made)
    gcloud = made / "gcloud"
    gcloud.write_text(f"#!/bin/sh\n[ \"$*\" = 'auth print-access-token' ] && cat '{made}/token'\n")
    gcloud.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def endpoint(folder: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    with Answering() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield f"https://127.0.0.1:{server.server_port}/predict"
        server.shutdown()


@pytest.fixture(scope="module")
def metadata() -> Iterator[str]:
    with Answering() as server:
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("file", PROGRAMS)
def test_a_token_arrives_of_gcloud_or_else_of_the_machine(
    file: str, folder: Path, endpoint: str, metadata: str
) -> None:
    program, trust = PROGRAMS[file]
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    writing.write(folder, [Field("a", "integer", "", 1)], model="m", url=endpoint, gaps=False)
    name, _, value = trust.format(folder=folder).partition("=")
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"  # no other gcloud is found before
    variables = os.environ | {name: value, "PATH": path}

    def run(host: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, str(folder / file)],
            env=variables | {"GCE_METADATA_HOST": host},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    (folder / "token").write_text("of-gcloud\n")
    assert json.loads(run("127.0.0.1:9").stdout) == {"predictions": ["Bearer of-gcloud"]}
    (folder / "token").unlink()  # so gcloud fails, as where nobody has logged in
    assert json.loads(run(metadata).stdout) == {"predictions": ["Bearer of-the-machine"]}
    ran = run("127.0.0.1:9")
    assert ran.returncode == 1
    assert "no access token; run 'gcloud auth login'" in ran.stderr
