"""What a person sees is safe, fits, and can be printed anywhere."""

import io
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from rich.console import Console

from cloud import console
from cloud.console import Column, amount

HOSTILE = "\x1b]0;owned\x07\x1b[2J[/x][link=http://x]job[/link]\u202e\x9b31m"


def test_numbers_are_written_as_people_read_them() -> None:
    numbers = {
        22_473_800.4: "22,473,800",
        1234.5678: "1,234.57",
        7.330683: "7.33068",
        -0.012345678: "-0.0123457",
        5.0: "5",
        100_000.0: "100,000",
        0: "0",
        1e-9: "1e-09",
        3e38: "3e+38",
    }
    assert {number: amount(number) for number in numbers} == numbers


def test_control_characters_are_shown_and_not_obeyed() -> None:
    shown = console.text(HOSTILE).plain
    assert shown == r"\x1b]0;owned\x07\x1b[2J[/x][link=http://x]job[/link]\u202e\x9b31m"
    assert console.text("two\nlines\tand a tab").plain == "two\nlines\tand a tab"


def drawn(width: int, columns: list[Column], rows: list[list[str]]) -> list[str]:
    out = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    out.print(console.table(columns, rows, out))
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


def test_a_hostile_name_is_a_cell_like_any_other() -> None:
    [_title, row] = drawn(120, [Column("name"), Column("state")], [[HOSTILE, "running"]])
    assert "[/x][link=http://x]job[/link]" in row
    assert "\x1b" not in row


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (80, ["name", "state", "score", "age"]),
        (35, ["name", "state", "score"]),
        (26, ["name", "state"]),
        (10, ["name", "state"]),
    ],
)
def test_a_narrow_terminal_shows_fewer_columns(width: int, titles: list[str]) -> None:
    columns = [Column("name"), Column("state"), Column("score", 1), Column("age", 2)]
    lines = drawn(width, columns, [["first-20270101", "running", "0.9123", "2 min 3 s"]])
    if width >= 26:
        assert lines[0].split() == titles
        assert len(lines) == 2, "no cell takes two lines"
        assert lines[1].startswith("first-20270101")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_every_terminal_can_show_it(encoding: str) -> None:
    program = "from cloud.console import say, fail; say('✓ ▁█ größe 日本'); fail('… ✗')"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "gr" in ran.stdout.decode(encoding)
    assert b"Traceback" not in ran.stderr
