"""nox -s SESSION [-- FLAGS]

Most sessions are a command of cloud/commands/; `nox -s SESSION -- --help` explains its flags.
"""

import compileall
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nox

sys.path.insert(0, str(Path(__file__).parent))  # nox's Python has none of the project
from cloud.commands import COMMANDS

# All sessions share one environment, where nox would make one of 2 GB for each; TensorBoard has
# its own, without TensorFlow.
ENVIRONMENT = Path(".venv")
TENSORBOARD_ENVIRONMENT = Path(".venv-tensorboard")
UPDATE_ENVIRONMENT = Path(".venv-update")
CRUFT = "cruft==2.16.0"
# Without this folder the project is for Google Cloud alone.
EMULATOR = Path("emulator")
# TensorFlow starts in 4.5 s with compiled bytecode and in 12 s without; uv compiles when asked.
COMPILE = {"UV_COMPILE_BYTECODE": "1"}
# The tests of what the template brings along: its course, its benchmark, the examples of docs/.
COURSE = (
    "tests/test_course.py",
    "tests/test_bench_training.py",
    "tests/test_own_model.py",
    "tests/test_workflows.py",
)
# After Ctrl-C a process ends what it started; nox would kill it after 0.3 s.
PATIENT: dict[str, Any] = {"interrupt_timeout": 60.0, "terminate_timeout": 60.0}

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "tests"]


def install(
    session: nox.Session,
    *wanted: str,
    environment: Path = ENVIRONMENT,
    constraints: str | None = "constraints.txt",
    takes: str = "some minutes and up to 3.5 GB",
) -> str:
    """Installs what uv's flags want, as pinned, and returns the environment's Python."""
    if find_spec("uv") is None:
        session.error('This project installs with uv: python -m pip install "nox[uv]"')
    uv = (sys.executable, "-m", "uv")
    version = ".".join(map(str, sys.version_info[:3]))
    made_for = environment / "pyvenv.cfg"
    if not made_for.exists() or f"version_info = {version}\n" not in made_for.read_text():
        session.run(*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment))
    python = str(environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    command = [*uv, "pip", "install", "--python", python, *wanted]
    if constraints:
        command += ["--constraint", constraints]
    is_whole = environment / "installed"  # written last: the first time may be broken off
    if is_whole.exists():
        session.run(*command, "--quiet", log=False, env=COMPILE)
        return python
    session.log(f"The first installation into {environment} takes {takes}.")
    began = time.monotonic()
    fetch(session, command)
    compile_packages(environment)
    is_whole.touch()
    session.log(f"Installed in {time.monotonic() - began:.0f} s.")
    return python


def fetch(session: nox.Session, command: list[str]) -> None:
    """Runs an installation of uv, and shows the last that it says of what it does."""
    began = time.monotonic()
    said = ["Resolving"]

    def listen(lines: Iterable[str]) -> None:
        for line in lines:
            said.append(line.rstrip())  # noqa: PERF401, one by one, as they come

    plain = os.environ | {"UV_COMPILE_BYTECODE": "0"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stderr=pipe, encoding="utf-8", env=plain) as process:
        listener = threading.Thread(target=listen, args=(process.stderr,), daemon=True)
        listener.start()
        while listener.is_alive():
            words = [line for line in said if not line.startswith(" ")]  # not the packages
            show(f"{words[-1]} ({time.monotonic() - began:.0f} s)")
            listener.join(0.5)
    show("")
    if process.returncode:
        session.error("\n".join(said[1:]))


def compile_packages(environment: Path) -> None:
    """Compiles the bytecode of what is installed, by all processors."""
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    files = [str(file) for file in packages.rglob("*.py")]
    with ProcessPoolExecutor() as pool:
        compiled = pool.map(partial(compileall.compile_file, quiet=2), files, chunksize=64)
        for count, _done in enumerate(compiled, 1):
            if count % 64 == 0:
                show(f"Compiling: {count:,} of {len(files):,} files")
    show("")


def show(progress: str) -> None:
    """Writes over the last line of a terminal; says nothing elsewhere."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        end = "" if progress else "\r"
        print(f"\r{progress[:width]:{width}}", end=end, file=sys.stderr, flush=True)


def install_project(session: nox.Session, *groups: str) -> str:
    """Installs the trainer's requirements, dependency groups, and the emulator in place.

    Returns:
        The environment's Python.
    """
    wanted = ["-r", "pyproject.toml", *(f"--group={name}" for name in groups)]
    if EMULATOR.exists():
        wanted += ["--editable", f"./{EMULATOR}[serving,testing]"]
    if "dev" in groups and EMULATOR.exists():
        wanted += [f"--group={EMULATOR}/pyproject.toml:dev"]
    return install(session, *wanted)


def install_tensorboard(session: nox.Session) -> str:
    """Installs TensorBoard in its own environment, and returns the Python there."""
    return install(
        session,
        "--group=tensorboard",
        environment=TENSORBOARD_ENVIRONMENT,
        constraints="constraints-tensorboard.txt",
        takes="a minute and 0.3 GB",
    )


def add_command(name: str, purpose: str) -> None:
    """Makes the session of a command; the flags given after `--` are the command's."""

    def run(session: nox.Session) -> None:
        # Whoever names a Python that has the requirements gets nothing installed.
        python = os.environ.get("CLOUD_PYTHON") or install_project(session, "cloud")
        variables = {}
        if name == "tensorboard" and "TENSORBOARD_PYTHON" not in os.environ:
            variables["TENSORBOARD_PYTHON"] = install_tensorboard(session)
        session.run(python, "-m", "cloud", name, *session.posargs, env=variables, **PATIENT)

    run.__doc__ = f"{purpose[0].upper()}{purpose[1:]}."
    nox.session(name=name)(run)


for command, does in COMMANDS.items():
    add_command(command, does)


if Path("benchmarks").exists():

    @nox.session
    def bench_training(session: nox.Session) -> None:
        """Compare the trainer's speed and quality with what people use instead; takes minutes."""
        session.run(install_project(session, "dev"), "-m", "benchmarks.training", *session.posargs)


@nox.session
def bench_tables(session: nox.Session) -> None:
    """Compare the trainer with gradient boosting on public tables; takes minutes."""
    python = install_project(session, "dev")
    install(session, "--no-deps", "--group=bench", constraints=None)
    session.run(python, "-m", "benchmarks.tables", *session.posargs)


@nox.session
def update(session: nox.Session) -> None:
    """Bring what is new in the template into this project; what you changed stays yours."""
    if not Path(".cruft.json").exists():
        session.error(
            "This project does not know its template: expected .cruft.json, which is written when a"
            " project is baked from a repository. 'cruft link URL' writes it, of the package cruft."
        )
    if not is_committed():
        session.error(
            "An update is merged into what is committed: expected a repository of git with nothing"
            " uncommitted, as 'git status' shows it. Commit your work first."
        )
    python = Path(
        install(session, CRUFT, environment=UPDATE_ENVIRONMENT, constraints=None, takes="seconds")
    )
    template = json.loads(Path(".cruft.json").read_text(encoding="utf-8"))["template"]
    ask = [] if sys.stdin.isatty() else ["--skip-apply-ask"]
    with tempfile.TemporaryDirectory() as clone:
        cloning = "git", "clone", "--quiet", "--depth=1", template, clone
        session.run(*cloning, silent=True, external=True)
        # Cookiecutter finds the template's extension there; cruft does not look for it.
        paths = {"PYTHONPATH": clone}
        session.run(str(python), "-m", "cruft", "update", *ask, *session.posargs, env=paths)
    conflicts = "git", "diff", "--name-only", "--relative", "--diff-filter=U"
    both = str(session.run(*conflicts, silent=True, external=True)).splitlines()
    if both:
        session.error(
            "You and the template changed the same lines of these; choose between the two, from"
            f" '<<<<<<< ours' to '>>>>>>> theirs', then 'git add' them: {' '.join(both)}"
        )
    rejected = [str(path) for path in Path().rglob("*.rej") if ".venv" not in path.parts[0]]
    if rejected:
        session.error(
            "What the template changes did not fit your lines; these files hold it, each beside"
            f" yours: bring it over, then remove them: {' '.join(rejected)}"
        )
    session.log("Look at it with 'git diff HEAD', and try it: nox -s lint tests")


def is_committed() -> bool:
    """Whether this folder is in a repository of git, with no file that is not committed."""
    if shutil.which("git") is None:
        return False
    asked = ["git", "status", "--porcelain"]
    status = subprocess.run(asked, capture_output=True, check=False, encoding="utf-8")
    return status.returncode == 0 and not status.stdout


@nox.session
def tests(session: nox.Session) -> None:
    """Test the trainer and the commands; `-- course` and `-- emulator` test those instead."""
    if not EMULATOR.exists():
        session.error("The tests run against the emulator, and the folder emulator/ is not here.")
    python = str(Path(install_project(session, "dev")).absolute())
    if session.posargs[:1] == [EMULATOR.name]:
        session.chdir(EMULATOR)
        session.run(python, "-m", "pytest", *session.posargs[1:], **PATIENT)
    else:
        tensorboard = str(Path(install_tensorboard(session)).absolute())
        variables = {"TENSORBOARD_PYTHON": tensorboard}
        # The tests share the processors, and one more at a time, as they wait for jobs; what one
        # asks for runs in this process.
        at_once = f"--numprocesses={(os.cpu_count() or 1) + 1}"
        chosen = session.posargs
        if chosen[:1] == ["course"]:
            arguments = [at_once, *COURSE, *chosen[1:]]
        else:
            # A project with a trainer of its own has the last of them alone.
            apart = COURSE if Path(COURSE[0]).exists() else ()
            arguments = chosen or [at_once, *(f"--ignore={name}" for name in apart)]
        session.run(python, "-m", "pytest", *arguments, env=variables, **PATIENT)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types, the emulator's too."""
    python = Path(install_project(session, "dev")).absolute()
    for folder in filter(Path.exists, (Path(), EMULATOR)):
        with session.chdir(folder):
            session.run(str(python), "-m", "ruff", "check")
            session.run(str(python), "-m", "ruff", "format", "--check")
            session.run(str(python), "-m", "mypy")
