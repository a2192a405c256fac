"""What is sent to Google Cloud, held against Google's own description of it."""

from types import SimpleNamespace
from typing import Any

import pytest
import requests

from cloud import config
from cloud.errors import UserError
from cloud.training import accelerators, job_request, submission
from cloud.training.job_request import JobSettings
from vertex_emulator.testing.contract import checked_send
from vertex_emulator.testing.discovery import validator


def test_a_job_is_a_custom_job() -> None:
    values = config.load(environment={"CLOUD_BUCKET": "b", "CLOUD_PROJECT": "p-roject"})
    job = job_request.custom_job(
        values,
        JobSettings(replicas=3, timeout=60, machine_type="n1-highmem-8"),
        name="name-1",
        folder="gs://b/jobs/name-1",
        package_uri="gs://b/packages/x/trainer-1.0.0-py3-none-any.whl",
        arguments=["--epochs=3"],
    )
    document = job_request.as_json(job)
    validator("aiplatform.v1").check("GoogleCloudAiplatformV1CustomJob", document)
    chief, workers = document["jobSpec"]["workerPoolSpecs"]
    assert (chief["replicaCount"], workers["replicaCount"]) == ("1", "2")
    assert chief["machineSpec"] == {"machineType": "n1-highmem-8"}
    package, *arguments = chief["containerSpec"]["args"]
    assert package == "/gcs/b/packages/x/trainer-1.0.0-py3-none-any.whl"
    assert arguments == ["--epochs=3"]
    assert chief["containerSpec"]["env"] == [{"name": "SHOW_STACKS_AFTER", "value": "57.0"}]
    expected = {"timeout": "60s", "restartJobOnWorkerRestart": True}
    assert document["jobSpec"]["scheduling"] == expected
    assert document["jobSpec"]["baseOutputDirectory"] == {"outputUriPrefix": "gs://b/jobs/name-1"}


def test_the_trainers_own_parser_checks_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    values = config.load(environment={"CLOUD_BUCKET": "b", "CLOUD_DATA_SET": "flights"})
    arguments = submission.trainer_arguments(values, ["--epochs", "3"])
    assert "--train-data=gs://b/data/flights/train.csv" in arguments
    with pytest.raises(SystemExit):
        submission.trainer_arguments(values, ["--epochs", "-3"])
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
    given = JobSettings(
        accelerator="NVIDIA_TESLA_T4",
        accelerator_count=2,
        spot=True,
        labels=["team=a", "stage="],
        service_account="trainer@p.iam.gserviceaccount.com",
    )
    job_request.check(values, given)
    job = job_request.custom_job(
        values,
        given,
        name="x-1",
        folder="gs://b/jobs/x-1",
        package_uri="gs://b/t.whl",
        arguments=[],
    )
    document = job_request.as_json(job)
    validator("aiplatform.v1").check("GoogleCloudAiplatformV1CustomJob", document)
    [pool] = document["jobSpec"]["workerPoolSpecs"]
    assert pool["machineSpec"]["acceleratorType"] == "NVIDIA_TESLA_T4"
    assert pool["machineSpec"]["acceleratorCount"] == 2
    assert pool["containerSpec"]["imageUri"].endswith("/tensorflow/tensorflow:2.21.0-gpu")
    assert document["jobSpec"]["scheduling"]["strategy"] == "SPOT"
    assert document["jobSpec"]["serviceAccount"] == "trainer@p.iam.gserviceaccount.com"
    assert document["labels"].items() >= {"team": "a", "stage": ""}.items()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"timeout": 0}, "--timeout: expected 1 to 604,800 seconds, got 0"),
        ({"accelerator": "GPU"}, "--accelerator: expected one of NVIDIA_TESLA_K80"),
        ({"accelerator_count": 1}, "--accelerator-count: 1 of what"),
        ({"labels": ["Team=a"]}, "--label: expected KEY=VALUE"),
        ({"labels": ["model=a"]}, "--label: 'model' names the model already"),
        ({"service_account": "me"}, "--service-account: expected NAME@PROJECT"),
        ({"replicas": 0}, "--replicas: expected at least 1, got 0"),
    ],
)
def test_a_bad_flag_is_refused(flags: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        job_request.check(config.load(environment={}), JobSettings(**flags))


@pytest.mark.parametrize(
    ("machine_type", "accelerator", "count", "expected"),
    [
        ("n1-standard-4", "NVIDIA_TESLA_T4", None, 1),
        ("n1-standard-4", "NVIDIA_TESLA_T4", 4, 4),
        ("n1-highcpu-32", "NVIDIA_TESLA_T4", None, 2),
        ("n1-highmem-16", "NVIDIA_TESLA_V100", None, 2),
        ("n1-highmem-8", "NVIDIA_TESLA_V100", 8, 8),
        ("n1-standard-96", "NVIDIA_TESLA_V100", None, 8),
        ("g2-standard-24", "NVIDIA_L4", None, 2),
        ("a2-highgpu-4g", "NVIDIA_TESLA_A100", 4, 4),
        ("a2-ultragpu-1g", "NVIDIA_A100_80GB", None, 1),
        ("n2-standard-8", None, None, None),
    ],
)
def test_a_machine_has_the_accelerators_that_google_documents(
    machine_type: str, accelerator: str | None, count: int | None, expected: int | None
) -> None:
    assert accelerators.check(machine_type, accelerator, count) == expected


@pytest.mark.parametrize(
    ("machine_type", "accelerator", "count", "sentence"),
    [
        (
            "n1-standard-4",
            "NVIDIA_TESLA_T4",
            3,
            "n1-standard-4 can have 1 or 2 or 4 NVIDIA_TESLA_T4, got 3",
        ),
        ("n1-standard-4", "NVIDIA_TESLA_T4", 0, "can have 1 or 2 or 4 NVIDIA_TESLA_T4, got 0"),
        ("n1-standard-32", "NVIDIA_TESLA_T4", 1, "can have 2 or 4 NVIDIA_TESLA_T4, got 1"),
        ("n2-standard-8", "NVIDIA_TESLA_T4", 1, "cannot have NVIDIA_TESLA_T4; .* n1-standard"),
        ("n1-standard-4", "NVIDIA_L4", 1, "cannot have NVIDIA_L4; .* g2-standard-4, g2-"),
        ("g2-standard-4", "NVIDIA_TESLA_T4", 1, "g2-standard-4 cannot have NVIDIA_TESLA_T4"),
        ("g2-standard-24", "NVIDIA_L4", 1, "g2-standard-24 can have 2 NVIDIA_L4, got 1"),
        ("g2-standard-8", None, None, "has 1 NVIDIA_L4; add --accelerator NVIDIA_L4"),
        ("n1-standard-4", "NVIDIA_TESLA_K80", 1, "cannot have NVIDIA_TESLA_K80; .*: none"),
        ("cloud-tpu", "TPU_V3", 8, "does not train on Vertex AI's TPUs, got TPU_V3"),
    ],
)
def test_other_machines_are_refused(
    machine_type: str, accelerator: str | None, count: int | None, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        accelerators.check(machine_type, accelerator, count)


@pytest.mark.parametrize(
    ("image", "accelerator", "expected"),
    [
        ("tensorflow/tensorflow:2.21.0", None, "tensorflow/tensorflow:2.21.0"),
        ("tensorflow/tensorflow:2.21.0", "NVIDIA_TESLA_T4", "tensorflow/tensorflow:2.21.0-gpu"),
        ("tensorflow/tensorflow:2.21.0-gpu", "NVIDIA_L4", "tensorflow/tensorflow:2.21.0-gpu"),
        ("europe-docker.pkg.dev/p/r/mine:1", "NVIDIA_L4", "europe-docker.pkg.dev/p/r/mine:1"),
    ],
)
def test_a_gpu_gets_the_image_that_can_use_it(
    image: str, accelerator: str | None, expected: str
) -> None:
    assert accelerators.image(image, accelerator) == expected


@pytest.mark.parametrize("name", ["Upper", "-x", "x-", "x" * 43, "a/b", ""])
def test_a_bad_job_name_is_refused_before_anything_is_sent(name: str) -> None:
    client: Any = SimpleNamespace(config=config.load(environment={}))
    with pytest.raises(UserError, match="--name: expected up to 42"):
        submission.submit(client, JobSettings(name=name))


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


def test_a_request_may_have_an_enum_by_its_number_as_googles_clients_send_it() -> None:
    """An answer has names."""
    api, kind = validator("aiplatform.v1"), "GoogleCloudAiplatformV1StudySpecMetricSpec"
    api.check(kind, {"metricId": "auc", "goal": 1}, is_request=True)
    for payload, is_request in (({"goal": 1}, False), ({"goal": "UP"}, True)):
        with pytest.raises(AssertionError):
            api.check(kind, payload, is_request=is_request)
