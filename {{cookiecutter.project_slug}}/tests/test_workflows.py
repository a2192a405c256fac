"""The steps of .github/workflows/ run here as they stand, on the emulator."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

WORKFLOWS = ROOT / ".github" / "workflows"
# What makes the environment that these tests run in, and what runs these tests.
AROUND = ('python -m pip install "nox[uv]"', "nox -s lint", "nox -s tests")
PROJECT = ("cloud", "table_schema", "trainer")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the runners' shell is bash")


def steps_of(workflow: str, job: str) -> list[dict[str, Any]]:
    """Returns the steps of a job that are commands."""
    document = yaml.safe_load((WORKFLOWS / workflow).read_text(encoding="utf-8"))
    steps = document["jobs"][job]["steps"]
    return [step for step in steps if "run" in step and step["run"] not in AROUND]


@dataclass
class Runner:
    """A machine with a checkout, whose Python has the requirements."""

    folder: Path

    @property
    def summary(self) -> Path:
        return self.folder / "summary.md"

    def run(self, step: dict[str, Any]) -> str:
        """Runs a step as GitHub's runner does, and returns what it printed."""
        environment = {name: v for name, v in os.environ.items() if not name.startswith("CLOUD_")}
        environment |= {
            "CLOUD_DATA_SET": "penguins",
            "CLOUD_PROJECT": "my-project",
            "CLOUD_REGION": "us-central1",
            "CLOUD_BUCKET": "penguins-of-ci",
            "CLOUD_MODEL": "penguins",
            "CLOUD_EMULATOR_PORT": "0",
            "CLOUD_PYTHON": sys.executable,
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "PATH": os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]]),
        }
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            check=False,
            encoding="utf-8",
        )
        assert ran.returncode == 0, f"{step['run']}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def run_all(self, steps: list[dict[str, Any]]) -> dict[str, str]:
        """Runs the steps of a run that succeeds; returns what each printed."""
        return {step["run"]: self.run(step) for step in steps if step.get("if") != "failure()"}


def add_program(path: Path, command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    path.chmod(0o700)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("runner")
    for name in PROJECT:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("noxfile.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "bin").mkdir()
    add_program(folder / "bin" / "nox", f"{sys.executable} -m nox")
    browser = shutil.which("google-chrome") or shutil.which("chromium")
    if browser is not None:  # the runners' name for it; root may start it here
        add_program(folder / "bin" / "google-chrome", f"{browser} --no-sandbox")
    made = Runner(folder)
    yield made
    made.run({"run": "nox -s emulator -- --stop"})


def test_a_push_goes_the_whole_road(runner: Runner) -> None:
    steps = steps_of("ci.yml", "road")
    if not (runner.folder / "bin" / "google-chrome").exists():
        steps = [step for step in steps if "google-chrome" not in step["run"]]
    printed = runner.run_all(steps)
    assert "There is no default version" in printed["nox -s gate"]
    assert "is the default and gets all traffic" in printed["nox -s deploy -- --force"]
    assert "The scores are the same" in printed["nox -s evaluate"]
    assert "| test rows |" in runner.summary.read_text(encoding="utf-8")
    made = {path.name for path in (runner.folder / "runs" / "gate").iterdir()}
    assert made >= {"summary.md", "model_card.html"}
    pictures = [name for name in made if name.endswith(".png")]
    assert len(pictures) == sum("google-chrome" in step["run"] for step in steps)


def test_a_release_is_promoted_after_a_tenth_of_the_traffic(runner: Runner) -> None:
    """The emulator stands for Google Cloud, and keeps what `ci` left as its cache does."""
    steps = steps_of("deliver.yml", "deliver")
    printed = runner.run_all(steps)
    assert "not worse than the default" in printed["nox -s gate"]
    assert "version 2 (" in printed["nox -s deploy -- --traffic 10 --force"]
    assert "gets 10 % of the traffic" in printed["nox -s deploy -- --traffic 10 --force"]
    assert "version 2, through the endpoint" in printed["nox -s evaluate -- newest"]
    assert "version 2 (" in printed["nox -s promote -- newest"]
    assert "| version 1 |" in runner.summary.read_text(encoding="utf-8")


def test_a_release_that_fails_after_its_deployment_gives_the_traffic_back(runner: Runner) -> None:
    steps = steps_of("deliver.yml", "deliver")
    [back] = [step for step in steps if step.get("if") == "failure()"]
    [deploy] = [step for step in steps if "nox -s deploy" in step["run"]]
    runner.run(deploy)  # the newest job once more, as version 3
    runner.run(back)
    versions = [line.split() for line in runner.run({"run": "nox -s versions"}).splitlines()]
    shares = {line[0]: " ".join(line[-2:]) for line in versions if line[:1] in (["2"], ["3"])}
    assert shares == {"2": "100 %", "3": "not deployed"}
