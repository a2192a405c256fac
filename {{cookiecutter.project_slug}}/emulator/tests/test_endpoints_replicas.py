"""Replicas of a deployed model: as many as the load wants, none where none is wanted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from endpoint_load import Load
from model_server_process import eventually
from times_model import check, predict, running_pids, undeploy, upload_export

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import RunningEmulator, start
from vertex_emulator.vertex.scaling import CPU

FLAGS = [
    *("--autoscaling-period", "0.2"),
    *("--autoscaling-window", "2"),
    *("--idle-scaledown-period", "1"),
]


@pytest.fixture(scope="module")
def scaled(
    tmp_path_factory: pytest.TempPathFactory, exports: Path
) -> Iterator[tuple[RunningEmulator, Clients, str, str]]:
    """An emulator that scales fast, with an endpoint and a model."""
    emulator = start(tmp_path_factory.mktemp("scaled"), *FLAGS)
    clients = Clients(emulator.url)
    clients.storage.create_bucket("scaled-bucket", location="us-central1")
    model = upload_export(clients, exports / "2", "gs://scaled-bucket/2").model
    created = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "scaled"}
    )
    yield emulator, clients, created.result(timeout=60).name, model
    emulator.stop()


def deploy(clients: Clients, endpoint: str, model: str, api: str, resources: Any) -> str:
    """Deploys by plain REST, which has the fields of v1beta1; returns the deployed model's id."""
    body = {
        "deployedModel": {"model": model, "dedicatedResources": resources},
        "trafficSplit": {"0": 100},
    }
    url = f"{clients.url}/{api}/{endpoint}:deployModel"
    answer = requests.post(url, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    operation = answer.json()
    while "done" not in operation:
        wait = f"{clients.url}/v1/{operation['name']}:wait"
        operation = requests.post(wait, timeout=90).json()
    deployed: str = operation["response"]["deployedModel"]["id"]
    return deployed


def test_replicas_follow_the_load(
    scaled: tuple[RunningEmulator, Clients, str, str],
) -> None:
    emulator, clients, endpoint, model = scaled
    resources = {
        "minReplicaCount": 1,
        "maxReplicaCount": 3,
        # Low, because other processes of this machine may leave the replica little.
        "autoscalingMetricSpecs": [{"metricName": CPU, "target": 5}],
    }
    deployed = deploy(clients, endpoint, model, "v1", resources)
    assert len(running_pids(emulator, deployed)) == 1
    with Load(f"{emulator.url}/v1/{endpoint}:predict", check, connections=8) as load:
        eventually(lambda: len(running_pids(emulator, deployed)) == 3)
    eventually(lambda: len(running_pids(emulator, deployed)) == 1)
    assert not load.problems, load.problems[:5]
    assert predict(clients, endpoint, {"instances": [{"x": 1.0}]}).status_code == 200

    operation = clients.endpoints.mutate_deployed_model(
        endpoint=endpoint,
        deployed_model={"id": deployed, "dedicated_resources": {"min_replica_count": 2}},
        update_mask={"paths": ["dedicated_resources.min_replica_count"]},
    )
    operation.result(timeout=60)
    eventually(lambda: len(running_pids(emulator, deployed)) == 2)
    undeploy(clients, endpoint, deployed)
    eventually(lambda: not running_pids(emulator, deployed))


def test_the_first_request_waits_for_a_replica(
    scaled: tuple[RunningEmulator, Clients, str, str],
) -> None:
    emulator, clients, endpoint, model = scaled
    resources = {"minReplicaCount": 0, "scaleToZeroSpec": {"idleScaledownPeriod": "0.5s"}}
    deployed = deploy(clients, endpoint, model, "v1beta1", resources)
    for api, has in (("v1", False), ("v1beta1", True)):  # v1 has no such field
        answer = requests.get(f"{emulator.url}/{api}/{endpoint}", timeout=60)
        [shown] = answer.json()["deployedModels"]
        assert ("scaleToZeroSpec" in shown["dedicatedResources"]) == has
    for x in (1.0, 2.0):
        eventually(lambda: not running_pids(emulator, deployed))
        answer = predict(clients, endpoint, {"instances": [{"x": x}]})
        assert answer.json()["predictions"] == [{"y": 2 * x, "twice": 2 * x}]
    undeploy(clients, endpoint, deployed)


def test_what_waits_is_answered_before_an_undeployment(
    scaled: tuple[RunningEmulator, Clients, str, str],
) -> None:
    emulator, clients, endpoint, model = scaled
    deployed = deploy(clients, endpoint, model, "v1beta1", {"minReplicaCount": 0})
    eventually(lambda: not running_pids(emulator, deployed))
    with Load(f"{emulator.url}/v1/{endpoint}:predict", check, connections=1) as load:
        eventually(lambda: load.versions["1"] > 0)
    undeploy(clients, endpoint, deployed)
    assert not load.problems
    answer = predict(clients, endpoint, {"instances": [{"x": 1.0}]})
    assert answer.json()["error"]["status"] == "FAILED_PRECONDITION"
    eventually(lambda: not running_pids(emulator, deployed))


def test_zero_is_for_v1beta1(scaled: tuple[RunningEmulator, Clients, str, str]) -> None:
    _emulator, clients, endpoint, model = scaled
    for api, resources, part in (
        ("v1", {"minReplicaCount": 0}, "expected at least 1, or 0 in a v1beta1 request"),
        ("v1", {"minReplicaCount": 0, "scaleToZeroSpec": {}}, "scaleToZeroSpec"),
        ("v1beta1", {"minReplicaCount": 1, "scaleToZeroSpec": {}}, "requires 0, got 1"),
    ):
        body = {"deployedModel": {"model": model, "dedicatedResources": resources}}
        url = f"{clients.url}/{api}/{endpoint}:deployModel"
        error = requests.post(url, json=body, timeout=60).json()["error"]
        assert error["status"] == "INVALID_ARGUMENT"
        assert part in error["message"]
