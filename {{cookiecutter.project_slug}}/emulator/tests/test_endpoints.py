"""Endpoints: versions are really served, traffic moves, errors say what is wrong."""

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from times_model import deploy, predict, undeploy, upload_export

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import start


@pytest.fixture(scope="module")
def served(clients: Clients, exports: Path) -> Iterator[tuple[str, dict[str, str], str]]:
    """An endpoint with two versions: its name, ids of the deployed models, the model's name."""
    clients.storage.create_bucket("times-bucket", location="us-central1")
    model = upload_export(clients, exports / "2", "gs://times-bucket/2").model
    upload_export(clients, exports / "3", "gs://times-bucket/3", model)
    created = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "times"}
    )
    endpoint = created.result(timeout=60).name
    first = deploy(clients, endpoint, f"{model}@1", {"0": 100})
    second = deploy(clients, endpoint, f"{model}@2", {first: 100, "0": 0})
    yield endpoint, {"1": first, "2": second}, model
    set_traffic(clients, endpoint, {first: 100, second: 0})
    for deployed in (second, first):
        undeploy(clients, endpoint, deployed)
    clients.endpoints.delete_endpoint(name=endpoint).result(timeout=60)


def set_traffic(clients: Clients, endpoint: str, split: dict[str, int]) -> None:
    clients.endpoints.update_endpoint(
        endpoint={"name": endpoint, "traffic_split": split},
        update_mask={"paths": ["traffic_split"]},
    )


def test_traffic_goes_where_the_split_says(
    clients: Clients, served: tuple[str, dict[str, str], str]
) -> None:
    endpoint, ids, model = served
    body = {"instances": [{"x": 5.0}, {"x": 7.0}]}
    set_traffic(clients, endpoint, {ids["1"]: 100, ids["2"]: 0})
    answer = predict(clients, endpoint, body).json()
    assert answer["predictions"] == [{"y": 10.0, "twice": 10.0}, {"y": 14.0, "twice": 14.0}]
    assert (answer["model"], answer["modelVersionId"]) == (model, "1")
    assert answer["deployedModelId"] == ids["1"]

    set_traffic(clients, endpoint, {ids["1"]: 0, ids["2"]: 100})
    assert predict(clients, endpoint, body).json()["predictions"][0]["y"] == 15.0

    set_traffic(clients, endpoint, {ids["1"]: 50, ids["2"]: 50})
    versions = Counter(predict(clients, endpoint, body).json()["modelVersionId"] for _ in range(60))
    assert set(versions) == {"1", "2"}


def test_a_raw_prediction_is_the_containers_own_answer(
    clients: Clients, served: tuple[str, dict[str, str], str]
) -> None:
    endpoint, ids, _model = served
    answer = requests.post(
        f"{clients.url}/v1/{endpoint}:rawPredict", json={"inputs": {"x": [1.0]}}, timeout=90
    )
    assert set(answer.json()["outputs"]) == {"y", "twice"}
    assert answer.headers["X-Vertex-AI-Deployed-Model-Id"] in ids.values()


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"instances": [{"z": 1.0}]}, 400, "z"),
        ({"instances": [{"x": "late"}]}, 400, "late"),
        ({"instances": []}, 400, "instances"),
        ({}, 400, "instances"),
    ],
)
def test_a_bad_instance_gets_googles_error(
    clients: Clients, served: tuple[str, dict[str, str], str], body: Any, status: int, part: str
) -> None:
    answer = predict(clients, served[0], body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (status, "INVALID_ARGUMENT")
    assert part in error["message"]


@pytest.mark.parametrize("connection", ["new", "used"])
def test_a_request_beyond_the_limit_gets_googles_error(
    clients: Clients, served: tuple[str, dict[str, str], str], connection: str
) -> None:
    """In the words that callers of Google Cloud look for; 1.5 MB are 1,572,864 bytes."""
    whole = b'{"instances": [{"x": 1.0}]}'
    url = f"{clients.url}/v1/{served[0]}:predict"
    with requests.Session() as session:
        if connection == "used":  # uvicorn reads it then, not the gateway
            session.get(f"{clients.url}/v1/{served[0]}", timeout=60)
        within = session.post(url, whole + b" " * (1_572_864 - len(whole)), timeout=60)
        beyond = session.post(url, whole + b" " * (1_572_865 - len(whole)), timeout=60)
    assert within.status_code == 200
    error = beyond.json()["error"]
    assert (beyond.status_code, error["status"]) == (400, "FAILED_PRECONDITION")
    assert "bytes) exceeds 1.500MB limit." in error["message"]


@pytest.mark.parametrize("connection", ["new", "used"])
def test_a_request_may_be_compressed(
    clients: Clients, served: tuple[str, dict[str, str], str], connection: str
) -> None:
    whole = b'{"instances": [{"x": 1.0}]}'
    bodies = {
        gzip.compress(whole): "OK",
        gzip.compress(whole)[:-1]: "INVALID_ARGUMENT",
        gzip.compress(b" " * 1_572_865): "FAILED_PRECONDITION",
    }
    for body, wanted in bodies.items():
        with requests.Session() as session:
            if connection == "used":
                session.get(f"{clients.url}/v1/{served[0]}", timeout=60)
            answer = session.post(
                f"{clients.url}/v1/{served[0]}:predict",
                body,
                headers={"Content-Encoding": "gzip"},
                timeout=60,
            )
        assert answer.json().get("error", {"status": "OK"})["status"] == wanted


def test_a_bad_split_is_refused(clients: Clients, served: tuple[str, dict[str, str], str]) -> None:
    endpoint, ids, _model = served
    with pytest.raises(exceptions.BadRequest, match="add up to 100, got 90"):
        set_traffic(clients, endpoint, {ids["1"]: 90})
    with pytest.raises(exceptions.BadRequest, match="'7' is not deployed here"):
        set_traffic(clients, endpoint, {"7": 100})


def test_bounds_of_replicas_change(
    clients: Clients, served: tuple[str, dict[str, str], str]
) -> None:
    endpoint, ids, _model = served

    def mutate(least: int, most: int, *paths: str) -> Any:
        resources = {"min_replica_count": least, "max_replica_count": most}
        operation = clients.endpoints.mutate_deployed_model(
            endpoint=endpoint,
            deployed_model={"id": ids["1"], "dedicated_resources": resources},
            update_mask={"paths": [f"dedicated_resources.{path}" for path in paths]},
        )
        return operation.result(timeout=60).deployed_model.dedicated_resources

    changed = mutate(2, 5, "min_replica_count", "max_replica_count")
    assert (changed.min_replica_count, changed.max_replica_count) == (2, 5)
    assert changed.machine_spec.machine_type == "n1-standard-2"
    assert mutate(1, 9, "min_replica_count").max_replica_count == 5
    with pytest.raises(exceptions.BadRequest, match="expected at least minReplicaCount, 7, got 5"):
        mutate(7, 9, "min_replica_count")
    with pytest.raises(exceptions.BadRequest, match="updateMask"):
        mutate(1, 1, "machine_spec")


def test_what_is_deployed_is_not_deleted(
    clients: Clients, served: tuple[str, dict[str, str], str]
) -> None:
    endpoint, ids, model = served
    with pytest.raises(exceptions.BadRequest, match="undeploy"):
        clients.models.delete_model_version(name=f"{model}@2")
    with pytest.raises(exceptions.BadRequest, match="undeploy"):
        clients.endpoints.delete_endpoint(name=endpoint)
    set_traffic(clients, endpoint, {ids["1"]: 100, ids["2"]: 0})
    with pytest.raises(exceptions.BadRequest, match="gets 100 % of the traffic"):
        clients.endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=ids["1"])
    deployed = clients.models.get_model(name=f"{model}@1").deployed_models
    assert [(each.endpoint, each.deployed_model_id) for each in deployed] == [(endpoint, ids["1"])]


def test_a_broken_model_fails_its_deployment(clients: Clients, tmp_path: Path) -> None:
    clients.storage.create_bucket("broken-bucket", location="us-central1")
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"no protocol buffer")
    model = upload_export(clients, tmp_path, "gs://broken-bucket/model").model
    endpoint = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "broken"}
    ).result(timeout=60)
    with pytest.raises(exceptions.GoogleAPICallError, match="exited before it was ready"):
        deploy(clients, endpoint.name, model, {"0": 100})
    assert not clients.endpoints.get_endpoint(name=endpoint.name).deployed_models
    answer = predict(clients, endpoint.name, {"instances": [{"x": 1.0}]})
    assert answer.json()["error"]["status"] == "FAILED_PRECONDITION"


def test_another_image_is_not_emulated(clients: Clients, exports: Path) -> None:
    clients.storage.create_bucket("other-bucket", location="us-central1")
    clients.storage.bucket("other-bucket").blob("m/1/saved_model.pb").upload_from_string(b"")
    model = {
        "display_name": "other",
        "artifact_uri": "gs://other-bucket/m",
        "container_spec": {"image_uri": "example.com/mine:1"},
    }
    uploaded = clients.models.upload_model(parent=clients.location, model=model).result(timeout=60)
    endpoint = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "other"}
    ).result(timeout=60)
    with pytest.raises(exceptions.GoogleAPICallError, match="TensorFlow Serving's image") as caught:
        deploy(clients, endpoint.name, uploaded.model, {"0": 100})
    assert caught.value.code == 400


def test_deployed_models_come_back(exports: Path, tmp_path: Path) -> None:
    """Killed with -9, the emulator serves again what was deployed."""
    first = start(tmp_path / "data")
    try:
        clients = Clients(first.url)
        clients.storage.create_bucket("back-bucket", location="us-central1")
        model = upload_export(clients, exports / "2", "gs://back-bucket/2").model
        endpoint = clients.endpoints.create_endpoint(
            parent=clients.location, endpoint={"display_name": "back"}
        ).result(timeout=60)
        deploy(clients, endpoint.name, model, {"0": 100})
    finally:
        first.process.kill()
        first.process.wait()
    second = start(tmp_path / "data")
    try:
        answer = predict(Clients(second.url), endpoint.name, {"instances": [{"x": 4.0}]})
        assert answer.json()["predictions"][0]["y"] == 8.0
    finally:
        second.stop()
