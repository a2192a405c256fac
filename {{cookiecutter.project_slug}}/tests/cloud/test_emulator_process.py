"""The emulator is found by its address file, and nobody else's process is touched."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from project import Project

from cloud import config, emulator
from cloud.config import Config


@pytest.fixture
def values(tmp_path: Path) -> Config:
    return config.load(environment={"CLOUD_EMULATOR_FOLDER": str(tmp_path / "emulator")})


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A program of someone else's."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    assert process.poll() is None, "it was ended"
    process.kill()
    process.communicate()


@pytest.fixture
def another_emulator() -> Iterator[str]:
    """The server that has the port now: an emulator of another project."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"emulator": "ready", "identity": "another"}')

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("identity", [{"identity": "ours"}, {}])
def test_a_file_left_behind_names_nobody(
    values: Config,
    stranger: subprocess.Popen[bytes],
    another_emulator: str,
    identity: dict[str, str],
) -> None:
    """After kill -9 the port and the number of the process go to others."""
    values.emulator_folder.mkdir()
    left = {"url": another_emulator, "pid": stranger.pid} | identity
    (values.emulator_folder / "address.json").write_text(json.dumps(left))
    assert emulator.address(values) is None
    assert emulator.stop(values) is False


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": 3}', '{"url": "http://127.0.0.1:1"}'])
def test_a_broken_file_names_nobody(values: Config, text: str) -> None:
    values.emulator_folder.mkdir()
    (values.emulator_folder / "address.json").write_text(text)
    assert emulator.address(values) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "example.com"}, "example.com,127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "localhost, 127.0.0.1"}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_loopback_is_exempt_from_proxies(before: dict[str, str], after: str) -> None:
    environment = dict(before)
    emulator.bypass_proxies(environment)
    assert environment["NO_PROXY"] == after


def test_commands_reach_the_emulator_past_a_proxy(tmp_path: Path) -> None:
    """As in a company: the proxy answers nobody."""
    project = Project(tmp_path, "penguins")
    dead = "http://127.0.0.1:9"
    project.variables = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), dead)
    for name in ("NO_PROXY", "no_proxy"):
        project.variables[name] = ""
    try:
        assert "emulator (" in project.run("target")
        assert "There is no job yet" in project.run("jobs")
        project.run("data")
    finally:
        project.run("emulator", "--stop")


def test_an_emulator_that_does_not_answer_is_named(values: Config) -> None:
    """Its folder is locked, and nothing says where it is."""
    from filelock import FileLock

    from cloud.errors import UserError

    values.emulator_folder.mkdir()
    with FileLock(values.emulator_folder / "lock"):
        if os.name == "posix":  # a lock of this process counts there too
            with pytest.raises(UserError, match="does not answer, so it cannot be stopped"):
                emulator.stop(values)
