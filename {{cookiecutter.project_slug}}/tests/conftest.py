"""Fixtures of all tests: a running emulator, and Google's own clients on it."""

from pathlib import Path

import pytest

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import RunningEmulator

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def emulator(vertex_emulator: RunningEmulator) -> RunningEmulator:
    return vertex_emulator


@pytest.fixture(scope="session")
def clients(emulator: RunningEmulator) -> Clients:
    return Clients(emulator.url)
