"""The list of commands is the only one: the command line, nox and the README go by it."""

import os
import re
import subprocess
import sys

from conftest import ROOT

from cloud.commands import COMMANDS


def test_every_command_is_a_module_and_every_module_a_command() -> None:
    modules = {path.stem for path in (ROOT / "cloud" / "commands").glob("[!_]*.py")}
    assert modules == COMMANDS.keys()


def test_every_command_is_a_session() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list"],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    sessions = dict(re.findall(r"^[-*] (\w+) -> (.*)$", listed.stdout, re.MULTILINE))
    for name, purpose in COMMANDS.items():
        assert sessions[name] == f"{purpose[0].upper()}{purpose[1:]}."


def test_the_readme_lists_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `nox -s (\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert {name: rows.get(name) for name in COMMANDS} == COMMANDS


def test_no_command_serves_as_a_library() -> None:
    """What two commands share lies below them."""
    for path in (ROOT / "cloud").rglob("*.py"):
        if path.name != "command_line.py":  # which calls them
            found = re.findall(r"^\s*(?:from|import) cloud\.commands\b.*", path.read_text(), re.M)
            assert found == [], path
