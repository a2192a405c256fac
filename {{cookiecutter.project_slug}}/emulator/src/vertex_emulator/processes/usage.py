"""How much processor and memory a supervised command uses, with all that it started."""

import time
from pathlib import Path

import psutil

from vertex_emulator.processes.identity import is_running
from vertex_emulator.processes.supervisor import read_json


class Tree:
    """A command and the processes below it, as seen at several moments.

    Args:
        folder: of the run (see `vertex_emulator.processes.supervisor`).

    Raises:
        psutil.NoSuchProcess: the run has ended, or has not begun.
    """

    def __init__(self, folder: Path) -> None:
        process = read_json(folder / "process.json")
        if process is None:
            raise psutil.NoSuchProcess(-1)
        self._root = psutil.Process(process["pid"])
        if not is_running(process):
            raise psutil.NoSuchProcess(process["pid"])
        self._seen_at: float = self._root.create_time()
        self._seconds: dict[psutil.Process, float] = {}

    def look(self) -> tuple[float, int]:
        """Returns how many processors the tree kept busy since the last look, and its bytes.

        The first time, since its start. The bytes are resident memory; what processes of the tree
        share counts for each.

        Raises:
            psutil.NoSuchProcess: the run has ended.
        """
        now = time.time()
        seconds: dict[psutil.Process, float] = {}
        memory = 0
        for process in (self._root, *self._root.children(recursive=True)):
            try:
                times = process.cpu_times()
                memory += process.memory_info().rss
            except psutil.Error:
                continue  # it ended just now
            seconds[process] = times.user + times.system
        busy = sum(spent - self._seconds.get(process, 0.0) for process, spent in seconds.items())
        elapsed = max(now - self._seen_at, 0.001)
        self._seen_at, self._seconds = now, seconds
        return busy / elapsed, memory
