"""docs/course.md: every command runs, in order, and prints what the page says."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import command_server
import psutil
import pytest
from conftest import ROOT
from project import Project

from cloud.command_line import parse
from cloud.commands import COMMANDS

PAGE = ROOT / "docs" / "course.md"
IN_FRENCH = ROOT / "docs" / "cours.md"
FENCE = re.compile(
    r"^```(console|output|console cloud|console client)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
TENSORBOARD = "TENSORBOARD_PYTHON"


@dataclass
class Step:
    """Commands of a block, and the lines of the output block after it."""

    commands: list[str]
    expected: list[str]

    @property
    def title(self) -> str:
        return self.commands[0]


def blocks() -> Iterator[tuple[str, list[str]]]:
    for fence in FENCE.finditer(PAGE.read_text(encoding="utf-8")):
        yield fence[1], fence[2].splitlines()


def steps() -> list[Step]:
    found: list[Step] = []
    for kind, lines in blocks():
        if kind in ("console", "console client"):
            found.append(Step(lines, []))
        elif kind == "output":
            assert not found[-1].expected, "two blocks of output in a row"
            found[-1].expected = lines
    return found


def words_of(command: str) -> list[str]:
    """Returns the words of `python -m cloud` for a `nox -s` command, as the session runs it."""
    words = shlex.split(command)
    assert words[:2] == ["nox", "-s"], command
    assert words[3:4] in ([], ["--"]), command
    return [words[2], *words[4:]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("course"), "flights")
    yield made
    made.call("emulator", "--stop")


def run(project: Project, command: str) -> str:
    """Runs what stands in the page, through nox, in the Python of the tests."""
    if not command.startswith("nox "):
        return run_client(project, command)
    words = [sys.executable, "-m", *shlex.split(command)]
    environment = project.environment | {"CLOUD_PYTHON": sys.executable, "NO_COLOR": "1"}
    if words_of(command)[0] == "tensorboard":
        return first_line_of_tensorboard(words, environment)
    if command_server.IS_SUPPORTED:
        environment |= {"CLOUD_PYTHON": command_server.python()}
    ran = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def run_client(project: Project, command: str) -> str:
    """Runs a client in the folder that has clients/, where its language is installed."""
    program, *words = shlex.split(command)
    found = sys.executable if program == "python" else shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    ran = subprocess.run(
        [found, *words], cwd=project.folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def first_line_of_tensorboard(words: list[str], environment: dict[str, str]) -> str:
    """It serves until it is interrupted."""
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        env={TENSORBOARD: sys.executable} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.readline()
        while line and "TensorBoard" not in line:
            line = process.stdout.readline()
    for child in psutil.Process(process.pid).children(recursive=True):
        child.terminate()
    process.wait(60)
    return line


@pytest.mark.parametrize("step", steps(), ids=lambda step: step.title)
def test_the_commands_print_what_the_page_says(project: Project, step: Step) -> None:
    printed = "".join(run(project, command) for command in step.commands)
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    for expected in step.expected:
        pieces = [re.escape(" ".join(piece.split())) for piece in expected.split("…")]
        pattern = re.compile(r".*?".join(pieces).replace(r"\ ", " "))
        assert any(pattern.search(line) for line in lines), f"no line {expected!r} in\n{printed}"


def test_every_command_is_a_session() -> None:
    ours = (command for kind, lines in blocks() if kind == "console" for command in lines)
    named = {words_of(command)[0] for command in ours}
    assert named <= COMMANDS.keys()


def test_the_commands_of_google_cloud_are_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_DATA_SET", "flights")
    [commands] = [lines for kind, lines in blocks() if kind == "console cloud"]
    for command in commands:
        target, _, rest = command.partition(" ")
        assert target == "CLOUD_TARGET=cloud"
        assert parse(words_of(rest)).command in COMMANDS


def test_the_course_uses_every_command_but_demo_and_adopt() -> None:
    """Those are of the README; `tests/test_own_table.py` goes through both."""
    commands = [lines for kind, lines in blocks() if kind in ("console", "console cloud")]
    used = {
        words_of(command.removeprefix("CLOUD_TARGET=cloud "))[0]
        for lines in commands
        for command in lines
    }
    assert COMMANDS.keys() - used == {"adopt", "demo"}


def test_the_page_links_to_files_that_exist() -> None:
    for name in re.findall(r"`((?:tests|trainer|cloud)/[\w./]+\.py)`", PAGE.read_text()):
        assert Path(ROOT, name).is_file(), name


def test_the_page_in_french_has_the_same_lessons_commands_and_outputs() -> None:
    pages = [page.read_text(encoding="utf-8") for page in (PAGE, IN_FRENCH)]
    fences = [[fence[0] for fence in FENCE.finditer(page)] for page in pages]
    assert fences[0] == fences[1]
    headings = [re.findall(r"^(##+ \d*)", page, re.MULTILINE) for page in pages]
    assert headings[0] == headings[1]
    named = [set(re.findall(r"`((?:nox -s|gcloud) [^`]+)`", page)) for page in pages]
    assert named[0] == named[1]
