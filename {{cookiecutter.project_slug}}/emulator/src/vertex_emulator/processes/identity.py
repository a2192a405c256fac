"""Which process is meant: a number that the system gives again is not enough."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import psutil

MARK = "VERTEX_EMULATOR_RUN"  # in the environment of a run's processes: the run's folder
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def identity(pid: int) -> dict[str, Any]:
    """What tells a process from a later one of the same number.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    return {"pid": pid, "started": _started(pid)}


def is_running(process: dict[str, Any] | None) -> bool:
    """Whether the process of an `identity` still runs."""
    if process is None:
        return False
    try:
        return (
            _started(process["pid"]) == process["started"]
            and psutil.Process(process["pid"]).status() != psutil.STATUS_ZOMBIE
        )
    except (psutil.NoSuchProcess, KeyError):  # gone, or written by an older version
        return False


def marked(run: Path) -> list[psutil.Process]:
    """Returns the processes whose environment names a run, whoever their parents are."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == str(run):
                found.append(process)
        except (psutil.Error, OSError):  # gone, or another user's
            continue
    return found


def end(processes: list[psutil.Process], grace_seconds: float) -> None:
    """Ends processes: gently, and by force after the grace."""
    for process in processes:
        _signal(process, gently=grace_seconds > 0)
    _gone, left = psutil.wait_procs(processes, timeout=grace_seconds)
    for process in left:
        _signal(process, gently=False)


def _started(pid: int) -> str | float:
    """When a process began, on a clock that nobody sets.

    On Linux ticks since the start of the machine, whose clock psutil's `create_time` follows.
    """
    if sys.platform != "linux":
        return psutil.Process(pid).create_time()
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise psutil.NoSuchProcess(pid) from error
    # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: field 22, behind the name in (…)
    ticks = stat.rpartition(b")")[2].split()[19].decode()
    return f"{_BOOT.read_text().strip()}/{ticks}"


def _signal(process: psutil.Process, *, gently: bool) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate() if gently else process.kill()
