"""Checks the answers before anything is made: a local extension of Cookiecutter.

The rules are in hooks/pre_gen_project.py. Cookiecutter runs that hook only after it has made the
new project's folder, and prints a traceback around the hook's own words. `cookiecutter.json`
therefore sends the answers through this filter as its last step of asking, so that a refusal is
its sentences and nothing else, and leaves no folder behind. The hook stays the guard on the one
road that asks nothing: a replay of stored answers.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from cookiecutter.exceptions import FailedHookException
from cookiecutter.utils import simple_filter

RULES = Path(__file__).resolve().parent / "hooks" / "pre_gen_project.py"


@simple_filter  # type: ignore[untyped-decorator]  # Cookiecutter ships no types
def refuse_bad_answers(answers: dict[str, Any]) -> str:
    """Return an empty string when every answer is good.

    Raises:
        FailedHookException: With one sentence a line for each bad answer; Cookiecutter prints it
            and exits with 1.
    """
    refusals = runpy.run_path(str(RULES))["refusals"](answers)
    if refusals:
        raise FailedHookException("\n".join(refusals))
    return ""
