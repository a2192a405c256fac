"""Fixtures for pytest, registered by the distribution: no import is needed."""

from collections.abc import Iterator

import pytest

from vertex_emulator.testing.running import RunningEmulator, start


@pytest.fixture(scope="session")
def vertex_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """An emulator for the whole test run, which `storage.Client()` finds by itself."""
    running = start(tmp_path_factory.mktemp("emulator"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", running.url)
        yield running
    running.stop()
