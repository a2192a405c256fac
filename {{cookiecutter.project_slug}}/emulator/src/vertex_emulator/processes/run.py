"""One supervised command, seen from the emulator: start it, read it, stop it, find it again."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from vertex_emulator.processes import supervisor
from vertex_emulator.processes.forker import Forker
from vertex_emulator.processes.identity import MARK, end, identity, is_running, marked
from vertex_emulator.processes.supervisor import read_json, write_json

START_SECONDS = 20.0  # the longest a supervisor may take to write down who it is


@dataclass(frozen=True)
class Line:
    """A line that the command printed.

    Attributes:
        time: RFC 3339 moment of reading it from the pipe.
        stream: `stdout` or `stderr`.
        text: the line without its end.
        split: of a line that is too long for one entry, an id that its pieces share and the place
            of this one.
    """

    time: str
    stream: str
    text: str
    split: tuple[str, int] | None = None


class Run:
    """A command whose whole state lives in a folder (see `supervisor`).

    Args:
        folder: made by `start`; a folder of an earlier emulator is attached to again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    def start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        *,
        ends_with_emulator: bool = False,
        forker: Forker | None = None,
    ) -> None:
        """Starts the command.

        Args:
            argv: the command.
            env: its whole environment.
            cwd: where it runs.
            ends_with_emulator: whether it ends when this process does.
            forker: forks the command, `python -m` and a package, where it can.

        Raises:
            OSError: the supervisor itself cannot start.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = identity(os.getpid()) if ends_with_emulator else None
        marked_env = {**env, MARK: str(self.folder)}
        write_json(
            self.folder / "spec.json",
            {"argv": list(argv), "env": marked_env, "cwd": str(cwd), "owner": owner},
        )
        # A session of its own: Ctrl-C at the emulator's terminal is for the emulator.
        channel = None if forker is None else forker.channel()
        passed = [] if channel is None else [channel.fileno()]
        with (
            channel or contextlib.nullcontext(),
            (self.folder / "supervisor.log").open("ab") as errors,
        ):
            self._child = subprocess.Popen(
                [sys.executable, "-m", supervisor.__name__, str(self.folder), *map(str, passed)],
                cwd=Path(supervisor.__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=passed,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while read_json(self.folder / "supervisor.json") is None:
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise OSError(f"the supervisor of {self.folder} did not start")
            time.sleep(0.005)

    def exit_code(self) -> int | None:
        """Returns the command's exit code, or None while it runs.

        Raises:
            ProcessLookupError: it ended and nobody saw how, as when a machine fails. What is left
                of its processes has been ended too.
        """
        if self._child is not None:
            self._child.poll()  # reaps it
        result = read_json(self.folder / "result.json")
        if result is not None:
            return int(result["exitCode"])
        if is_running(read_json(self.folder / "supervisor.json")):
            return None
        result = read_json(self.folder / "result.json")  # it may have ended between the two looks
        if result is None:
            self._end_leftovers()
            raise ProcessLookupError(f"the process of {self.folder.name} is gone without a result")
        return int(result["exitCode"])

    def _end_leftovers(self) -> None:
        """Ends the processes of a run whose supervisor is gone: none may go on beside the next."""
        left = marked(self.folder)
        process = read_json(self.folder / "process.json")
        if process is not None and is_running(process):
            with contextlib.suppress(psutil.NoSuchProcess):
                root = psutil.Process(process["pid"])
                left += [*root.children(recursive=True), root]
        end(list(dict.fromkeys(left)), 0)

    def stop(self, grace_seconds: float) -> None:
        """Asks for the end of the whole process tree: SIGTERM, and SIGKILL after the grace."""
        if self.folder.exists():
            write_json(self.folder / "stop.json", {"graceSeconds": grace_seconds})

    def was_stopped(self) -> bool:
        """Whether `stop` has been asked of this run."""
        return (self.folder / "stop.json").exists()

    def wait(self, seconds: float) -> bool:
        """Waits for the end; returns whether it came in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.exit_code() is not None:
                    return True
            except ProcessLookupError:
                return True
            time.sleep(0.02)
        return False

    def lines(self, offset: int = 0) -> Iterator[tuple[int, Line]]:
        """Yields whole lines from a byte offset on, each with the offset behind it."""
        try:
            file = (self.folder / "output.jsonl").open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                offset += len(raw)
                yield offset, Line(**json.loads(raw))

    def tail(self, max_bytes: int) -> Iterator[Line]:
        """Yields the last whole lines, as many as `max_bytes` of the output file hold."""
        try:
            with (self.folder / "output.jsonl").open("rb") as file:
                begin = max(0, file.seek(0, os.SEEK_END) - max_bytes)
                file.seek(max(0, begin - 1))
                if begin:
                    file.readline()  # the rest of a line that began before
                offset = file.tell()
        except FileNotFoundError:
            return
        for _offset, line in self.lines(offset):
            yield line
