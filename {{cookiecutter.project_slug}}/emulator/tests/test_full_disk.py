"""A disk that is full for a while: jobs go on where it left them, and nothing is lost."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from vertex_emulator.processes.run import Run
from vertex_emulator.processes.supervisor import read_json

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sets another process's limits")

LINES = 3000
CODE = f"""
for number in range({LINES}):
    print(number, "x" * 100, flush=True)
"""


def limit_files(pid: int, size: int) -> None:
    """Makes the disk full for one process: no file of its grows past a size; -1 is no limit."""
    import resource

    _soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def supervisor_of(run: Run) -> int:
    identity: Any = read_json(run.folder / "supervisor.json")
    return int(identity["pid"])


def reap(run: Run) -> None:
    assert run._child is not None
    run._child.wait()


def wait_for_output(run: Run, size: int) -> None:
    """Waits until the output of a run has more than a number of bytes."""
    output = run.folder / "output.jsonl"
    while not output.exists() or output.stat().st_size <= size:
        time.sleep(0.01)


def test_the_supervisor_waits_for_room_and_loses_no_line(tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n{CODE}"
    run = Run(tmp_path / "run")
    run.start([sys.executable, "-c", code], {}, tmp_path)
    limit_files(supervisor_of(run), 10_000)
    go.touch()
    output = run.folder / "output.jsonl"
    wait_for_output(run, 9_000)
    assert not run.wait(1)  # the command stands at its full pipe
    assert output.stat().st_size <= 10_000
    limit_files(supervisor_of(run), -1)
    assert run.wait(60)
    assert run.exit_code() == 0
    assert [int(line.text.split()[0]) for _end, line in run.lines()] == list(range(LINES))
    reap(run)


def test_a_run_can_be_stopped_while_the_disk_is_full(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.start([sys.executable, "-c", "while True:\n  print('x' * 100, flush=True)"], {}, tmp_path)
    limit_files(supervisor_of(run), 10_000)
    wait_for_output(run, 9_000)
    limit_files(supervisor_of(run), 0)
    run.stop(0.1)
    assert not run.wait(1)  # its result cannot be written
    limit_files(supervisor_of(run), -1)
    assert run.wait(30)
    assert run.exit_code() is not None
    reap(run)
