"""`nox -s update` brings a newer template into a project, and keeps what its owner changed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bake import PROJECT, ROOT, copy_template, run_cookiecutter

COMMANDS = "cloud/commands/__init__.py"
OLD_PURPOSE, NEW_PURPOSE = (
    "go back to the version before",
    "go back to the previous default version",
)
NEW_FILE = ".editorconfig"
EXAMPLE, OWN_SCRIPT = "docs/examples/digits.py", "trainer/task.py"
DELETED = ("docs/course.md", "docs/cours.md")  # by the owner
# The newest release in CHANGELOG.md: ## 1.0.0 — 2026-11-27, commit b9eb6a4
RELEASE = re.compile(r"^## \d+\.\d+\.\d+ — \d{4}-\d\d-\d\d, commit (\w+)$", re.MULTILINE)
OWN_COMMAND = '''"""hello: greets."""

import argparse

from cloud.client import Client
from cloud.console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="you")


def run(client: Client, options: argparse.Namespace) -> int:
    """Greets from the project's region."""
    say(f"Hello {options.name}, from {client.config.region}")
    return 0
'''

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


def run(project: Path, *command: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a module of Python in a project; return its exit code and all that it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"} | (environment or {}),
    )
    return ran.returncode, ran.stdout


def update(project: Path) -> tuple[int, str]:
    return run(project, "nox", "-s", "update")


def baked(template: Path, output: Path, *answers: str) -> Path:
    """A project of the template's older version, in a repository of its own."""
    git(template, "checkout", "--quiet", "older")
    made = run_cookiecutter(template, output, "--no-input", *answers)
    git(template, "checkout", "--quiet", "main")
    assert made.returncode == 0, made.stdout + made.stderr
    [folder] = output.iterdir()
    git(folder, "init", "--quiet")
    commit_all(folder)
    return folder


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the template with the last released version, and today's on top."""
    found = RELEASE.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert found is not None
    archive = tmp_path_factory.mktemp("released") / "template.zip"
    try:
        git(ROOT, "archive", f"--output={archive}", found[1])
    except subprocess.CalledProcessError as error:
        pytest.skip(f"commit {found[1]} is not here, as in a shallow clone: {error.stderr.strip()}")
    folder = archive.with_name("repository")
    shutil.unpack_archive(archive, folder)
    git(folder, "init", "--quiet")
    commit_all(folder)
    git(folder, "branch", "older")
    git(folder, "rm", "-r", "--quiet", ".")
    copy_template(folder)
    commit_all(folder)
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the template with a version that lacks what is known, and today's on top."""
    folder = copy_template(tmp_path_factory.mktemp("template") / "repository")
    today = {name: (folder / PROJECT / name).read_bytes() for name in (COMMANDS, EXAMPLE, NEW_FILE)}
    git(folder, "init", "--quiet")
    change(folder / PROJECT / COMMANDS, NEW_PURPOSE, OLD_PURPOSE)
    change(folder / PROJECT / EXAMPLE, "import", "import  # older\nimport")
    (folder / PROJECT / NEW_FILE).unlink()
    commit_all(folder)
    git(folder, "branch", "older")
    for name, content in today.items():
        (folder / PROJECT / name).write_bytes(content)
    commit_all(folder)
    return folder


def test_an_update_from_the_last_release_keeps_what_the_owner_changed(
    released: Path, tmp_path: Path
) -> None:
    project = baked(released, tmp_path, "data_set=penguins", "project_name=Our birds")
    known = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))
    assert known["template"] == str(released)
    assert known["commit"] == git(released, "rev-parse", "older")
    assert known["context"]["cookiecutter"]["project_name"] == "Our birds"

    table = project / "trainer/tables/penguins.toml"
    change(table, '    { name = "sex", kind = "category", about = "female or male" },\n', "")
    change(table, 'slices = ["island", "sex"]', 'slices = ["island"]')
    change(table, "epochs = 40, ", "epochs = 2, ")
    (project / "trainer/tables/eggs.toml").write_text(
        table.read_text(encoding="utf-8"), encoding="utf-8"
    )
    change(project / "trainer/tabular/model.py", '"relu"', '"gelu"')
    change(project / "pyproject.toml", 'version = "1.0.0"', 'version = "1.3.0"')
    change(project / "pyproject.toml", 'region = "us-central1"', 'region = "europe-west1"')
    change(project / "pyproject.toml", "emulator_port = 8085", "emulator_port = 0")
    change(
        project / "pyproject.toml",
        '    "--table={data_set}",\n',
        '    "--table={data_set}",\n    "--boosting-rows=0",\n',
    )
    change(
        project / ".github/workflows/ci.yml",
        "      - run: nox -s predict\n",
        "      - run: nox -s predict\n      - run: nox -s hello\n",
    )
    change(project / COMMANDS, '    "emulator": ', '    "hello": "greet",\n    "emulator": ')
    (project / "cloud/commands/hello.py").write_text(OWN_COMMAND, encoding="utf-8")
    for name in DELETED:
        (project / name).unlink()
    commit_all(project)
    theirs = git(project, "diff", "HEAD~1", "HEAD")

    code, printed = update(project)
    assert code == 0, printed
    known = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))
    assert known["commit"] == git(released, "rev-parse", "main")
    updated = commit_all(project)
    # Without what they changed it is today's template, and nothing else.
    git(project, "checkout", "--quiet", "-b", "without", updated)
    undo = subprocess.run(
        ["git", "apply", "--reverse", "--3way"],
        cwd=project,
        input=f"{theirs}\n",
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert undo.returncode == 0, undo.stderr
    today = run_cookiecutter(
        released, tmp_path / "today", "--no-input", "data_set=penguins", "project_name=Our birds"
    )
    assert today.returncode == 0
    fresh = tmp_path / "today" / project.name
    files = [path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()]
    assert set(git(project, "ls-files").splitlines()) == set(files)
    for name in {*files} - {".cruft.json", *DELETED}:
        assert (project / name).read_bytes() == (fresh / name).read_bytes(), name
    git(project, "checkout", "--quiet", "--force", "main")
    assert not any((project / name).exists() for name in DELETED)

    works(project)

    code, printed = update(project)
    assert code == 0
    assert "up to date" in printed


def works(project: Path) -> None:
    """Lint the project, run its own command, and go the whole road with its table and network."""
    for words in (("check",), ("format", "--check")):
        code, printed = run(project, "ruff", *words)
        assert code == 0, printed
    python = os.environ.get("CLOUD_PYTHON")
    if python is None:
        pytest.skip("the road was not gone: CLOUD_PYTHON names no Python with the requirements")
    own = {"PYTHONPATH": str(project / "emulator" / "src"), "CLOUD_PYTHON": python}
    try:
        code, printed = run(project, "nox", "-s", "hello", "demo", environment=own)
    finally:
        run(project, "nox", "-s", "emulator", "--", "--stop", environment=own)
    assert code == 0, printed
    assert "Hello you, from europe-west1" in printed
    assert "gradient boosting" not in printed
    assert '"bill_length_mm"' in printed
    assert '"sex"' not in printed
    assert "version 1" in printed


def test_what_both_changed_is_named_and_an_own_script_is_left_alone(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(template.parent)  # the template by its relative path, as it is often typed
    project = baked(Path(template.name), tmp_path, "data_set=keras")
    (project / OWN_SCRIPT).write_text('"""Ours."""\n', encoding="utf-8")
    commit_all(project)
    (project / "notes.txt").write_text("not committed", encoding="utf-8")
    code, printed = update(project)
    assert code == 1
    assert "nothing uncommitted" in printed
    change(project / COMMANDS, OLD_PURPOSE, "list our jobs")
    commit_all(project)

    code, printed = update(project)
    assert code == 1
    assert f"then 'git add' them: {COMMANDS} (took" in printed
    assert "is ready. Next:" not in printed
    assert (project / OWN_SCRIPT).read_text(encoding="utf-8") == '"""Ours."""\n'
    for name in (EXAMPLE, NEW_FILE):
        assert (project / name).read_bytes() == (template / PROJECT / name).read_bytes()


def test_a_project_without_its_template_says_how_to_name_it(template: Path, tmp_path: Path) -> None:
    project = baked(template, tmp_path, "data_set=penguins")
    (project / ".cruft.json").unlink()
    code, printed = update(project)
    assert code == 1
    assert "expected .cruft.json" in printed
    assert "cruft link URL" in printed
