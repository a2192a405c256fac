"""A real server of Cloud Storage for tests; each JSON answer is checked against Google's schema.

python -m storage_server DATA_DIR [LARGEST_FILE]

serves alone, to be killed by a test. LARGEST_FILE, in bytes, makes the disk seem full.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vertex_emulator.object_store.objects import Objects
from vertex_emulator.state.database import Database
from vertex_emulator.storage_api.routes import routes
from vertex_emulator.testing.discovery import validator


def open_objects(data_dir: Path) -> Objects:
    """Opens the store in a folder."""
    return Objects(Database(data_dir / "emulator.sqlite"), data_dir / "blobs")


def storage_app(data_dir: Path) -> Starlette:
    """Builds an app of nothing but Cloud Storage."""
    return Starlette(routes=routes(open_objects(data_dir)))


class CheckedApp:
    """Passes requests on, and notes every answer that is not as Google describes it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.problems: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, content_type, body = 0, b"", bytearray()

        async def note(message: Message) -> None:
            nonlocal status, content_type
            if message["type"] == "http.response.start":
                status = message["status"]
                content_type = dict(message["headers"]).get(b"content-type", b"")
            elif content_type.startswith(b"application/json"):
                body.extend(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception as error:
            self.problems.append(f"{scope['method']} {scope['raw_path']!r}: {error!r}")
            raise
        is_media = b"alt=media" in scope["query_string"]
        if body and not is_media:
            try:
                _check(scope["method"], scope["raw_path"].decode(), status, json.loads(body))
            except (AssertionError, KeyError) as error:
                self.problems.append(f"{scope['method']} {scope['raw_path']!r}: {error}")


def _check(method: str, path: str, status: int, document: Any) -> None:
    if status < 300:
        schema = validator("storage.v1").response_schema(method, path)
        assert schema, "expected no body"
        validator("storage.v1").check(schema, document)
        return
    error = document["error"]
    assert error["code"] == status
    assert error["message"]
    assert error["errors"][0].keys() == {"message", "domain", "reason"}
    assert status < 500 or status in {503, 507}, document


def listen() -> socket.socket:
    """Binds a free port of loopback."""
    # asyncio turns Nagle's delays off only where the protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener


def address_of(listener: socket.socket) -> str:
    """The address that clients use."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def server_of(app: ASGIApp) -> uvicorn.Server:
    """A server that says nothing unless something breaks."""
    return uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", http="httptools", ws="none")
    )


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """Serves an app on a free loopback port; yields its address."""
    listener, server = listen(), server_of(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield address_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def client_of(url: str) -> Any:
    """google-cloud-storage on a server of this machine."""
    # Not at the top: a server that is started on its own would wait for it in vain.
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    return storage.Client(
        project="test-project",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": url},
    )


@contextmanager
def process(data_dir: Path, largest_file: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Runs this module; yields the process and its address, and kills it at the end."""
    command = [sys.executable, "-m", __name__, str(data_dir), str(largest_file)]
    server = subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server, server.stdout.readline().strip()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def main() -> None:
    """Serves until it is killed."""
    if int(sys.argv[2]):
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    listener = listen()
    listener.listen()
    print(address_of(listener), flush=True)
    server_of(storage_app(Path(sys.argv[1]))).run(sockets=[listener])


if __name__ == "__main__":
    main()
