"""`python -m trainer.task` as a user, a job and a killer see it."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainer import console, task

from .conftest import LEARNING, MakeSettings, Trained, trained_on, without_speed

COMMAND = [sys.executable, "-m", "trainer.task"]


# Trains until the line that begins so, and dies of it before anything else is done.
DIE_AT = """
import os, signal, sys, threading
from trainer import console
from trainer.tabular import run, settings
say = console.say
def die(message, *arguments):
    say(message, *arguments)
    if message.startswith("Epoch 2/"):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
console.say = die
run.run(settings.parse(sys.argv[1:]), threading.Event())
"""


@trained_on("penguins")
def test_killed_and_started_again_it_ends_as_if_undisturbed(
    trained: Trained, make_settings: MakeSettings
) -> None:
    """Started again in a terminal, which shows a bar, and none of TensorFlow's noise."""
    settings = make_settings("penguins", **LEARNING)
    killed = subprocess.run(
        [sys.executable, "-c", DIE_AT, *settings.arguments()], capture_output=True, check=False
    )
    assert killed.returncode != 0
    assert b"Epoch 2/" in killed.stdout
    assert b"\x1b" not in killed.stdout

    shown = in_terminal([*COMMAND, *settings.arguments()])
    assert b"Continuing after epoch 2, step 0" in shown
    assert b"\x1b" in shown  # a bar
    assert b"Training" in shown
    assert b"Epoch 3/3" in shown
    for noise in (b"WARNING", b"cuda"):
        assert noise not in shown
    found = json.loads(Path(settings.model_dir, "evaluation.json").read_text(encoding="utf-8"))
    assert without_speed(found) == without_speed(trained.document)


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
def test_sigterm_in_a_job_saves_a_checkpoint(
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = make_settings("penguins", epochs=3)
    say = console.say

    def terminate(message: str, *arguments: Any) -> None:
        say(message, *arguments)
        if message.startswith("Epoch 2/"):
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setenv("CLUSTER_SPEC", "{}")
        patch.setattr(console, "say", terminate)
        assert task.main(settings.arguments()) == 128 + signal.SIGTERM
    said = capsys.readouterr()
    entries = [json.loads(line) for line in said.out.splitlines()]
    assert {entry["severity"] for entry in entries} == {"INFO"}
    assert [entry["epoch"] for entry in entries if "epoch" in entry] == [1, 2]
    assert all(0 < entry["loss"] < 5 for entry in entries if "epoch" in entry)
    assert json.loads(said.err)["severity"] == "ERROR"
    assert "saved a checkpoint" in json.loads(said.err)["message"]
    assert not Path(settings.model_dir, "1").exists()

    assert task.main(settings.arguments()) == 0
    assert "Continuing after epoch 2, step 0" in capsys.readouterr().out
    assert Path(settings.model_dir, "1", "saved_model.pb").exists()


def test_a_users_mistake_is_one_line_and_exit_code_1(
    make_settings: MakeSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    before = signal.getsignal(signal.SIGTERM)
    assert task.main(make_settings(train_data=str(empty)).arguments()) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"{empty}: expected a header")
    assert said.err.count("\n") == 1
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_bug_shows_its_traceback(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object) -> None:
        raise KeyError("bug")

    monkeypatch.setattr("trainer.tabular.run.measure", measure)
    with pytest.raises(KeyError, match="bug"):
        task.main(make_settings().arguments())


def in_terminal(command: list[str]) -> bytes:
    """Runs a command that must succeed in a terminal; returns what it shows."""
    pty = pytest.importorskip("pty")  # not on Windows
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        command,
        stdout=terminal,
        stderr=terminal,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(terminal)
    shown = b""
    while chunk := read_terminal(controller):
        shown += chunk
    os.close(controller)
    assert process.wait() == 0, shown
    return shown


def read_terminal(controller: int) -> bytes:
    try:
        return os.read(controller, 65_536)
    except OSError:  # how Linux says that the other side is closed
        return b""


def test_too_little_disk_is_one_line(
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def savez(file: Any, **_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # a write names no file

    monkeypatch.setattr("numpy.savez", savez)
    settings = make_settings("penguins")
    assert task.main(settings.arguments()) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(settings.checkpoint_dir)
    assert "expected space on the disk, got none" in said
    assert not Path(settings.checkpoint_dir, "checkpoint.json").exists()
