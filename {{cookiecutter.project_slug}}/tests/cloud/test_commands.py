"""The list of commands is the only one: the command line, nox and the README go by it."""

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

from cloud.commands import COMMANDS


def test_every_command_is_a_module_and_every_module_a_command() -> None:
    modules = {path.stem for path in (ROOT / "cloud" / "commands").glob("[!_]*.py")}
    assert modules == COMMANDS.keys()


def test_every_command_is_a_session() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list"],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    sessions = dict(re.findall(r"^[-*] (\w+) -> (.*)$", listed.stdout, re.MULTILINE))
    for name, purpose in COMMANDS.items():
        assert sessions[name] == f"{purpose[0].upper()}{purpose[1:]}."


def test_the_readme_lists_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `nox -s (\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert {name: rows.get(name) for name in COMMANDS} == COMMANDS


def test_no_command_serves_as_a_library() -> None:
    """What two commands share lies below them."""
    for path in (ROOT / "cloud").rglob("*.py"):
        if path.name != "__main__.py":
            found = re.findall(r"^\s*(?:from|import) cloud\.commands\b.*", path.read_text(), re.M)
            assert found == [], path


WITHOUT_EMULATOR = """\
import sys
sys.modules["vertex_emulator"] = None  # as if it were not installed
from cloud.__main__ import main
from cloud.commands import COMMANDS

for name in COMMANDS:
    try:
        main([name, "--help"])
    except SystemExit as ended:
        assert ended.code == 0, name
    if name not in ("train", "tensorboard", "emulator"):  # these need no account
        print(f"{name}: exit code {main([name])}", file=sys.stderr)
"""


def test_commands_of_google_cloud_need_no_emulator(tmp_path: Path) -> None:
    """They run as far as the missing account."""
    environment = os.environ | {
        "CLOUD_TARGET": "cloud",
        "CLOUD_DATA_SET": "penguins",
        "CLOUD_DATA_FOLDER": str(tmp_path),
        "CLOUDSDK_CONFIG": str(tmp_path),
        "NO_GCE_CHECK": "true",  # google-auth asks no metadata server
    }
    environment.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_EMULATOR],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for name in COMMANDS.keys() - {"train", "tensorboard", "emulator"}:
        assert f"{name}: exit code 1" in ran.stderr
    sentences = {line for line in ran.stderr.splitlines() if line.startswith("Error: ")}
    assert len(sentences) == 1, ran.stderr
    assert "No credentials for Google Cloud; run 'gcloud auth application-default" in ran.stderr
