"""python -m tests.command_server SOCKET [-m cloud COMMAND …]

Runs commands of cloud/ for the tests: each in a process of its own, forked from this one, which has
imported the libraries that a command would import for a second. Of the project itself it has
imported nothing. Linux alone, as elsewhere system libraries do not promise to live through a fork.
With a command it asks the server of the socket to run that one, in the place of a Python.
"""

import atexit
import contextlib
import importlib
import json
import os
import runpy
import shlex
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
IS_SUPPORTED = sys.platform == "linux"
LIBRARIES = (
    *(
        "google.cloud.aiplatform_v1",
        "google.cloud.storage",
        "google.cloud.storage.transfer_manager",
    ),
    *("google.protobuf.json_format", "vertex_emulator.testing.contract"),
    *("psutil", "filelock", "rich.console", "rich.progress", "rich.table"),
)
CHECKED = "tests.checked_cloud"  # the module that is `cloud` with its requests checked


def run(arguments: list[str], environment: dict[str, str], folder: Path = ROOT) -> bytes:
    """Runs `python -m` and arguments with an environment, from a project's folder.

    Returns:
        JSON of three: the exit code, and what was written to stdout and to stderr.
    """
    return _ask(_server(), arguments, environment, folder)


def python() -> str:
    """Returns an executable for `python -m cloud COMMAND` that has the server run the command."""
    address = _server()
    executable = Path(address).with_name("python")
    words = shlex.join([sys.executable, "-IS", __file__, address])
    executable.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    executable.chmod(0o700)
    return str(executable)


def _ask(address: str, arguments: list[str], environment: dict[str, str], folder: Path) -> bytes:
    asked = {"arguments": arguments, "environment": environment, "folder": str(folder)}
    request = json.dumps(asked)
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as answer:
        connection.connect(address)
        connection.sendall(request.encode() + b"\n")
        return answer.read()


@cache
def _server() -> str:
    """Starts the server of this process, which ends with it; returns its address."""
    folder = tempfile.mkdtemp()
    address = f"{folder}/commands"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.command_server", address],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    with server.stdout as printed:
        assert printed.readline(), "the server of commands did not start"
    atexit.register(_end, server, folder)
    return address


def _end(server: subprocess.Popen[bytes], folder: str) -> None:
    server.terminate()
    server.wait()
    shutil.rmtree(folder)


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    parent = os.getppid()

    def service_actions(self) -> None:
        """Ends with the tests, however they end."""
        super().service_actions()
        if os.getppid() != self.parent:
            os._exit(0)


class _Command(socketserver.StreamRequestHandler):
    """In the forked process: becomes the command, and answers when it has ended."""

    def handle(self) -> None:
        """Runs the one command of a connection."""
        request = json.loads(self.rfile.readline())
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.path.insert(0, request["folder"])  # its own cloud/, and these tests
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code = _become(request["arguments"])
            printed = []
            for file in (out, err):
                file.seek(0)
                printed.append(file.read().decode())
        self.wfile.write(json.dumps([code, *printed]).encode())


def _become(arguments: list[str]) -> int:
    sys.argv = arguments
    code: object = 0
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code if isinstance(code, int) else 0 if code is None else 1


def serve(address: str) -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    with _Server(address, _Command) as server:
        print("ready", flush=True)
        server.serve_forever()


def main(address: str, *command: str) -> int:
    if not command:
        with contextlib.suppress(KeyboardInterrupt):
            serve(address)
        return 0
    assert command[:2] == ("-m", "cloud"), command
    code, out, err = json.loads(
        _ask(address, [CHECKED, *command[2:]], dict(os.environ), Path.cwd())
    )
    sys.stdout.write(out)
    sys.stderr.write(err)
    return int(code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
