"""Two local extensions of Cookiecutter: each answer is checked at once, and the template is found.

The rules of answers are in hooks/pre_gen_project.py. Cookiecutter runs that hook only after it has
made the new project's folder, and prints a traceback around the hook's own words.
`cookiecutter.json` therefore sends the answers so far through `refuse_bad_answers` after
each question, so that a refusal comes before the next question, is its sentences and nothing else,
and leaves no folder behind. The hook stays the guard where nothing is asked: on a replay of stored
answers.
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


@simple_filter  # type: ignore[untyped-decorator]
def with_template_folder(answers: dict[str, Any]) -> dict[str, Any]:
    """Return what a hook is told: the answers, and as `_template_folder` where the template is.

    That is "" where cruft bakes for an update. `_repo_dir` is relative to where Cookiecutter was
    started, as the template was typed. A hook is rendered in the template's folder, and runs in the
    project's.
    """
    return {**answers, "_template_folder": str(Path.cwd()) if "_repo_dir" in answers else ""}


def quoted(words: list[str]) -> str:
    """Return a command line for this machine's shell."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
