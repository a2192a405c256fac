"""What is sent to Google Cloud, held against Google's own description of it."""

import argparse
from typing import Any

import pytest
from google.cloud import aiplatform_v1
from google.protobuf import json_format

from cloud import config, submit
from cloud.errors import UserError
from tests.emulator.discovery import validator


def options(**values: Any) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    submit.add_arguments(parser)
    return argparse.Namespace(**vars(parser.parse_args([])) | values)


def as_json(job: dict[str, Any]) -> dict[str, Any]:
    message = aiplatform_v1.CustomJob.pb(aiplatform_v1.CustomJob(job))
    document: dict[str, Any] = json_format.MessageToDict(message)
    return document


def test_a_job_is_a_custom_job() -> None:
    values = config.load(environment={"CLOUD_BUCKET": "b", "CLOUD_PROJECT": "p-roject"})
    job = submit.custom_job(
        values,
        options(replicas=3, timeout=60, machine_type="n1-highmem-8"),
        "jobs/name-1",
        "gs://b/packages/x/trainer-1.0.0-py3-none-any.whl",
        ["--epochs=3"],
    )
    document = as_json(job)
    validator("aiplatform.v1").check("GoogleCloudAiplatformV1CustomJob", document)
    chief, workers = document["jobSpec"]["workerPoolSpecs"]
    assert (chief["replicaCount"], workers["replicaCount"]) == ("1", "2")
    assert chief["machineSpec"] == {"machineType": "n1-highmem-8"}
    package, *arguments = chief["containerSpec"]["args"]
    assert package == "/gcs/b/packages/x/trainer-1.0.0-py3-none-any.whl"
    assert arguments == ["--epochs=3"]
    assert document["jobSpec"]["scheduling"] == {"timeout": "60s"}
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
    assert submit.job_name_stem(values) == stem


@pytest.mark.parametrize("name", ["Upper", "-x", "x-", "x" * 43, "a/b", ""])
def test_a_bad_job_name_is_refused_before_anything_is_sent(name: str) -> None:
    client: Any = argparse.Namespace(config=config.load(environment={}))
    with pytest.raises(UserError, match="--name: expected up to 42"):
        submit.submit(client, options(name=name or "--"))
