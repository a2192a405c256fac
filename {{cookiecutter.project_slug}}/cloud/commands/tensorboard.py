"""tensorboard: all jobs of the bucket as runs, in TensorBoard.

TensorBoard runs in an environment without TensorFlow: there it reads gs:// with gcsfs, which
reaches the emulator and Google Cloud alike; TensorFlow's own reader reaches Google Cloud alone.
"""

import argparse
import os
import socket
import subprocess

from cloud import emulator
from cloud.config import Config
from cloud.console import say
from cloud.errors import UserError

PYTHON = "TENSORBOARD_PYTHON"  # the environment variable that names that environment's Python
PORT, PORTS = 6006, 20


def command(python: str, logdir: str, port: int) -> list[str]:
    """Returns TensorBoard's command line for a folder, local or gs://."""
    return [
        *(python, "-m", "tensorboard.main"),
        *("--logdir", logdir),
        *("--port", str(port)),
        # The fast loader does not read from the emulator and never says so.
        "--load_fast=false",
    ]


def environment(storage_url: str | None) -> dict[str, str]:
    """Returns the variables under which gcsfs reaches the target without probing gRPC first."""
    variables = os.environ | {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
    return variables | ({"STORAGE_EMULATOR_HOST": storage_url} if storage_url else {})


def free_port(wanted: int | None) -> int:
    """Returns the port that TensorBoard can take.

    Args:
        wanted: what the person asked for; 0 stands for any, None for the first that is free.

    Raises:
        UserError: another program has the port.
    """
    candidates = range(PORT, PORT + PORTS) if wanted is None else [wanted]
    for port in (each for each in candidates if each in range(65_536)):
        try:
            with socket.create_server(("127.0.0.1", port)) as server:
                return int(server.getsockname()[1])
        except OSError:
            continue
    taken = f"{PORT} to {PORT + PORTS - 1}" if wanted is None else str(wanted)
    raise UserError(f"--port: {taken} cannot be used here; --port 0 takes a free one.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=int,
        help=f"port on loopback; 0 takes any; default: {PORT}, or the next that is free",
    )
    parser.add_argument("--logdir", help="another folder, such as runs; default: the bucket's jobs")


def run(config: Config, options: argparse.Namespace) -> int:
    """Serves TensorBoard until Ctrl-C."""
    python = os.environ.get(PYTHON)
    if python is None:
        raise UserError(
            f"{PYTHON}: expected the Python of an environment with TensorBoard and gcsfs and"
            " without TensorFlow; 'nox -s tensorboard' makes one and sets it."
        )
    logdir = options.logdir or f"gs://{config.bucket}/jobs"
    url = None
    if config.target == "emulator" and logdir.startswith("gs://"):
        url = emulator.ensure(config)
    port = free_port(options.port)
    say(f"TensorBoard of {logdir} on http://localhost:{port}/")
    words = command(python, logdir, port)
    if os.name == "posix":
        # In this process's place, so that whoever ends this one ends TensorBoard.
        os.execve(python, words, environment(url))  # noqa: S606, no shell is wanted
    try:
        return subprocess.call(words, env=environment(url))
    except KeyboardInterrupt:
        return 0
