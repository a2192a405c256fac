r"""python -m vertex_emulator.processes.supervisor FOLDER [DESCRIPTOR]

DESCRIPTOR is a channel of a forker (see `forker`), which then forks the command where it can.

Runs one command and writes down what it prints and how it ends, so that the emulator may die and
find everything again. The folder holds:

- `spec.json`, read: `{"argv": [...], "env": {...}, "cwd": "...", "owner": PID or null}`; the
  command ends with its owner, where one is named.
- `supervisor.json`, written first: the supervisor's `identity`.
- `process.json`, written once the command runs: its `identity`.
- `output.jsonl`, written as the command prints: a line
  `{"time": RFC 3339, "stream": "stdout" | "stderr", "text": "..."}` for each of its lines; pieces
  of a line that is too long have `"split": [id of the line, place]`.
- `stop.json`, awaited: when it appears, the command's process tree is ended, gently first:
  `{"graceSeconds": seconds to wait before force}`.
- `result.json`, written last: `{"exitCode": ..., "ended": RFC 3339}`; a negative code is the
  signal that ended the command.

What the command started ends with it, also what has put itself into another session: on Linux such
processes become children of the supervisor, elsewhere their environment tells whose they are.
"""

import codecs
import contextlib
import ctypes
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import IO, Any

import psutil

from vertex_emulator import disk
from vertex_emulator.processes.forker import Forked
from vertex_emulator.processes.identity import end, identity, is_running, marked
from vertex_emulator.times import now

POLL_SECONDS = 0.05
LINE_BYTES = 240 * 1024  # Cloud Logging takes entries up to 256 KiB; longer lines are split
ROOM_SECONDS = 0.2  # between two tries to write on a full disk


def main(folder: Path, channel: socket.socket | None) -> None:
    """Runs the command of a folder to its end."""
    _adopt_orphans()
    write_json(folder / "supervisor.json", identity(os.getpid()))
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    with (folder / "output.jsonl").open("ab", buffering=0) as output:
        log = _Log(output)
        try:
            process = _start(spec, folder, channel)
        except OSError as error:
            log.write("stderr", f"cannot start {spec['argv'][0]!r}: {error.strerror}")
            exit_code = 127  # as a shell says that a command is not there
        else:
            _write_identity(folder / "process.json", process.pid)
            exit_code = _supervise(process, folder, spec["owner"], log)
    result = {"exitCode": exit_code, "ended": now()}
    when_there_is_room(lambda: write_json(folder / "result.json", result))


def _start(
    spec: dict[str, Any], folder: Path, channel: socket.socket | None
) -> "subprocess.Popen[bytes] | Forked":
    if channel is not None:
        with contextlib.suppress(OSError):  # the forker is gone
            return Forked(channel, folder)
    return subprocess.Popen(
        spec["argv"],
        env=spec["env"],
        cwd=spec["cwd"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _write_identity(path: Path, pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it has ended already
        process = identity(pid)
        when_there_is_room(lambda: write_json(path, process))


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Writes a file that others see whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(document), encoding="utf-8")
    part.replace(path)


def when_there_is_room(write: Callable[[], None]) -> None:
    """Does a write again for as long as the disk is full: the command waits at its pipe."""
    while True:
        try:
            write()
            return
        except OSError as error:
            if not disk.is_full(error):
                raise
            time.sleep(ROOM_SECONDS)


def read_json(path: Path) -> dict[str, Any] | None:
    """Reads a file written by `write_json`; None while it is not there."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return document


class _Log:
    def __init__(self, output: FileIO) -> None:
        self._output = output
        self._writing = threading.Lock()

    def write(self, stream: str, text: str, split: tuple[str, int] | None = None) -> None:
        document: dict[str, Any] = {"time": now(), "stream": stream, "text": text}
        if split is not None:
            document["split"] = split
        line = json.dumps(document).encode() + b"\n"
        with self._writing:
            when_there_is_room(lambda: self._append(line))

    def _append(self, line: bytes) -> None:
        """Adds a line, or nothing of it where it raises."""
        end = self._output.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._output.write(line) :]
        except OSError:
            self._output.truncate(end)
            raise

    def copy(self, stream: str, pipe: IO[bytes]) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        uid, index = "", 0
        while piece := pipe.readline(LINE_BYTES):
            is_last = piece.endswith(b"\n") or len(piece) < LINE_BYTES
            text = decoder.decode(piece, is_last).rstrip("\r\n" if is_last else "")
            if index == 0:
                uid = secrets.token_hex(8)
            split = None if is_last and index == 0 else (uid, index)
            # A progress bar redraws its line: what stands at the end is what a person would see.
            self.write(stream, text.rpartition("\r")[2], split)
            index = 0 if is_last else index + 1


def _supervise(
    process: "subprocess.Popen[bytes] | Forked",
    folder: Path,
    owner: dict[str, Any] | None,
    log: _Log,
) -> int:
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
    readers = [
        threading.Thread(target=log.copy, args=(stream, pipe), daemon=True)
        for stream, pipe in (("stdout", process.stdout), ("stderr", process.stderr))
    ]
    for reader in readers:
        reader.start()
    while process.poll() is None:
        stop = read_json(folder / "stop.json")
        if stop is not None:
            end(_tree(process.pid, folder), stop["graceSeconds"])
        elif owner is not None and not is_running(owner):
            end(_tree(process.pid, folder), 0)
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    end(_tree(None, folder), 0)  # what it has left behind, as a container's end does
    for reader in readers:
        reader.join(timeout=1)
    code = process.poll()
    assert code is not None  # noqa: S101, the loop above has seen it
    return code


def _adopt_orphans() -> None:
    """Makes this process the parent of descendants that lose theirs, where the system can."""
    if sys.platform == "linux":
        # https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def _tree(pid: int | None, folder: Path) -> list[psutil.Process]:
    """All that the command started, and the command itself where it still runs."""
    found = dict.fromkeys(psutil.Process().children(recursive=True))
    if pid is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)  # of a forked command, the forker is the parent
            found |= dict.fromkeys([*root.children(recursive=True), root])
    if sys.platform != "linux":
        found |= dict.fromkeys(marked(folder))
    return list(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])) if sys.argv[2:] else None)
