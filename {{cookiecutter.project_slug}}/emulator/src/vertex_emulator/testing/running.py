"""Starts and stops an emulator in a process of its own."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

READY = "Emulator ready on "
STOP_SECONDS = 60


@dataclass
class RunningEmulator:
    """A `python -m vertex_emulator` that takes requests.

    Attributes:
        process: the emulator's; its jobs and model servers are children of it.
        url: its address, such as `http://127.0.0.1:40123`.
        data_dir: the folder that holds all it remembers.
    """

    process: subprocess.Popen[str]
    url: str
    data_dir: Path

    def stop(self) -> None:
        """Ends the emulator, its jobs and model servers, and waits for the end.

        Raises:
            subprocess.TimeoutExpired: it has not ended within a minute.
        """
        self.process.terminate()
        self.process.wait(STOP_SECONDS)


def start(data_dir: Path, *flags: str) -> RunningEmulator:
    """Starts an emulator on a free port and waits until it takes requests.

    Args:
        data_dir: the folder that holds all it remembers; made where it is missing.
        flags: further flags of `python -m vertex_emulator`.

    Raises:
        RuntimeError: it has ended instead; its own message is on stderr.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "vertex_emulator", "--port", "0", "--data-dir", data_dir, *flags],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.readline()
    if not line.startswith(READY):
        raise RuntimeError(
            f"Expected the emulator to say {READY!r}, got {line!r} and exit code {process.wait()};"
            " its message is on stderr."
        )
    return RunningEmulator(process, line.removeprefix(READY).strip(), data_dir)
