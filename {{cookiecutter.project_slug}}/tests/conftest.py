"""Fixtures of all tests: a running emulator, and Google's own clients on it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

ROOT = Path(__file__).parents[1]


@dataclass
class RunningEmulator:
    """A `python -m emulator` of the tests' own."""

    process: subprocess.Popen[str]
    url: str
    data_dir: Path

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def start_emulator(data_dir: Path, *flags: str) -> RunningEmulator:
    """Starts an emulator and waits until it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator", "--port", "0", "--data-dir", str(data_dir), *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.readline()
    assert line.startswith("Emulator ready on http://127.0.0.1:"), line
    return RunningEmulator(process, line.split()[-1], data_dir)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    running = start_emulator(tmp_path_factory.mktemp("emulator"))
    before = os.environ.get("STORAGE_EMULATOR_HOST")
    os.environ["STORAGE_EMULATOR_HOST"] = running.url
    yield running
    if before is None:
        del os.environ["STORAGE_EMULATOR_HOST"]
    else:
        os.environ["STORAGE_EMULATOR_HOST"] = before
    running.stop()


def check_contract(response: requests.Response, **_options: Any) -> None:
    """Holds an answer of Vertex AI against Google's own description of it."""
    from tests.emulator.discovery import validator

    if response.status_code == 200:
        path = urlsplit(response.url).path
        api = validator("aiplatform.v1")
        schema = api.response_schema(response.request.method or "", path)
        assert schema is not None, path
        api.check(schema, response.json())


class Clients:
    """Google's clients of Vertex AI and Cloud Storage, on one emulator.

    Each answer of Vertex AI is checked against Google's discovery document.
    """

    location = "projects/test-project/locations/us-central1"

    def __init__(self, url: str) -> None:
        from google.api_core.client_options import ClientOptions
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import aiplatform_v1, storage

        options: dict[str, Any] = {
            "transport": "rest",
            "credentials": AnonymousCredentials(),
            "client_options": ClientOptions(api_endpoint=url),
        }
        self.url = url
        self.jobs = aiplatform_v1.JobServiceClient(**options)
        self.models = aiplatform_v1.ModelServiceClient(**options)
        self.endpoints = aiplatform_v1.EndpointServiceClient(**options)
        for client in (self.jobs, self.models, self.endpoints):
            client.transport._session.hooks["response"].append(check_contract)
        self.storage = storage.Client(
            project="test-project",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": url},
        )


@pytest.fixture(scope="session")
def clients(emulator: RunningEmulator) -> Clients:
    return Clients(emulator.url)
