"""Checks each answer as soon as it is given: a local extension of Cookiecutter.

The rules are in hooks/pre_gen_project.py. Cookiecutter runs that hook only after it has made the
new project's folder, and prints a traceback around the hook's own words. `cookiecutter.json`
therefore sends the answers so far through this filter after each question, so that a refusal comes
before the next question, is its sentences and nothing else, and leaves no folder behind. The hook
stays the guard where nothing is asked: on a replay of stored answers.
"""

from __future__ import annotations

import os
import runpy
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
from cookiecutter.exceptions import FailedHookException
from cookiecutter.utils import simple_filter

RULES = Path(__file__).resolve().parent / "hooks" / "pre_gen_project.py"
LAST_QUESTION = "bucket"


@simple_filter  # type: ignore[untyped-decorator]  # Cookiecutter ships no types
def refuse_bad_answers(answers: dict[str, Any]) -> str:
    """Return an empty string when every answer so far is good.

    Raises:
        FailedHookException: With one sentence a line for each bad answer, and the command that
            keeps the good ones where they were typed; Cookiecutter prints it and exits with 1.
    """
    command = click.get_current_context(silent=True)
    given = command.params if command else {}
    if given.get("no_input") and LAST_QUESTION not in answers:
        return ""  # a script is told of all its bad answers at once
    bad: dict[str, str] = runpy.run_path(str(RULES))["refusals"](answers)
    if not bad:
        return ""
    lines = list(bad.values())
    if command and not given.get("no_input"):
        good = [
            f"{name}={answer}"
            for name, answer in answers.items()
            if name not in bad and not name.startswith("_")
        ]
        again = quoted(["cookiecutter", str(given["template"]), *good])
        lines += ["This command keeps your other answers:", f"    {again}"]
    raise FailedHookException("\n".join(lines))


def quoted(words: list[str]) -> str:
    """Return a command line for this machine's shell."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
