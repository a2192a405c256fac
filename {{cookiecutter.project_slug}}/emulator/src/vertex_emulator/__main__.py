"""python -m vertex_emulator --port 8085 --data-dir .emulator

Serves Cloud Storage, Vertex AI and Cloud Logging on loopback until it is interrupted.
"""

import argparse
import asyncio
import json
import math
import os
import secrets
import signal
import socket
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import filelock
import uvicorn
from starlette.applications import Starlette

from vertex_emulator.data_folder import DataFolderError, prepare, reporting_unusable
from vertex_emulator.guard import Guard
from vertex_emulator.limits import allow_many_files
from vertex_emulator.pace import Pace

HOST = "127.0.0.1"
# What the console shows on the way from data to a prediction, and how a job is deployed.
STEPS = (
    "data", "job", "tuning", "pipeline", "experiment", "dataset", "model", "version", "endpoint",
    "prediction", "batch", "deploy",
)  # fmt: skip
IN_USE = 75  # EX_TEMPFAIL of sysexits.h: the same command may succeed later


def main() -> None:
    """Parses the command line and serves."""
    parser = argparse.ArgumentParser(
        prog="python -m vertex_emulator",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "--port", type=int, default=8085, help="port on loopback; 0 takes a free one"
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(".emulator"),
        help="folder that holds all it remembers; made when missing",
    )
    for name, seconds, text in (
        ("autoscaling-period", Pace.period, "seconds between two looks at the load of a model"),
        ("autoscaling-window", Pace.window, "seconds that a replica stays unused"),
        ("idle-scaledown-period", Pace.idle, "seconds without a request before scaling to zero"),
    ):
        variable = "EMULATOR_" + name.upper().replace("-", "_")
        parser.add_argument(
            f"--{name}",
            type=_seconds,
            metavar="SECONDS",
            default=os.environ.get(variable, str(seconds)),
            help=f"{text} (${variable}; default: {seconds:g})",
        )
    parser.add_argument(
        "--commands",
        type=_commands,
        metavar="FILE",
        default={},
        help="TOML with the commands that the console names for the steps of the work",
    )
    options = parser.parse_args()
    data_dir = options.data_dir.absolute()
    pace = Pace(
        options.autoscaling_period,
        options.autoscaling_window,
        options.idle_scaledown_period,
    )
    try:
        prepare(data_dir)
        lock = filelock.FileLock(data_dir / "lock")
        with reporting_unusable(data_dir), lock.acquire(blocking=False):
            serve(_listen(options.port), data_dir, pace, options.commands)
    except filelock.Timeout:
        print(
            f"--data-dir {options.data_dir}: another emulator uses this folder; stop it, or name"
            " another folder.",
            file=sys.stderr,
        )
        sys.exit(IN_USE)
    except DataFolderError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:  # before the server has taken over the signal
        sys.exit(128 + signal.SIGINT)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.05 <= seconds <= 1e6:
        raise argparse.ArgumentTypeError(f"expected seconds from 0.05 to 1e6, got {text!r}")
    return seconds


def _commands(file: str) -> dict[str, str]:
    try:
        found = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{file} cannot be read as TOML: {error}") from error
    for step, command in found.items():
        if step not in STEPS or not isinstance(command, str):
            raise argparse.ArgumentTypeError(
                f"{file}: expected texts named {', '.join(STEPS)}; got {step!r}"
            )
    return found


def serve(listener: socket.socket, data_dir: Path, pace: Pace, commands: Mapping[str, str]) -> None:
    """Serves on a bound socket until SIGINT or SIGTERM."""
    allow_many_files()
    from vertex_emulator.app import create_app  # Google's messages take a second to import
    from vertex_emulator.gateway.front import Front
    from vertex_emulator.gateway.gateway import Gateway
    from vertex_emulator.proxy.certificate import Certificate
    from vertex_emulator.proxy.tunnel import Proxy

    port: int = listener.getsockname()[1]
    url = f"http://{HOST}:{port}"
    identity = secrets.token_hex(16)
    address = {"url": url, "pid": os.getpid(), "identity": identity}
    guard = Guard(port)
    gateway = Gateway(guard.refusal)
    certificate = Certificate(data_dir / "proxy")
    app = create_app(
        data_dir,
        url,
        guard,
        gateway,
        pace,
        roots=certificate.roots,
        identity=identity,
        commands=commands,
    )
    front = partial(Front, gateway, Proxy(certificate.context(), url))
    config = uvicorn.Config(
        app,
        lifespan="off",  # `_serve` sees to it, as uvicorn would print what raises in it
        log_level="warning",
        access_log=False,
        http=front,  # type: ignore[arg-type]  # it makes one for each connection
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    asyncio.run(_serve(server, app, listener, address, _address_file(data_dir)))


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to `serve`: uvicorn would raise them again, before the clean-up here."""
        yield


async def _serve(
    server: uvicorn.Server,
    app: Starlette,
    listener: socket.socket,
    address: Mapping[str, object],
    file: Path,
) -> None:
    """Serves, and says where in the address file.

    The file may outlive this process, and its port and its number may go to another: whoever reads
    it asks the address for the same identity.
    """
    async with app.router.lifespan_context(app):
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started:
            part = file.with_suffix(".part")
            part.write_text(json.dumps(address), encoding="utf-8")
            part.replace(file)
            print(f"Emulator ready on {address['url']}", flush=True)
        try:
            await serving
        finally:
            file.unlink(missing_ok=True)


def _listen(port: int) -> socket.socket:
    # Only on a socket that says TCP does asyncio turn off Nagle's delay, 40 ms of a request.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # takes a port again at once; on Windows it would share another's
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(2048)
        return listener
    except (OSError, OverflowError) as error:
        sys.exit(
            f"--port {port}: cannot listen on {HOST}:{port} ({error}); name another port, or 0 for"
            " a free one."
        )


def _address_file(data_dir: Path) -> Path:
    return data_dir / "address.json"


if __name__ == "__main__":
    main()
