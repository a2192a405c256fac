"""A project for Google Cloud alone: the folder emulator/ is deleted, and nothing asks for it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from cloud.commands import COMMANDS

# Runs each command in one process, which imports Google's clients once.
RUN_ALL = """
import contextlib, io, json, sys

sys.modules["vertex_emulator"] = None  # as if it were not installed
from cloud.__main__ import main

printed = {}
for line in json.loads(sys.argv[1]):
    words = io.StringIO()
    with contextlib.redirect_stderr(words), contextlib.redirect_stdout(words):
        code = main(line)
    printed[line[0]] = [code, words.getvalue()]
print(json.dumps(printed))
"""
NEEDED = {"cancel": ["a-job"], "console": ["--print"], "promote": ["2"]}
# These need no account: they run here, or say what is missing here.
LOCAL = {"adopt", "emulator", "tensorboard", "train"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project without emulator/, for Google Cloud."""
    folder = tmp_path_factory.mktemp("without") / "project"
    folder.mkdir()
    for name in ("cloud", "table_schema", "trainer"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("noxfile.py", "pyproject.toml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        text = text.replace('target = "emulator"', 'target = "cloud"')
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a person without an account."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CLOUD_")}
    kept |= {"NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": str(tmp_path), "CLOUD_DATA_SET": "flights"}
    kept.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
    return kept


def test_every_command_runs_as_far_as_the_missing_account(
    project: Path, environment: dict[str, str]
) -> None:
    lines = [[name, *NEEDED.get(name, [])] for name in COMMANDS if name not in LOCAL]
    ran = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(lines)],
        cwd=project,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    for name, (code, printed) in json.loads(ran.stdout.splitlines()[-1]).items():
        assert code == 1, (name, printed)
        assert "gcloud auth application-default login" in printed, name


@pytest.mark.parametrize("name", sorted(LOCAL))
def test_what_needs_no_account_explains_itself(
    project: Path, environment: dict[str, str], name: str
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "cloud", name, "--help"],
        cwd=project,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr


def test_the_emulator_is_said_to_be_missing(project: Path, environment: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps([["target"]])],
        cwd=project,
        env=environment | {"CLOUD_TARGET": "emulator"},
        capture_output=True,
        check=False,
        text=True,
    )
    code, printed = json.loads(ran.stdout)["target"]
    assert code == 1
    assert "the emulator is not installed" in printed
    assert 'target = "cloud"' in printed


def test_nox_lists_the_sessions(project: Path, environment: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "nox", "--list"],
        cwd=project,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert all(f" {name} " in ran.stdout for name in COMMANDS)
