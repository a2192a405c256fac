"""The emulator runs code on request: what may reach it, how much, and where it may write."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from custom_jobs import create, entries, run, spec, wait
from raw_requests import ask

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import RunningEmulator


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.com"},
        {"Host": "example.com:8085"},
        {"Host": "127.0.0.1.example.com"},
        {"Host": ""},
        {"Origin": "http://example.com"},
        {"Origin": "https://{host}"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://{host}.example.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_another_site_is_refused(clients: Clients, headers: dict[str, str]) -> None:
    host = urlsplit(clients.url).netloc
    sent = {name: value.format(host=host) for name, value in headers.items()}
    for path in ("/", f"/v1/{clients.location}/customJobs", "/storage/v1/b?project=p"):
        status, answer = ask(clients, path, headers=sent)
        assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
def test_loopback_is_served_by_each_of_its_names(clients: Clients, name: str) -> None:
    port = urlsplit(clients.url).port
    host = f"{name}:{port}"
    same = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert ask(clients, "/", headers=same)[0] == 200


@pytest.mark.parametrize("path", ["/v1/{location}/customJobs", "/v2/entries:list"])
def test_a_body_has_a_limit(clients: Clients, path: str) -> None:
    body = b'{"displayName": "' + b"x" * 11_000_000 + b'"}'
    url = clients.url + path.format(location=clients.location)
    answer = requests.post(url, data=body, timeout=60)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == 413


@pytest.mark.parametrize("depth", [90, 200, 1_000, 100_000])
def test_deep_nesting_is_refused(clients: Clients, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    for path, field in (
        (
            f"/v1/{clients.location}/models:upload",
            b'{"model": {"displayName": "x", "metadata": %s}}',
        ),
        (f"/v1/{clients.location}/customJobs", b'{"labels": %s}'),
        ("/v2/entries:list", b'{"resourceNames": %s}'),
    ):
        status, answer = ask(clients, path, "POST", field % nested)
        if status != 200:  # metadata may nest, as deep as a message may
            assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
        else:
            assert depth < 100


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/{location}/featurestores",
        "/v1/{location}/endpoints/1:explain",
        "/v1/{location}/customJobs/",
        "/v1/{location}/customJobs/%0A",
        "/v1/projects/p",
        "/v1beta1/{location}/schedules",
        "/v2/projects/p/sinks",
    ],
)
def test_what_is_not_emulated_says_so(clients: Clients, method: str, path: str) -> None:
    status, answer = ask(clients, path.format(location=clients.location), method)
    assert (status, answer["error"]["status"]) == (400, "UNIMPLEMENTED")
    assert answer["error"]["message"].startswith(f"{method} /v")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_not_emulated_either(clients: Clients, method: str) -> None:
    status, answer = ask(clients, f"/v1/{clients.location}/customJobs", method)
    assert (status, answer["error"]["status"]) == (400, "UNIMPLEMENTED")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("endpoints?endpointId=..%2F..", {"displayName": "x"}, "endpointId"),
        ("endpoints?endpoint_id=UPPER", {"displayName": "x"}, "endpointId"),
        ("models:upload", {"model": {"displayName": "x"}, "modelId": "../../x"}, "modelId"),
        (
            "models:upload",
            {"model": {"displayName": "x", "artifactUri": "gs://../../etc"}},
            "artifactUri",
        ),
        (
            "models:upload",
            {
                "model": {
                    "displayName": "x",
                    "containerSpec": {"imageUri": "x", "env": [{"name": "A=B", "value": "c"}]},
                }
            },
            "containerSpec.env[0].name",
        ),
    ],
)
def test_names_that_leave_their_place(clients: Clients, path: str, body: Any, field: str) -> None:
    answer = requests.post(f"{clients.url}/v1/{clients.location}/{path}", json=body, timeout=60)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["error"]["message"]


def test_the_id_of_a_deployed_model_is_no_path(clients: Clients, emulator: RunningEmulator) -> None:
    model = clients.models.upload_model(
        parent=clients.location, model={"display_name": "id"}
    ).result(timeout=60)
    endpoint = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "id"}
    ).result(timeout=60)
    deployed = {
        "id": "../../escaped",
        "model": model.model,
        "dedicatedResources": {"minReplicaCount": 1},
    }
    url = f"{clients.url}/v1/{endpoint.name}:deployModel"
    answer = requests.post(url, json={"deployedModel": deployed}, timeout=60)
    assert answer.status_code == 400
    assert "deployedModel.id" in answer.json()["error"]["message"]
    assert not list(emulator.data_dir.parent.glob("*escaped*"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"packageUris": ["gs://bucket/.."]}, "packageUris"),
        ({"packageUris": ["gs://bucket/folder/."]}, "packageUris"),
        ({"packageUris": ["/etc/passwd"]}, "packageUris"),
        ({"pythonModule": "a\0b"}, "pythonModule"),
        ({"env": [{"name": "", "value": ""}]}, "env[0].name"),
        ({"env": [{"name": "A=B", "value": ""}]}, "env[0].name"),
        ({"env": [{"name": "A", "value": "\0"}]}, "env[0].value"),
    ],
)
def test_a_package_that_leaves_its_place(
    clients: Clients, change: dict[str, Any], field: str
) -> None:
    package = {
        "executorImageUri": "image",
        "packageUris": ["gs://bucket/a.whl"],
        "pythonModule": "a",
        **change,
    }
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "pythonPackageSpec": package}
    job = {"displayName": "x", "jobSpec": {"workerPoolSpecs": [pool]}}
    url = f"{clients.url}/v1/{clients.location}/customJobs"
    answer = requests.post(url, json=job, timeout=60)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"replica_count": 10**9}, "at most 32 replicas"),
        ({"replica_count": -1}, "replicaCount"),
    ],
)
def test_a_job_has_a_limit(clients: Clients, change: dict[str, Any], part: str) -> None:
    job = spec("")
    [pool] = job["job_spec"]["worker_pool_specs"]
    job["job_spec"]["worker_pool_specs"] = [pool, pool | change]
    with pytest.raises(Exception, match=part):
        create(clients, job)


def test_no_shell_reads_a_job(clients: Clients, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    word = f"$(touch {mark}); `touch {mark}` | touch {mark} && touch {mark} > {mark}"
    job = run(clients, spec("import sys; print(sys.argv[1])", word))
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert word in [each.get("textPayload") for each in entries(clients, job.name)]
    named = spec("") | {"display_name": f"; $(touch {mark})"}
    assert wait(clients, create(clients, named)).state.name == "JOB_STATE_SUCCEEDED"
    program = spec("")
    [pool] = program["job_spec"]["worker_pool_specs"]
    pool["container_spec"]["command"] = [f"python; touch {mark}"]
    failed = run(clients, program)
    assert failed.state.name == "JOB_STATE_FAILED"
    assert "no program" in failed.error.message
    assert not mark.exists()
