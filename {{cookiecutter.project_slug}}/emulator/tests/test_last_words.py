"""The reason of a failure, taken from what a command printed."""

import json
from pathlib import Path

import pytest

from vertex_emulator.logs.last_words import MAX_CHARACTERS, TAIL_BYTES, last_words
from vertex_emulator.processes.run import Run


def run_that_printed(folder: Path, *lines: tuple[str, str]) -> Run:
    with (folder / "output.jsonl").open("w", encoding="utf-8") as file:
        for stream, text in lines:
            document = {"time": "2026-01-01T00:00:00Z", "stream": stream, "text": text}
            file.write(json.dumps(document) + "\n")
    return Run(folder)


ERROR = json.dumps({"severity": "ERROR", "message": "There is no column 'x'; name one."})
LOGGED = json.dumps(
    {
        "severity": "critical",
        "message": "It failed\nTraceback (most recent call last):\n  File ...\nValueError: bad",
    }
)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([("stderr", ERROR)], "ERROR: There is no column 'x'; name one."),
        ([("stdout", ERROR), ("stdout", "bye")], "ERROR: There is no column 'x'; name one."),
        ([("stderr", "W noise"), ("stdout", ERROR)], "ERROR: There is no column 'x'; name one."),
        ([("stdout", ERROR), ("stderr", "ValueError: bad")], "ValueError: bad"),
        ([("stderr", LOGGED)], "CRITICAL: ValueError: bad"),
        (
            [("stderr", "Traceback (most recent call last):"), ("stderr", "KeyError: 1")],
            "KeyError: 1",
        ),
        ([("stdout", '{"severity": "WARN", "message": "low"}')], "WARNING: low"),
        ([("stderr", '{"message": "plain"}')], "ERROR: plain"),
        ([("stderr", '{"loss": 1}')], '{"loss": 1}'),
        ([("stderr", '{"message": {"text": "nested"}}')], '{"message": {"text": "nested"}}'),
        ([("stderr", '{"message": " "}')], '{"message": " "}'),
        ([("stderr", '{"message": "cut')], '{"message": "cut'),
        ([("stderr", "[1, 2]")], "[1, 2]"),
        ([("stderr", "said"), ("stderr", "  ")], "said"),
        ([("stdout", "one"), ("stdout", "two")], "two"),
        ([("stderr", "x" * 3000)], "x" * MAX_CHARACTERS + " …"),
        ([], ""),
    ],
)
def test_last_words(tmp_path: Path, lines: list[tuple[str, str]], words: str) -> None:
    assert last_words(run_that_printed(tmp_path, *lines)) == words


def test_several(tmp_path: Path) -> None:
    run = run_that_printed(tmp_path, *(("stderr", str(number)) for number in range(5)))
    assert last_words(run, 3) == "2\n3\n4"
    assert last_words(Run(tmp_path / "none"), 3) == ""


def test_a_long_output_is_read_from_its_end(tmp_path: Path) -> None:
    many = TAIL_BYTES // 1000
    run = run_that_printed(
        tmp_path, ("stderr", "long ago"), *(("stdout", f"{n} {'x' * 1000}") for n in range(many))
    )
    assert last_words(run).startswith(f"{many - 1} x")
    whole = (tmp_path / "output.jsonl").stat().st_size
    assert len(list(run.tail(whole))) == many + 1
    assert len(list(run.tail(whole - 1))) == many  # not a line that is cut
    assert list(run.tail(10)) == []
