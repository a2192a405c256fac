"""`nox -s update` brings a newer template into a project, and keeps what its owner changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bake import PROJECT, copy_template, run_cookiecutter

COMMANDS = "cloud/commands/__init__.py"
OLD_PURPOSE, NEW_PURPOSE = (
    "go back to the version before",
    "go back to the previous default version",
)
NEW_FILE = ".editorconfig"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *words: str) -> str:
    identity = {
        f"GIT_{who}_{what}": "me@example.com"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    ran = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *words],
        cwd=folder,
        capture_output=True,
        check=True,
        encoding="utf-8",
        env=os.environ | identity,
    )
    return ran.stdout.strip()


def commit_all(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "All of it")
    return git(folder, "rev-parse", "HEAD")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def update(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nox", "-s", "update"]
    return subprocess.run(command, cwd=project, capture_output=True, check=False, encoding="utf-8")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the template with an older version, and today's on top."""
    folder = copy_template(tmp_path_factory.mktemp("template") / "repository")
    git(folder, "init", "--quiet")
    change(folder / PROJECT / COMMANDS, NEW_PURPOSE, OLD_PURPOSE)
    today = (folder / PROJECT / NEW_FILE).read_bytes()
    (folder / PROJECT / NEW_FILE).unlink()
    commit_all(folder)
    git(folder, "branch", "older")
    change(folder / PROJECT / COMMANDS, OLD_PURPOSE, NEW_PURPOSE)
    (folder / PROJECT / NEW_FILE).write_bytes(today)
    commit_all(folder)
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A project of the older version, in a repository of its own."""
    git(template, "checkout", "--quiet", "older")
    answers = ("--no-input", "data_set=penguins", "project_name=Our birds")
    baked = run_cookiecutter(template, tmp_path / "output", *answers)
    git(template, "checkout", "--quiet", "main")
    assert baked.returncode == 0, baked.stdout + baked.stderr
    [folder] = (tmp_path / "output").iterdir()
    git(folder, "init", "--quiet")
    commit_all(folder)
    return folder


def test_an_update_keeps_what_the_owner_changed(template: Path, project: Path) -> None:
    known = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))
    assert known["template"] == str(template)
    assert known["commit"] == git(template, "rev-parse", "older")
    assert known["context"]["cookiecutter"]["project_name"] == "Our birds"

    change(project / "pyproject.toml", 'region = "us-central1"', 'region = "europe-west1"')
    change(project / "trainer/tabular/plan.py", "FOLDS = 5", "FOLDS = 4")
    change(project / "trainer/tables/penguins.toml", "epochs = 40", "epochs = 41")
    (project / "trainer/tables/eggs.toml").write_text("# a table of our own\n", encoding="utf-8")
    change(project / COMMANDS, '"demo": "run every', '"demo": "ours: run every')
    (project / "docs/course.md").unlink()
    theirs = {
        name: (project / name).read_text(encoding="utf-8")
        for name in ("pyproject.toml", "trainer/tabular/plan.py", "trainer/tables/penguins.toml")
    }
    commit_all(project)

    ran = update(project)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for name, text in theirs.items():
        assert (project / name).read_text(encoding="utf-8") == text
    assert (project / "trainer/tables/eggs.toml").exists()
    assert not (project / "docs/course.md").exists()
    merged = (project / COMMANDS).read_text(encoding="utf-8")
    assert NEW_PURPOSE in merged
    assert '"demo": "ours: run every' in merged
    assert (project / NEW_FILE).read_bytes() == (template / PROJECT / NEW_FILE).read_bytes()
    known = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))
    assert known["commit"] == git(template, "rev-parse", "main")
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list"], cwd=project, capture_output=True, check=True
    )
    assert b"ours: run every" in listed.stdout or b"Ours: run every" in listed.stdout

    commit_all(project)
    again = update(project)
    assert again.returncode == 0
    assert "up to date" in again.stdout + again.stderr


def test_what_both_changed_is_named(project: Path) -> None:
    change(project / COMMANDS, OLD_PURPOSE, "list our jobs")
    commit_all(project)
    ran = update(project)
    assert ran.returncode == 1
    assert f"edit them: {COMMANDS}" in ran.stdout + ran.stderr


def test_a_project_without_its_template_says_how_to_name_it(project: Path) -> None:
    (project / ".cruft.json").unlink()
    ran = update(project)
    assert ran.returncode == 1
    assert "expected .cruft.json" in ran.stdout + ran.stderr
    assert "cruft link URL" in ran.stdout + ran.stderr
