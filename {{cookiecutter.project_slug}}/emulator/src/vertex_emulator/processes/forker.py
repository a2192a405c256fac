"""python -m vertex_emulator.processes.forker MODULE DESCRIPTOR

Imports MODULE, calls its `warm_up`, and then forks a process for each who asks, which runs a
package as `python -m` would: what took seconds to import is there at once, in memory that all
share. Linux alone: elsewhere system libraries do not promise to live through a fork.

It runs one thread and nothing of what it has imported, since what other threads hold at a fork is
held for ever in the child. The sockets keep the messages apart (SOCK_SEQPACKET):

- DESCRIPTOR, to the emulator: each message carries a channel. At its end, this process ends.
- A channel, to one supervisor: takes the run's folder (see `supervisor`), with the descriptors for
  stdout and stderr; gives the child's PID and, later, its exit code.

Every child ends with this process: it holds the reading end of a pipe that ends with it.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

IS_SUPPORTED = sys.platform == "linux"
MAX_STARTS = 3  # of a forker that ends by itself
MESSAGE_BYTES = 16 * 1024
# What is freed stays with the process, up to 128 MB: blocks of rows come one after another, and
# fresh pages for each cost nearly as much as its predictions.
KEEP_MEMORY = {
    "PYTHONMALLOC": "malloc",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}


class Forker:
    """The emulator's side: starts the forker when it is first needed.

    Args:
        module: whose `warm_up` imports what the forks need.
        log: file for what the forker itself prints.
    """

    def __init__(self, module: str, log: Path) -> None:
        self.module = module
        self._log = log
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._starts = 0

    def channel(self) -> socket.socket | None:
        """Returns a new channel for one supervisor; None where there can be no forker."""
        with self._starting:
            if not self._is_up():
                return None
            assert self._control is not None  # noqa: S101
            mine, theirs = _pair()
            with theirs:
                try:
                    socket.send_fds(self._control, [b"channel"], [theirs.fileno()])
                except OSError:  # it has just ended; the supervisor starts its command plainly
                    mine.close()
                    return None
            return mine

    def close(self) -> None:
        """Ends the forker, and with it all its children."""
        with self._starting:
            if self._control is not None:
                self._control.close()
            if self._process is not None:
                self._process.kill()  # it may still be importing, and hears of nothing until then
                self._process.wait()

    def _is_up(self) -> bool:
        if self._process is not None and self._process.poll() is None:
            return True
        if not IS_SUPPORTED or self._starts == MAX_STARTS:
            return False
        self._starts += 1
        if self._control is not None:
            self._control.close()
        self._control, theirs = _pair()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with theirs, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, self.module, str(theirs.fileno())],
                cwd=Path(__file__).parents[2],
                env=os.environ | KEEP_MEMORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        return True


class Forked:
    """The supervisor's side of a forked process; used as a `subprocess.Popen` is.

    Args:
        channel: of the forker.
        folder: of the run.

    Raises:
        OSError: the forker is gone.
    """

    def __init__(self, channel: socket.socket, folder: Path) -> None:
        self._channel = channel
        self.returncode: int | None = None
        ends = [os.pipe(), os.pipe()]
        self.stdout, self.stderr = (os.fdopen(read, "rb") for read, _write in ends)
        try:
            socket.send_fds(channel, [os.fsencode(folder)], [write for _read, write in ends])
        finally:
            for _read, write in ends:
                os.close(write)
        answer = channel.recv(MESSAGE_BYTES)
        if not answer:
            raise OSError("the forker has ended")
        self.pid = int(answer)

    def poll(self) -> int | None:
        """Returns the exit code, or None while the process runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Returns the exit code. Raises subprocess.TimeoutExpired where it does not come."""
        if self.returncode is None:
            if not select.select([self._channel], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("forked process", timeout)
            answer = self._channel.recv(MESSAGE_BYTES)
            if not answer:  # nobody will say how it ends; it has the forker's end as its own
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(self.pid).kill()
            self.returncode = int(answer) if answer else -int(signal.SIGKILL)
        return self.returncode


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class _Server:
    """The forker's own side."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._channels: dict[int, socket.socket] = {}  # by PID
        self._lifeline = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._take_channel)
        # A signal that comes writes a byte, which ends the selector's wait.
        self._signals, wakeup = socket.socketpair()
        wakeup.setblocking(False)
        self._wakeup = wakeup
        signal.set_wakeup_fd(wakeup.fileno())
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._selector.register(self._signals, selectors.EVENT_READ, self._reap)
        self._ended = False

    def run(self) -> None:
        """Serves until the emulator has ended."""
        while not self._ended:
            for key, _events in self._selector.select():
                answer: Callable[[], None] = key.data
                answer()

    def _take_channel(self) -> None:
        message, descriptors, _flags, _address = socket.recv_fds(self._control, MESSAGE_BYTES, 1)
        if not message:
            self._ended = True
            return
        channel = socket.socket(fileno=descriptors[0])
        self._selector.register(channel, selectors.EVENT_READ, lambda: self._fork(channel))

    def _fork(self, channel: socket.socket) -> None:
        self._selector.unregister(channel)
        message, descriptors, _flags, _address = socket.recv_fds(channel, MESSAGE_BYTES, 2)
        if not message:
            channel.close()
            return
        folder = Path(os.fsdecode(message))
        pid = os.fork()
        if pid == 0:
            self._become(folder, channel, descriptors)
        for each in descriptors:
            os.close(each)
        self._channels[pid] = channel
        with contextlib.suppress(OSError):  # the supervisor is gone, and its run's owner with it
            channel.send(str(pid).encode())

    def _reap(self) -> None:
        self._signals.recv(MESSAGE_BYTES)
        while self._channels:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with self._channels.pop(pid) as channel, contextlib.suppress(OSError):
                channel.send(str(os.waitstatus_to_exitcode(status)).encode())

    def _become(self, folder: Path, channel: socket.socket, descriptors: list[int]) -> None:
        """Turns this process, just forked, into a run of a package; does not return."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            for target, descriptor in enumerate(descriptors, start=1):
                os.dup2(descriptor, target)
                os.close(descriptor)
            self._selector.close()
            os.close(self._lifeline[1])
            for each in (self._control, self._signals, self._wakeup, channel):
                each.close()
            for each in self._channels.values():
                each.close()
            threading.Thread(target=_end_with, args=(self._lifeline[0],), daemon=True).start()
            code = _run(json.loads((folder / "spec.json").read_bytes()))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns when the last writer, the forker, has ended
    os._exit(128 + signal.SIGKILL)


def _run(spec: dict[str, Any]) -> int:
    """Runs a package's `__main__` as `python -m` would; returns the exit code."""
    os.environ.clear()
    os.environ.update(spec["env"])
    tempfile.tempdir = None  # to be found again, from these variables
    os.chdir(spec["cwd"])
    sys.argv = spec["argv"][2:]  # behind `python -m`
    try:
        importlib.import_module(f"{sys.argv[0]}.__main__").main()
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    return 0


def main(name: str, descriptor: int) -> None:
    control = socket.socket(fileno=descriptor)
    importlib.import_module(name).warm_up()
    gc.collect()
    gc.freeze()  # a collection in a child would write to, and so copy, what it shares
    _Server(control).run()
    os._exit(0)  # at once, for the children wait for it; Python's own end takes TensorFlow seconds


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
