"""What is sent to Google Cloud, held against Google's own description of it."""

import argparse
from typing import Any

import pytest
import requests

from cloud import config
from cloud.commands import submit
from cloud.errors import UserError
from cloud.training import job_request
from vertex_emulator.testing.contract import checked_send
from vertex_emulator.testing.discovery import validator


def options(**values: Any) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    submit.add_arguments(parser)
    return argparse.Namespace(**vars(parser.parse_args([])) | values)


def test_a_job_is_a_custom_job() -> None:
    values = config.load(environment={"CLOUD_BUCKET": "b", "CLOUD_PROJECT": "p-roject"})
    job = job_request.custom_job(
        values,
        options(replicas=3, timeout=60, machine_type="n1-highmem-8"),
        "jobs/name-1",
        "gs://b/packages/x/trainer-1.0.0-py3-none-any.whl",
        ["--epochs=3"],
    )
    document = job_request.as_json(job)
    validator("aiplatform.v1").check("GoogleCloudAiplatformV1CustomJob", document)
    chief, workers = document["jobSpec"]["workerPoolSpecs"]
    assert (chief["replicaCount"], workers["replicaCount"]) == ("1", "2")
    assert chief["machineSpec"] == {"machineType": "n1-highmem-8"}
    package, *arguments = chief["containerSpec"]["args"]
    assert package == "/gcs/b/packages/x/trainer-1.0.0-py3-none-any.whl"
    assert arguments == ["--epochs=3"]
    expected = {"timeout": "60s", "restartJobOnWorkerRestart": True}
    assert document["jobSpec"]["scheduling"] == expected
    assert document["jobSpec"]["baseOutputDirectory"] == {"outputUriPrefix": "gs://b/jobs/name-1"}


def test_the_trainers_own_parser_checks_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    values = config.load(environment={"CLOUD_BUCKET": "b", "CLOUD_DATA_SET": "flights"})
    arguments = submit.trainer_arguments(values, ["--epochs", "3"])
    assert "--train-data=gs://b/data/flights/train.csv" in arguments
    with pytest.raises(SystemExit):
        submit.trainer_arguments(values, ["--epochs", "-3"])
    assert "--epochs: expected at least 1, got '-3'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "stem"),
    [("flight_delays", "flight-delays"), ("Ünit", "nit"), ("___", "job")],
)
def test_a_model_name_becomes_a_job_name(model: str, stem: str) -> None:
    values = config.load(environment={"CLOUD_MODEL": model})
    assert values.name_stem == stem


def test_every_flag_is_in_the_request() -> None:
    values = config.load(environment={"CLOUD_BUCKET": "b"})
    given = options(
        accelerator="NVIDIA_TESLA_T4",
        accelerator_count=2,
        spot=True,
        label=["team=a", "stage="],
        service_account="trainer@p.iam.gserviceaccount.com",
    )
    job_request.check(values, given)
    job = job_request.custom_job(values, given, "jobs/x-1", "gs://b/trainer.whl", [])
    document = job_request.as_json(job)
    validator("aiplatform.v1").check("GoogleCloudAiplatformV1CustomJob", document)
    [pool] = document["jobSpec"]["workerPoolSpecs"]
    assert pool["machineSpec"]["acceleratorType"] == "NVIDIA_TESLA_T4"
    assert pool["machineSpec"]["acceleratorCount"] == 2
    assert document["jobSpec"]["scheduling"]["strategy"] == "SPOT"
    assert document["jobSpec"]["serviceAccount"] == "trainer@p.iam.gserviceaccount.com"
    assert document["labels"].items() >= {"team": "a", "stage": ""}.items()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"timeout": 0}, "--timeout: expected 1 to 604,800 seconds, got 0"),
        ({"accelerator": "GPU"}, "--accelerator: expected one of NVIDIA_TESLA_K80"),
        ({"accelerator_count": 0}, "--accelerator-count: expected at least 1, got 0"),
        ({"label": ["Team=a"]}, "--label: expected KEY=VALUE"),
        ({"label": ["model=a"]}, "--label: 'model' names the model already"),
        ({"service_account": "me"}, "--service-account: expected NAME@PROJECT"),
        ({"replicas": 0}, "--replicas: expected at least 1, got 0"),
    ],
)
def test_a_bad_flag_is_refused(flags: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        job_request.check(config.load(environment={}), options(**flags))


@pytest.mark.parametrize("name", ["Upper", "-x", "x-", "x" * 43, "a/b", ""])
def test_a_bad_job_name_is_refused_before_anything_is_sent(name: str) -> None:
    client: Any = argparse.Namespace(config=config.load(environment={}))
    with pytest.raises(UserError, match="--name: expected up to 42"):
        submit.submit(client, options(name=name or "--"))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/projects/p/locations/l/endpoints/1:predict", {"instance": [1]}),
        ("POST", "/v1/projects/p/locations/l/customJobs", {"displayName": 3}),
        ("GET", "/v1/projects/p/locations/l/customJobs?colour=red", None),
        ("GET", "/v3/projects/p/timeSeries?interval.begin=1", None),
        ("POST", "/v2/entries:list", {"order": "timestamp"}),
        ("POST", "/v1/projects/p/locations/l/customJob", {}),
    ],
)
def test_a_wrong_request_of_a_command_is_caught(method: str, path: str, body: Any) -> None:
    """The commands of all tests run under this check."""
    request = requests.Request(method, f"http://127.0.0.1:9{path}", json=body).prepare()
    with pytest.raises((AssertionError, KeyError)):
        checked_send(requests.Session(), request)
