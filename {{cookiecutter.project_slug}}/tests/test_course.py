"""docs/course.md: every command runs, in order, and prints what the page says."""

import ast
import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import command_server
import psutil
import pytest
import yaml
from conftest import ROOT

from cloud.command_line import parse
from cloud.commands import COMMANDS

DOCS = ROOT / "docs"
PAGE = DOCS / "course.md"
FOR_TEACHERS = DOCS / "teaching.md"
PROJECT = ("cloud", "table_schema", "trainer")
FENCE = re.compile(r"^```([a-z ]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What a reader does with a fence; `console windows` and `console cloud` stand for others' machines.
RUN = (
    "console",
    "console fails",  # each command ends with a sentence and an exit code
    "console serves",  # until it has printed what the page says, then Ctrl-C
    "console at once",  # each in a terminal of its own
    "console client",
    "console unix",
    "diff",  # an edit of a file
)
LESSON = re.compile(r"^## (\d+)\. .*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
IF_YOU_SEE = re.compile(r"If\s+you\s+see\s+“([^”]+)”")
PATIENCE_SECONDS = 300.0  # for a command that serves to print what the page says
VALUES = {
    "target": "emulator",
    "data_set": "flights",
    "model": "my_model",
    "project": "my-project",
    "region": "us-central1",
    "bucket": "my-bucket",
}


@dataclass
class Step:
    """What a fence has a reader do, and the lines of the output block after it."""

    kind: str
    commands: list[str]
    expected: list[str]

    @property
    def title(self) -> str:
        return self.commands[0]


def lessons(page: Path = PAGE) -> dict[int, str]:
    """Returns the text of each lesson by its number."""
    return {int(each[1]): each[0] for each in LESSON.finditer(page.read_text(encoding="utf-8"))}


def blocks(*pages: Path) -> Iterator[tuple[str, list[str]]]:
    """Yields the kind and the lines of each fence; those for teachers come with their lesson."""
    found = [lessons(page) for page in pages or (PAGE,)]
    for number in found[0]:
        for text in found:
            for fence in FENCE.finditer(text[number]):
                yield fence[1], fence[2].splitlines()


def steps() -> list[Step]:
    found: list[Step] = []
    for kind, lines in blocks(PAGE, FOR_TEACHERS):
        if kind in RUN:
            found.append(Step(kind, lines, []))
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


@dataclass
class Baked:
    """A project as a reader has it: its files are the reader's to edit."""

    folder: Path

    def environment(self, python: str = sys.executable) -> dict[str, str]:
        kept = {name: v for name, v in os.environ.items() if not name.startswith("CLOUD_")}
        ours = {"CLOUD_PYTHON": python, "CLOUD_EMULATOR_PORT": "0", "NO_COLOR": "1"}
        return kept | ours | {"TENSORBOARD_PYTHON": kept.get("TENSORBOARD_PYTHON", sys.executable)}

    def start(
        self, command: str, environment: Mapping[str, str], errors: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Starts what stands in the page, through nox, in the Python of the tests."""
        return subprocess.Popen(
            [sys.executable, "-m", *shlex.split(command)],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

    def call(self, command: str) -> tuple[int, str, str]:
        """Runs what stands in the page; returns the exit code and what it printed."""
        python = command_server.python() if command_server.IS_SUPPORTED else sys.executable
        with self.start(command, self.environment(python)) as process:
            out, err = process.communicate()
            return process.returncode, out, err

    def run(self, command: str) -> str:
        code, out, err = self.call(command)
        assert code == 0, out + err
        return out

    def fail(self, command: str) -> str:
        """Runs a command that must end with a sentence of its own; what a job printed is its."""
        code, out, err = self.call(command)
        assert code != 0, out
        assert "Traceback" not in err, err
        return out + err

    def serve(self, command: str, expected: list[str]) -> str:
        """Runs a command until it has printed what is expected, and interrupts it."""
        printed: list[str] = []
        process = self.start(command, self.environment(), subprocess.STDOUT)
        assert process.stdout is not None
        patience = threading.Timer(PATIENCE_SECONDS, interrupt, (process,))
        patience.start()
        for line in process.stdout:
            printed.append(line)
            if all(is_in(each, printed) for each in expected):
                break
        patience.cancel()
        interrupt(process)
        with process:
            return "".join(printed) + process.stdout.read()

    def run_at_once(self, first: str, *others: str) -> str:
        """Runs the others while the first goes on, from its first line of output."""
        with self.start(first, self.environment(), subprocess.STDOUT) as process:
            assert process.stdout is not None
            # Of nox's own lines there may be one before.
            printed = next(line for line in process.stdout if not line.startswith("nox >"))
            printed += "".join(self.run(command) for command in others)
            printed += process.stdout.read()
        assert process.returncode == 0, printed
        return printed

    def run_program(self, command: str) -> str:
        """Runs a client where its language is installed."""
        program, *words = shlex.split(command)
        found = sys.executable if program == "python" else shutil.which(program)
        if found is None:
            pytest.skip(f"{program} is not installed")
        return self._output([found, *words])

    def run_in_shell(self, command: str) -> str:
        if os.name == "nt":
            pytest.skip("a command of Linux and macOS")
        return self._output(["sh", "-c", command])

    def _output(self, words: list[str]) -> str:
        ran = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def edit(self, lines: list[str]) -> str:
        """Edits the file that `--- FILE` names: lines with - go, those with + come."""
        path = self.folder / lines[0].removeprefix("--- ")
        text = path.read_text(encoding="utf-8")
        for hunk in "\n".join(lines[1:]).split("\n@@\n"):
            changed = hunk.splitlines()
            old, new = (
                "\n".join(line[1:] for line in changed if line[:1] in (" ", sign)) for sign in "-+"
            )
            assert text.count(old) == 1, f"{path.name} has not once:\n{old}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        return ""

    def do(self, step: Step) -> str:
        """Does what a fence says; returns what was printed."""
        if step.kind == "diff":
            return self.edit(step.commands)
        if step.kind == "console at once":
            return self.run_at_once(*step.commands)
        one: dict[str, Callable[[str], str]] = {
            "console": self.run,
            "console fails": self.fail,
            "console client": self.run_program,
            "console unix": self.run_in_shell,
            "console serves": lambda command: self.serve(command, step.expected),
        }
        return "".join(one[step.kind](command) for command in step.commands)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baked]:
    # Tests that run in the background ignore Ctrl-C, and so would what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = tmp_path_factory.mktemp("course") / "project"
    for name in PROJECT:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "noxfile.py", folder)
    values = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name, value in VALUES.items():
        values = re.sub(rf'(?m)^{name} = "[^"]*"', f'{name} = "{value}"', values)
    (folder / "pyproject.toml").write_text(values, encoding="utf-8")
    # A reader's environment is a folder of the project.
    found = importlib.util.find_spec("palmerpenguins")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    beside = folder / ".venv" / "lib" / "python3.11" / "site-packages" / package.name
    shutil.copytree(package, beside)
    made = Baked(folder)
    yield made
    made.run("nox -s emulator -- --stop")


def interrupt(process: subprocess.Popen[str]) -> None:
    """Does what Ctrl-C does to the command that nox runs."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGINT)


def is_in(expected: str, printed: list[str]) -> bool:
    """Whether a line of the page, with `…` for what differs, is among those that were printed."""
    pieces = [re.escape(" ".join(piece.split())) for piece in expected.split("…")]
    pattern = re.compile(r".*?".join(pieces).replace(r"\ ", " "))
    return any(pattern.search(" ".join(line.split())) for line in printed)


@pytest.mark.parametrize("step", steps(), ids=lambda step: step.title)
def test_the_commands_print_what_the_page_says(project: Baked, step: Step) -> None:
    printed = project.do(step)
    for expected in step.expected:
        assert is_in(expected, printed.splitlines()), f"no line {expected!r} in\n{printed}"


def test_every_command_is_a_session() -> None:
    ours = (
        command
        for kind, lines in blocks(PAGE, FOR_TEACHERS)
        if kind in ("console", "console fails", "console serves", "console at once")
        for command in lines
    )
    named = {words_of(command)[0] for command in ours}
    assert named <= COMMANDS.keys()


def test_the_commands_of_google_cloud_are_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_DATA_SET", "flights")
    [commands] = [lines for kind, lines in blocks() if kind == "console cloud"]
    for command in commands:
        target, _, rest = command.partition(" ")
        assert target == "CLOUD_TARGET=cloud"
        assert parse(words_of(rest)).command in COMMANDS


def test_the_course_uses_every_command() -> None:
    used = {
        words_of(command.removeprefix("CLOUD_TARGET=cloud "))[0]
        for kind, lines in blocks()
        if kind.startswith("console")
        for command in lines
        if "nox -s" in command
    }
    assert COMMANDS.keys() - used == set()


def test_the_page_links_to_files_that_exist() -> None:
    for name in re.findall(r"`((?:tests|trainer|cloud)/[\w./]+\.py)`", PAGE.read_text()):
        assert Path(ROOT, name).is_file(), name


def test_each_lesson_has_its_minutes_a_remedy_and_a_question_with_its_answer() -> None:
    found = lessons()
    assert list(found) == list(lessons(FOR_TEACHERS)) == list(range(1, len(found) + 1))
    assert f"in {len(found)} lessons\n" in PAGE.read_text(encoding="utf-8")
    assert f"in {len(found)} short lessons" in (ROOT / "README.md").read_text(encoding="utf-8")
    for number, lesson in found.items():
        assert re.search(r"^About \d+ minutes\. Goal: ", lesson, re.MULTILINE), number
        assert IF_YOU_SEE.search(lesson), number
        answer = re.search(r"^Question: .*?^<details>.*?^</details>$", lesson, re.M | re.S)
        assert answer, number
        assert "```console" in answer[0], number
        exercise = lessons(FOR_TEACHERS)[number]
        assert "\nExercise: " in exercise
        assert "```console" in exercise
        assert "\nWhat goes wrong: " in exercise


def test_the_lesson_on_the_model_card_names_its_parts() -> None:
    card = (ROOT / "trainer" / "tabular" / "card.html").read_text(encoding="utf-8")
    [lesson] = [each for each in lessons().values() if "--card" in each]
    assert re.findall(r"\*\*(.+?)\*\*", lesson) == re.findall(r"<h2>(.+?)</h2>", card)


def test_the_lesson_on_continuous_integration_has_the_steps_of_the_workflow() -> None:
    document = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    found = [step.get("run", "") for step in document["jobs"]["road"]["steps"]]
    commands = [each for each in found if each.startswith(("nox", "python"))]
    assert [lines for kind, lines in blocks() if kind == "text"] == [commands]


@cache
def messages() -> list[str]:
    """Returns the texts of the sources; `…` stands for what Python puts into them."""
    found = []
    for path in (
        ROOT / "noxfile.py",
        *(f for name in PROJECT for f in (ROOT / name).rglob("*.py")),
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                pieces = (
                    piece.value if isinstance(piece, ast.Constant) else "…" for piece in node.values
                )
                found.append("".join(map(str, pieces)))
    return found


def test_the_messages_that_a_reader_may_see_are_those_of_the_commands() -> None:
    for message in IF_YOU_SEE.findall(PAGE.read_text(encoding="utf-8")):
        shown = " ".join(message.split())
        assert any(shown in each for each in messages()), shown


@pytest.mark.parametrize(
    "names",
    [("course.md", "cours.md"), ("teaching.md", "enseigner.md")],
    ids=lambda names: names[1],
)
def test_a_page_in_french_has_the_same_lessons_commands_and_outputs(names: tuple[str, str]) -> None:
    pages = [(DOCS / name).read_text(encoding="utf-8") for name in names]
    fences = [[fence[0] for fence in FENCE.finditer(page)] for page in pages]
    assert fences[0] == fences[1]
    headings = [re.findall(r"^(##+ \d*)", page, re.MULTILINE) for page in pages]
    assert headings[0] == headings[1]
    named = [set(re.findall(r"`((?:nox -s|gcloud) [^`]+)`", page)) for page in pages]
    assert named[0] == named[1]
    in_french = re.findall(r"Si\s+vous\s+voyez\s+« ([^»]+) »", pages[1])
    seen = [IF_YOU_SEE.findall(pages[0]), in_french]
    assert [" ".join(s.split()) for s in seen[0]] == [" ".join(s.split()) for s in seen[1]]
