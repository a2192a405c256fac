"""A slip at the command line gets the line that was meant."""

import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from cloud import command_line
from cloud.__main__ import main
from cloud.commands import tensorboard
from cloud.errors import UserError


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("submit", "--epochs", "1"), "nox -s submit -- -- --epochs 1"),
        (("submit", "--epochs=1", "--spot"), "nox -s submit -- --spot -- --epochs=1"),
        (
            ("submit", "--name", "x", "--batch-size", "8", "--", "--seed", "2"),
            "nox -s submit -- --name x -- --batch-size 8 --seed 2",
        ),
        (("train", "--config", "tiny"), "nox -s train -- -- --config tiny"),
        (("demo", "--rows", "9", "--l2", "0.1"), "nox -s demo -- --rows 9 -- --l2 0.1"),
    ],
)
def test_a_flag_of_the_trainer_gets_the_right_line(words: tuple[str, ...], line: str) -> None:
    with pytest.raises(UserError) as raised:
        command_line.parse(list(words))
    assert str(raised.value).endswith(f"after a second --: {line}")


def test_flags_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["cancel", "--al", "x"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --al" in capsys.readouterr().err
    assert main(["submit", "--nam", "x"]) == 1
    assert "--nam is no flag of submit" in capsys.readouterr().err


def test_a_flag_after_the_separator_is_the_trainers() -> None:
    options = command_line.parse(["submit", "--name", "x", "--", "--epochs", "1"])
    assert (options.name, options.trainer) == ("x", ["--epochs", "1"])


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches a console's whole group there")
def test_an_interrupt_during_the_imports_is_no_traceback() -> None:
    program = """
import builtins, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
real = builtins.__import__
def interrupted(name, *arguments):
    if name == "rich.console":
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *arguments)
builtins.__import__ = interrupted
from cloud.__main__ import main
sys.exit(main(["jobs"]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in ran.stderr


def test_tensorboard_takes_a_free_port() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        with pytest.raises(UserError, match=f"--port: {taken} cannot be used here; --port 0"):
            tensorboard.free_port(taken)
    assert tensorboard.free_port(0) not in (0, taken)
    first = tensorboard.free_port(None)
    with socket.create_server(("127.0.0.1", first)):
        assert tensorboard.free_port(None) > first
    with pytest.raises(UserError, match="--port: 70000 cannot be used"):
        tensorboard.free_port(70_000)
