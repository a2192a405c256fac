"""Traffic moves between versions while many connections ask: nothing is lost, nothing is wrong."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from endpoint_load import Load
from model_server_process import eventually
from times_model import check, deploy, running_pids, undeploy, upload_export

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import RunningEmulator, start

PROMOTIONS = 20


@pytest.fixture(scope="module")
def loaded(
    tmp_path_factory: pytest.TempPathFactory, exports: Path
) -> Iterator[tuple[RunningEmulator, Clients, str, str]]:
    """An emulator of this module's own, with an endpoint and two versions of a model."""
    emulator = start(tmp_path_factory.mktemp("loaded"))
    clients = Clients(emulator.url)
    clients.storage.create_bucket("loaded-bucket", location="us-central1")
    model = upload_export(clients, exports / "2", "gs://loaded-bucket/2").model
    upload_export(clients, exports / "3", "gs://loaded-bucket/3", model)
    created = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "loaded"}
    )
    yield emulator, clients, created.result(timeout=60).name, model
    emulator.stop()


def test_promotions_lose_no_request(
    loaded: tuple[RunningEmulator, Clients, str, str],
) -> None:
    emulator, clients, endpoint, model = loaded
    serving = deploy(clients, endpoint, f"{model}@1", {"0": 100})
    with Load(f"{emulator.url}/v1/{endpoint}:predict", check) as load:
        for number in range(PROMOTIONS):
            version = "2" if number % 2 == 0 else "1"
            successor = deploy(clients, endpoint, f"{model}@{version}", {"0": 50, serving: 50})
            clients.endpoints.update_endpoint(
                endpoint={"name": endpoint, "traffic_split": {successor: 100, serving: 0}},
                update_mask={"paths": ["traffic_split"]},
            )
            undeploy(clients, endpoint, serving, {successor: 100})
            serving = successor
            answers_more(load, version)
    undeploy(clients, endpoint, serving)
    assert not load.problems, load.problems[:5]
    assert set(load.versions) == {"1", "2"}


def answers_more(load: Load, version: str) -> None:
    """Waits until each connection may have had another answer of a version."""
    enough = load.versions[version] + 64
    eventually(lambda: load.versions[version] >= enough or bool(load.problems))


def test_killed_replicas_lose_no_request(
    loaded: tuple[RunningEmulator, Clients, str, str],
) -> None:
    emulator, clients, endpoint, model = loaded
    deployed = deploy(clients, endpoint, f"{model}@1", {"0": 100}, replicas=2)
    with Load(f"{emulator.url}/v1/{endpoint}:predict", check) as load:
        for _ in range(5):
            answers_more(load, "1")
            eventually(lambda: len(running_pids(emulator, deployed)) == 2)
            pid = min(running_pids(emulator, deployed))
            psutil.Process(pid).kill()
            eventually(lambda: not psutil.pid_exists(pid))  # noqa: B023, called before the next
        answers_more(load, "1")
    assert not load.problems, load.problems[:5]
    undeploy(clients, endpoint, deployed)
