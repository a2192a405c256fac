"""`nox -s demo`, `nox -s tests` and `nox -s lint` bake projects and run their own sessions."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "This template needs Python 3.11, 3.12 or 3.13, and this is Python"
        f" {sys.version_info.major}.{sys.version_info.minor}; install one of them and give it the"
        ' same commands: python3.13 -m pip install "nox[uv]" && python3.13 -m nox -s demo'
    )

ROOT = Path(__file__).parent
TEMPLATE = ROOT / "{{cookiecutter.project_slug}}"
PROJECT_NAMES = {"flights": "Flight delays", "penguins": "Penguin species"}

# Caches of the tools stay out of the template's folder.
CACHES = {
    "RUFF_CACHE_DIR": str(ROOT / "build" / "ruff"),
    "MYPY_CACHE_DIR": str(ROOT / "build" / "mypy"),
}
# The tests start Cookiecutter a hundred times; uv compiles bytecode only when asked.
COMPILE = {"UV_COMPILE_BYTECODE": "1"}

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
# Another Python gets other environments, where nox would reuse those of the first.
nox.options.envdir = f".nox/{sys.version_info.major}.{sys.version_info.minor}"
nox.options.sessions = ["lint", "tests"]


@nox.session
def demo(session: nox.Session) -> None:
    """Bake a project into build/demo and run its demo: nox -s demo [-- penguins]."""
    data_set = session.posargs[0] if session.posargs else "flights"
    if data_set not in PROJECT_NAMES:
        session.error(
            f"The demo has no data set {data_set!r}; name one of {', '.join(PROJECT_NAMES)},"
            " as in: nox -s demo -- penguins"
        )
    install_tools(session, "bake")
    project = bake(
        session,
        "build/demo",
        f"project_name={PROJECT_NAMES[data_set]}",
        f"data_set={data_set}",
    )
    run_own_sessions(session, project, "demo")
    session.log(f"These commands work in the project's folder: cd {project.relative_to(ROOT)}")


@nox.session
def tests(session: nox.Session) -> None:
    """Check and test the template, then bake a project and run its lint and all its tests."""
    install_tools(session)
    check_template(session)
    project = bake(session, "build/tests")
    run_own_sessions(session, project, "lint")
    # Updated projects go their road in the environment that the session before has made.
    python = project / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    session.run("pytest", *session.posargs, env={"CLOUD_PYTHON": str(python)})
    run_own_sessions(session, project, "tests")
    for others in ("course", "emulator"):
        run_own_sessions(session, project, "tests", "--", others)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types of the template, and of the generated project in place."""
    install_tools(session)
    check_template(session)
    for folder in (TEMPLATE, TEMPLATE / "emulator"):
        values = nox.project.load_toml(folder / "pyproject.toml")
        extras = values["project"].get("optional-dependencies", {}).values()
        session.install(
            *values["project"]["dependencies"],
            *(requirement for extra in extras for requirement in extra),
            *nox.project.dependency_groups(values, "dev"),
            "--constraint",
            str(TEMPLATE / "constraints.txt"),
        )
    for folder in (TEMPLATE, TEMPLATE / "emulator"):
        with session.chdir(folder):
            session.run("mypy", env={"MYPY_CACHE_DIR": str(ROOT / "build" / f"mypy-{folder.name}")})


@nox.session(default=False)
def picture(session: nox.Session) -> None:
    """Record the demo as docs/demo.svg, the picture of the README; on Linux and macOS."""
    install_tools(session, "picture")
    project = bake(session, "build/demo")
    nox_here = (sys.executable, "-m", "nox")
    with session.chdir(project):
        session.run(*nox_here, "-s", "target", external=True)  # installs, which is not recorded
        session.run(*nox_here, "-s", "emulator", "--", "--stop", external=True)
        recorder = (str(ROOT / "docs" / "record_terminal.py"), str(ROOT / "docs" / "demo.svg"))
        demo = ("--prompt", "nox -s demo", "--", *nox_here, "-s", "demo")
        session.run("python", *recorder, *demo)


def install_tools(session: nox.Session, group: str = "dev") -> None:
    """Install a group of pyproject.toml's tools in the versions of constraints.txt."""
    tools = nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), group)
    session.install(*tools, "--constraint", str(ROOT / "constraints.txt"), env=COMPILE)


def check_template(session: nox.Session) -> None:
    """Check the style of every file, the project's in place too, and the template's own types."""
    session.run("ruff", "check", env=CACHES)
    session.run("ruff", "format", "--check", env=CACHES)
    session.run("mypy", env=CACHES)


def bake(session: nox.Session, output: str, *answers: str) -> Path:
    """Bake a project into `output`, over an earlier one, and return its folder."""
    printed = session.run("python", "tests/bake.py", output, *answers, silent=True)
    return ROOT / str(printed).strip()


def run_own_sessions(session: nox.Session, project: Path, *words: str) -> None:
    """Run sessions of the baked project with its own noxfile and environments."""
    with session.chdir(project):
        session.run(sys.executable, "-m", "nox", "-s", *words, external=True)
