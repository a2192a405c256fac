"""The emulator as a process: found by its address file, started in the background, stopped."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from typing import Any

import psutil

from cloud.config import ROOT, Config
from cloud.console import say
from cloud.errors import UserError

START_SECONDS = 60.0
STOP_SECONDS = 60.0
IN_USE = 75  # the emulator's exit code where another serves the same folder


def address(config: Config) -> dict[str, Any] | None:
    """Returns `{"url": ..., "pid": ...}` of the project's running emulator, or None."""
    try:
        found: dict[str, Any] = json.loads((config.emulator_folder / "address.json").read_text())
        with urllib.request.urlopen(found["url"], timeout=10) as answer:  # noqa: S310, loopback
            return found if json.load(answer) == {"emulator": "ready"} else None
    except (OSError, ValueError):
        return None


def ensure(config: Config) -> str:
    """Returns the emulator's address; starts it in the background where it does not run.

    Raises:
        UserError: it does not start.
    """
    found = address(config)
    if found is None:
        found = _start(config)
        say(
            f"Started the emulator on {found['url']} in the background;"
            " 'nox -s emulator -- --stop' ends it.",
            "dim",
        )
    url: str = found["url"]
    return url


def stop(config: Config) -> bool:
    """Ends the project's emulator; returns whether one was running."""
    found = address(config)
    if found is None:
        return False
    process = psutil.Process(found["pid"])
    process.terminate()
    process.wait(STOP_SECONDS)
    return True


def _start(config: Config) -> dict[str, Any]:
    if not _is_installed():
        raise UserError(
            "The target is the emulator, and the emulator is not installed: put the folder"
            ' emulator/ back, or set target = "cloud" in pyproject.toml.'
        )
    config.emulator_folder.mkdir(parents=True, exist_ok=True)
    log = config.emulator_folder / "emulator.log"
    flags = getattr(subprocess, "DETACHED_PROCESS", 0)  # Windows' way to outlive this terminal
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(config, _port(config.emulator_port)),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            creationflags=flags,
        )
    deadline = time.monotonic() + START_SECONDS
    while (found := address(config)) is None:
        # Of two commands that start it at the same moment, one finds the folder in use, and waits
        # for the other's.
        if process.poll() not in (None, IN_USE) or time.monotonic() > deadline:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise UserError(f"The emulator did not start: {''.join(last) or 'it printed nothing'}")
        time.sleep(0.05)
    process.returncode = 0  # it is meant to outlive this process, which must not warn of it
    return found


def command(config: Config, port: int) -> list[str]:
    """Returns the command line of the project's emulator."""
    folder = str(config.emulator_folder)
    return [sys.executable, "-m", "vertex_emulator", "--port", str(port), "--data-dir", folder]


def _is_installed() -> bool:
    try:
        return find_spec("vertex_emulator") is not None
    except ValueError:  # its import is blocked
        return False


def _port(wanted: int) -> int:
    """Returns the port where it is free, and 0 (any) where another program has it."""
    try:
        socket.create_server(("127.0.0.1", wanted)).close()
    except OSError:
        return 0
    return wanted
