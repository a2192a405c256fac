"""Fits the project to its trainer, and prints the next commands.

Cookiecutter renders it and runs it in the new project's folder.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

# Rendered by Cookiecutter; see pre_gen_project.py for why an answer cannot break out of it.
ANSWERS = r"""{{ cookiecutter | with_template_folder | tojson }}"""


ADOPT = "nox -s adopt -- FILE.csv --label COLUMN"


def next_commands(project: Path, data_set: str) -> list[str]:
    """Return the commands to type next, quoted for this machine's shell."""
    folder = str(project)
    quoted = subprocess.list2cmdline([folder]) if os.name == "nt" else shlex.quote(folder)
    adopt = [ADOPT] if data_set == "own" else []
    return [f"cd {quoted}", 'python -m pip install "nox[uv]"', *adopt, "nox -s demo"]


# What belongs to the trainer of tables, which a script of one's own replaces; a test holds it
# against docs/own-trainer.md.
TRAINER_OF_TABLES = (
    "trainer/tabular",
    "trainer/tables",
    "trainer/README.md",
    "benchmarks",
    "docs/course.md",
    "docs/cours.md",
    "docs/teaching.md",
    "docs/enseigner.md",
)
OWN_TESTS = ("conftest.py", "test_own_model.py")
# Scores on a table's test rows, which a script of one's own has none of.
OF_TABLES = re.compile(r"      - run: nox -s evaluate[^\n]*\n")
OWN_VALUES = (
    (r'data_set = "keras"[^\n]*', 'data_set = "" # no table'),
    (r"job_arguments = \[.*?\]", "job_arguments = []"),
    (r'argument_check = "[^"]*"[^\n]*', 'argument_check = ""'),
    (r'search_space = "[^"]*"[^\n]*', 'search_space = ""'),
    (r'tuning_metric = "[^"]*"', 'tuning_metric = "val_accuracy"'),
    (r', "trainer.tabular" = \["\*.html"\]', ""),
    (r'trainer = \["tables/\*.toml"\] ', ""),
    (r'"cloud", "benchmarks", "tests"\]', '"cloud", "tests"]'),
)


def begin_with_own_model(project: Path) -> None:
    """Puts a script of one's own in the place of the trainer of tables."""
    for name in TRAINER_OF_TABLES:
        found = project / name
        if found.is_dir():
            shutil.rmtree(found)
        else:
            found.unlink()
    for found in (project / "tests").iterdir():
        if found.is_dir():
            shutil.rmtree(found)
        elif found.name not in OWN_TESTS:
            found.unlink()
    shutil.copy(project / "docs" / "examples" / "digits.py", project / "trainer" / "task.py")
    values = (project / "pyproject.toml").read_text(encoding="utf-8")
    for pattern, value in OWN_VALUES:
        values, changed = re.subn(pattern, value, values, count=1, flags=re.DOTALL)
        if not changed:
            raise ValueError(f"pyproject.toml: expected {pattern!r}, found none.")
    (project / "pyproject.toml").write_text(values, encoding="utf-8")
    for workflow in (project / ".github" / "workflows").iterdir():
        steps = OF_TABLES.sub("", workflow.read_text(encoding="utf-8"))
        workflow.write_text(steps, encoding="utf-8")


def remember_template(project: Path, answers: dict[str, str]) -> None:
    """Writes what `nox -s update` needs: the template, its commit, and the answers.

    The file is cruft's, https://cruft.github.io/cruft/. A template that is in no repository of git
    has no newer version to come, and leaves none.
    """
    template = answers["_template_folder"]
    commit = _git(template, "rev-parse", "HEAD")
    if not commit or _git(template, "rev-parse", "--show-prefix"):
        return
    given = {name: answer for name, answer in answers.items() if not name.startswith("_")}
    state = {
        "template": _git(template, "remote", "get-url", "origin") or template,
        "commit": commit,
        "checkout": answers.get("_checkout"),
        "context": {"cookiecutter": given},
        "directory": None,
        # A script of one's own begins as a copy of the example, and then changes by itself.
        "skip": ["trainer/task.py"] if answers["data_set"] == "keras" else [],
    }
    text = json.dumps(state, ensure_ascii=False, indent=2)
    (project / ".cruft.json").write_text(f"{text}\n", encoding="utf-8")


def _git(folder: str, *words: str) -> str:
    """Returns what git prints in a folder; "" where it refuses, or is not there."""
    try:
        ran = subprocess.run(
            ["git", "-C", folder, *words], capture_output=True, check=False, encoding="utf-8"
        )
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""


if __name__ == "__main__":
    answers = json.loads(ANSWERS)
    # A terminal that cannot spell the name still gets the commands.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if answers["data_set"] == "keras":
        begin_with_own_model(Path.cwd())
    # What cruft bakes, to compare it, no person ever sees.
    if answers["_template_folder"]:
        remember_template(Path.cwd(), answers)
        commands = next_commands(Path.cwd(), answers["data_set"])
        print(f"{answers['project_name']} is ready. Next:", *commands, sep="\n    ")
