"""A project as a person has it: its commands run in processes of their own.

Each request that they send is held against Google's description of it.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import command_server
from conftest import ROOT

TINY = ("--config", "tiny")


@dataclass
class Project:
    """A project whose data and emulator lie in a folder of the tests."""

    folder: Path
    data_set: str
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        values = {
            "target": "emulator",
            "project": "test-project",
            "region": "us-central1",
            "bucket": "test-bucket",
            "model": f"test_{self.data_set}",
            "data_set": self.data_set,
            "emulator_port": "0",
            "emulator_folder": str(self.folder / "emulator"),
            "data_folder": str(self.folder / "data"),
            "runs_folder": str(self.folder / "runs"),
            "clients_folder": str(self.folder / "clients"),
        }
        ours = {f"CLOUD_{key.upper()}": value for key, value in values.items()}
        return os.environ | ours | self.variables

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        if command_server.IS_SUPPORTED:
            arguments = [command_server.CHECKED, *words]
            code, out, err = json.loads(command_server.run(arguments, self.environment))
            return subprocess.CompletedProcess(arguments, code, out, err)
        return subprocess.run(
            [sys.executable, "-m", command_server.CHECKED, *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *words: str) -> str:
        """Runs a command that must succeed, and returns what it printed."""
        ran = self.call(*words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "\x1b" not in ran.stdout, "escape codes in a pipe"
        return ran.stdout

    def fail(self, *words: str) -> str:
        """Runs a command that must refuse, and returns its one sentence."""
        ran = self.call(*words)
        assert ran.returncode != 0, ran.stdout
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran.stderr
