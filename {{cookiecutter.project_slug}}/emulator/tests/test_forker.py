"""Replicas are forked, and end with whoever should see to them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from model_server_process import eventually
from times_model import deploy, predict, running_pids, upload_export

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import RunningEmulator, start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="replicas are forked on Linux")


@pytest.fixture
def served(tmp_path: Path, exports: Path) -> Iterator[tuple[RunningEmulator, Clients, str, str]]:
    """An emulator of the test's own that serves a model: with endpoint and deployed model."""
    emulator = start(tmp_path / "data")
    clients = Clients(emulator.url)
    clients.storage.create_bucket("forked-bucket", location="us-central1")
    model = upload_export(clients, exports / "2", "gs://forked-bucket/2").model
    endpoint = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "forked"}
    ).result(timeout=60)
    deployed = deploy(clients, endpoint.name, model, {"0": 100})
    yield emulator, clients, endpoint.name, deployed
    emulator.stop()


def forker_of(emulator: RunningEmulator, deployed: str) -> psutil.Process:
    [pid] = running_pids(emulator, deployed)
    parent = psutil.Process(pid).parent()
    assert parent is not None
    assert "vertex_emulator.processes.forker" in parent.cmdline()
    return parent


def asked(clients: Clients, endpoint: str) -> Any:
    return predict(clients, endpoint, {"instances": [{"x": 4.0}]}).json()["predictions"][0]["y"]


def test_nothing_outlives_a_killed_emulator(
    served: tuple[RunningEmulator, Clients, str, str],
) -> None:
    emulator, _clients, _endpoint, deployed = served
    forker_of(emulator, deployed)
    below = psutil.Process(emulator.process.pid).children(recursive=True)
    assert len(below) >= 3  # forker, supervisor, replica
    emulator.process.kill()
    eventually(lambda: not any(each.is_running() for each in below))


def test_a_killed_forker_is_replaced_with_its_replicas(
    served: tuple[RunningEmulator, Clients, str, str],
) -> None:
    emulator, clients, endpoint, deployed = served
    forker = forker_of(emulator, deployed)
    replicas = running_pids(emulator, deployed)
    forker.kill()
    eventually(lambda: not replicas & running_pids(emulator, deployed))
    assert asked(clients, endpoint) == 8.0
    assert forker_of(emulator, deployed) != forker


def test_a_forked_replica_leaves_its_log_and_how_it_ended(
    served: tuple[RunningEmulator, Clients, str, str],
) -> None:
    emulator, _clients, _endpoint, deployed = served
    [folder] = (emulator.data_dir / "servers").glob(f"{deployed}-*")
    emulator.stop()
    lines = [json.loads(line) for line in (folder / "output.jsonl").read_text().splitlines()]
    assert any(line["text"].startswith("Model server ready on") for line in lines)
    assert "exitCode" in json.loads((folder / "result.json").read_text())


def test_variables_of_the_container_want_a_plain_start(
    served: tuple[RunningEmulator, Clients, str, str], exports: Path
) -> None:
    emulator, clients, endpoint, first = served
    model = upload_export(
        clients,
        exports / "3",
        "gs://forked-bucket/3",
        env=[{"name": "TF_ENABLE_ONEDNN_OPTS", "value": "0"}],
    ).model
    deployed = deploy(clients, endpoint, model, {"0": 100, first: 0})
    [pid] = running_pids(emulator, deployed)
    assert "vertex_emulator.model_server" in psutil.Process(pid).cmdline()
    assert psutil.Process(pid).environ()["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert asked(clients, endpoint) == 12.0
