"""tensorboard: all jobs of the bucket as runs, in TensorBoard.

TensorBoard runs in an environment without TensorFlow: there it reads gs:// with gcsfs, which
reaches the emulator and Google Cloud alike; TensorFlow's own reader reaches Google Cloud alone.
"""

import argparse
import os
import subprocess

from cloud import emulator
from cloud.config import Config
from cloud.console import say
from cloud.errors import UserError

PYTHON = "TENSORBOARD_PYTHON"  # the environment variable that names that environment's Python


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument("--port", type=int, default=6006, help="port on loopback")
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
    say(f"TensorBoard of {logdir} on http://localhost:{options.port}/")
    words = command(python, logdir, options.port)
    if os.name == "posix":
        # In this process's place, so that whoever ends this one ends TensorBoard.
        os.execve(python, words, environment(url))  # noqa: S606, no shell is wanted
    try:
        return subprocess.call(words, env=environment(url))
    except KeyboardInterrupt:
        return 0
