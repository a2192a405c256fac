"""Prints the next three commands; Cookiecutter renders and runs it in the new project's folder."""

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


def next_commands(project: Path) -> list[str]:
    """Return the commands to type next, quoted for this machine's shell."""
    folder = str(project)
    quoted = subprocess.list2cmdline([folder]) if os.name == "nt" else shlex.quote(folder)
    return [f"cd {quoted}", 'python -m pip install "nox[uv]"', "nox -s demo"]


if __name__ == "__main__":
    name = json.loads(ANSWERS)["project_name"]
    # A terminal that cannot spell the name still gets the commands.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    print(f"{name} is ready. Next:", *next_commands(Path.cwd()), sep="\n    ")
