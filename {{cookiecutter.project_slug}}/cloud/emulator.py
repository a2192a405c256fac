"""The emulator as a process: found by its address file, started in the background, stopped.

The folder of the emulator is the contract: `lock` is held as long as one runs, and `address.json`
holds the `url`, the `pid` and the `identity` of that one, which `GET /` answers with as well. A
file that an ended emulator left behind names nobody.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import MutableMapping
from dataclasses import dataclass
from importlib.util import find_spec

import filelock
import psutil

from cloud.config import ROOT, Config
from cloud.console import say
from cloud.errors import UserError

CONSOLE_COMMANDS = ROOT / "cloud" / "console_commands.toml"
START_SECONDS = 60.0
STOP_SECONDS = 60.0
ANSWER_SECONDS = 10.0
IN_USE = 75  # the emulator's exit code where another serves the same folder
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Address:
    """Where a running emulator is: its `url`, and the number of its process."""

    url: str
    pid: int


def bypass_proxies(environment: MutableMapping[str, str] = os.environ) -> None:
    """Keeps every client of this process, and its children, from sending loopback to a proxy.

    Google's clients, requests, urllib and aiohttp all go by this variable. The lower case one
    counts where both are set.
    """
    for name in ("no_proxy", "NO_PROXY"):
        hosts = [host.strip() for host in environment.get(name, "").split(",") if host.strip()]
        if hosts != ["*"]:
            missing = [host for host in LOOPBACK if host not in hosts]
            environment[name] = ",".join([*hosts, *missing])


def address(config: Config) -> Address | None:
    """Returns where the project's emulator is; None where it does not run, or does not answer."""
    try:
        found = json.loads((config.emulator_folder / "address.json").read_text(encoding="utf-8"))
        with urllib.request.urlopen(str(found["url"]), timeout=ANSWER_SECONDS) as response:  # noqa: S310, loopback
            answer = json.load(response)
        # Another program may have taken the port, or the number of the process, since.
        if answer["identity"] != found["identity"]:
            return None
        return Address(str(found["url"]), int(found["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
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
            f"Started the emulator on {found.url} in the background;"
            " 'nox -s emulator -- --stop' stops it.",
            "dim",
        )
    return found.url


def stop(config: Config) -> bool:
    """Stops the project's emulator; returns whether one was running.

    Raises:
        UserError: one runs and does not answer, or does not end.
    """
    found = address(config)
    if found is None:
        if _is_locked(config):
            raise UserError(
                f"An emulator uses {config.emulator_folder} and does not answer, so it cannot be"
                " stopped from here; end its process, 'python -m vertex_emulator', yourself."
            )
        return False
    deadline = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(psutil.NoSuchProcess):  # it ends, or has ended in this moment
        process = psutil.Process(found.pid)
        process.terminate()
        # A zombie has ended: it waits for the system's first process, which may take seconds.
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                raise UserError(
                    f"The emulator, process {found.pid}, still runs {STOP_SECONDS:.0f} s after it"
                    " was asked to end."
                )
            time.sleep(0.02)
    return True


def command(config: Config, port: int) -> list[str]:
    """Returns the command line of the project's emulator."""
    words = [sys.executable, "-m", "vertex_emulator", "--port", str(port)]
    places = {"--data-dir": config.emulator_folder, "--commands": CONSOLE_COMMANDS}
    return [*words, *(str(word) for pair in places.items() for word in pair)]


def _is_locked(config: Config) -> bool:
    """Whether an emulator uses the project's folder."""
    lock = config.emulator_folder / "lock"
    if not lock.exists():
        return False
    try:
        with filelock.FileLock(lock).acquire(blocking=False):
            return False
    except filelock.Timeout:
        return True


def _start(config: Config) -> Address:
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
