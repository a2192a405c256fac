"""Fixtures for pytest, which the distribution registers: tests name them, and import nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vertex_emulator.testing.running import RunningEmulator, start

PROJECT = "test-project"
# Its token never ends, so that nobody asks Google for another; the emulator looks at none.
CREDENTIALS = {
    "type": "authorized_user",
    "client_id": "emulator",
    "client_secret": "emulator",
    "refresh_token": "emulator",
    "token": "emulator",
    "expiry": "2099-01-01T00:00:00Z",
}
REGION = "us-central1"


@pytest.fixture(scope="session")
def vertex_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """A running emulator for the whole test run; `storage.Client()` finds it by itself."""
    running = start(tmp_path_factory.mktemp("emulator"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", running.url)
        yield running
    running.stop()


@pytest.fixture(scope="session")
def vertex_emulator_url(vertex_emulator: RunningEmulator) -> str:
    """The emulator's address, such as `http://127.0.0.1:40123`."""
    return vertex_emulator.url


def write_credentials(folder: Path) -> Path:
    """Writes credentials for code that wants some, and returns the file."""
    path = folder / "credentials.json"
    path.write_text(json.dumps(CREDENTIALS))
    return path


@pytest.fixture
def vertex_ai(
    vertex_emulator_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """The module `google.cloud.aiplatform`, initialised for the emulator."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    # The SDK looks for the machine's credentials now and then, whatever it was given.
    credentials = write_credentials(tmp_path_factory.mktemp("credentials"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
    aiplatform.init(
        project=PROJECT,
        location=REGION,
        api_endpoint=vertex_emulator_url,
        api_transport="rest",
        credentials=AnonymousCredentials(),
    )
    yield aiplatform
    aiplatform.initializer.global_config.__init__()  # as before `init`


@pytest.fixture
def gcs_client(vertex_emulator_url: str) -> Iterator[Any]:
    """A `google.cloud.storage.Client` of the emulator."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client(
        project=PROJECT,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": vertex_emulator_url},
    )
    yield client
    client.close()
