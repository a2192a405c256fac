"""Fixtures of all tests: a running emulator, and Google's own clients on it."""

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import RunningEmulator

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def emulator(vertex_emulator: RunningEmulator) -> RunningEmulator:
    return vertex_emulator


@pytest.fixture(scope="session")
def clients(emulator: RunningEmulator) -> Clients:
    return Clients(emulator.url)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives the processes of a run whole files, and those of the trainer test by test.

    In other files tests build on what those before them have made. Files of many tests come first,
    and the single ones fill the processes to the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith("tests/trainer/") else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Scheduling(config, log)
