"""Prints the next commands; Cookiecutter renders and runs it in the new project's folder."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

# Rendered by Cookiecutter; see pre_gen_project.py for why an answer cannot break out of it.
ANSWERS = r"""{{ cookiecutter | tojson }}"""


ADOPT = "nox -s adopt -- FILE.csv --label COLUMN"


def next_commands(project: Path, data_set: str) -> list[str]:
    """Return the commands to type next, quoted for this machine's shell."""
    folder = str(project)
    quoted = subprocess.list2cmdline([folder]) if os.name == "nt" else shlex.quote(folder)
    adopt = [ADOPT] if data_set == "own" else []
    return [f"cd {quoted}", 'python -m pip install "nox[uv]"', *adopt, "nox -s demo"]


if __name__ == "__main__":
    answers = json.loads(ANSWERS)
    # A terminal that cannot spell the name still gets the commands.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    commands = next_commands(Path.cwd(), answers["data_set"])
    print(f"{answers['project_name']} is ready. Next:", *commands, sep="\n    ")
