"""`python tests/bake.py OUTPUT [NAME=ANSWER ...]` bakes a project into the folder OUTPUT.

It prints the project's folder. An earlier project of the same name is baked over; answers that
are not given are the template's defaults. Only the template's own files are baked, never the
caches and environments that lie between them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "{{cookiecutter.project_slug}}"  # the folder's name, as it stands in the repository

# What tools leave behind. Git knows it from .gitignore; this is for a copy without git.
LEFT_BEHIND = (
    ".emulator",
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".nox",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "build",
    "dist",
    "*.egg-info",
    "*.py[cod]",
)


def files_known_to_git(root: Path) -> list[Path]:
    """Return the files under `root` that git tracks or would add, relative to it.

    The list is empty where git is missing or `root` is in no repository.
    """
    git = shutil.which("git")
    if git is None:
        return []
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    # A file that is deleted and not yet committed is still listed.
    return [Path(name) for name in names if name and (root / name).is_file()]


def files_without_caches(root: Path) -> Iterator[Path]:
    """Yield every file under `root` that no tool has left behind, relative to it."""
    for path in root.rglob("*"):
        file = path.relative_to(root)
        if path.is_file() and not any(
            Path(part).match(pattern) for part in file.parts for pattern in LEFT_BEHIND
        ):
            yield file


def template_files(root: Path = ROOT) -> list[Path]:
    """Return the template's own files, sorted and relative to `root`."""
    return sorted(files_known_to_git(root) or files_without_caches(root))


def copy_template(destination: Path, root: Path = ROOT) -> Path:
    """Copy the template's own files into the new folder `destination` and return it."""
    for file in template_files(root):
        copy = destination / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / file, copy)
    return destination


def run_cookiecutter(
    template: Path, output: Path, *arguments: str, typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command `cookiecutter` and return its exit code and what it printed.

    It reads no settings of the user's and stores nothing in their home: its own files go beside
    the template, in `template`.settings. `typed` is what a person answers to its questions.
    """
    settings = template.with_name(f"{template.name}.settings")
    settings.mkdir(exist_ok=True)
    config = settings / "config.yaml"
    # JSON is YAML, and quotes the paths of every system rightly.
    config.write_text(
        json.dumps({"cookiecutters_dir": str(settings), "replay_dir": str(settings)}),
        encoding="utf-8",
    )
    places = ["--output-dir", str(output), "--config-file", str(config)]
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(template), *places, *arguments],
        input=typed,
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
    )


def bake(output: Path, answers: Iterable[str]) -> Path:
    """Bake a project into `output`, over an earlier one of the same name, and return its folder.

    Args:
        output: The folder to make the project's folder in.
        answers: Each as NAME=ANSWER; the others are the template's defaults.

    Raises:
        SystemExit: With what Cookiecutter printed, when it refuses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        template = copy_template(Path(scratch) / "template")
        run = run_cookiecutter(template, output, "--no-input", "--overwrite-if-exists", *answers)
        if run.returncode != 0:
            raise SystemExit(run.stdout + run.stderr)
        settled = Path(scratch, "template.settings", "template.json").read_text(encoding="utf-8")
    slug: str = json.loads(settled)["cookiecutter"]["project_slug"]
    return output / slug


def main() -> None:
    """Bake what the command line asks for."""
    parser = argparse.ArgumentParser(description="Bake a project from the template's own files.")
    parser.add_argument("output", type=Path, help="folder to make the project's folder in")
    parser.add_argument(
        "answers", nargs="*", metavar="NAME=ANSWER", help="such as data_set=penguins"
    )
    arguments = parser.parse_args()
    print(bake(arguments.output, arguments.answers))


if __name__ == "__main__":
    main()
