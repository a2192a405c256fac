"""The gcloud CLI on the emulator: `gcloud ai …` and `gcloud logging read`.

gcloud takes seconds to start, so each test is one chain of commands. Where it is not installed,
they are skipped.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tunings
from custom_jobs import wait
from times_model import IMAGE

from vertex_emulator.testing.clients import Clients

GCLOUD = shutil.which("gcloud")
pytestmark = pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")

Gcloud = Callable[..., Any]


@pytest.fixture(scope="module")
def gcloud(clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Gcloud:
    """Runs one command and returns what it prints as JSON."""
    environment = {
        **{name: value for name, value in os.environ.items() if "CLOUDSDK" not in name},
        "CLOUDSDK_CONFIG": str(tmp_path_factory.mktemp("gcloud")),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_PROJECT": "test-project",
        "CLOUDSDK_AI_REGION": "us-central1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{clients.url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": f"{clients.url}/",
    }

    def call(*words: str, formatted: str = "json", seconds: float = 120) -> Any:
        done = subprocess.run(
            [str(GCLOUD), *words, f"--format={formatted}"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if formatted == "json" and done.stdout else done.stdout

    return call


def test_custom_jobs(clients: Clients, gcloud: Gcloud, tmp_path: Path) -> None:
    code = "import time; print('from gcloud', flush=True); time.sleep(600)"
    container = {"imageUri": IMAGE, "command": ["python", "-c", code]}
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": 1,
        "containerSpec": container,
    }
    config = tmp_path / "job.yaml"  # YAML is JSON's superset
    config.write_text(json.dumps({"workerPoolSpecs": [pool]}))
    created = gcloud(
        "ai", "custom-jobs", "create", "--display-name=gcloud-job", f"--config={config}"
    )
    name = created["name"]
    job_id = name.rpartition("/")[2]
    wait(clients, name, "JOB_STATE_RUNNING")
    assert gcloud("ai", "custom-jobs", "describe", job_id)["displayName"] == "gcloud-job"
    listed = gcloud("ai", "custom-jobs", "list", "--filter=displayName=gcloud-job")
    assert [each["name"] for each in listed] == [name]

    condition = f'resource.type="ml_job" AND resource.labels.job_id="{job_id}" AND gcloud'
    entries: list[Any] = []
    while not entries:
        entries = gcloud("logging", "read", condition, "--order=asc", "--limit=1")
    assert entries[0]["textPayload"] == "from gcloud"

    gcloud("ai", "custom-jobs", "cancel", job_id, formatted="none")
    wait(clients, name, "JOB_STATE_CANCELLED")
    # It never ends where the job was active when it began, so it follows one that has ended.
    shown = gcloud(
        *("ai", "custom-jobs", "stream-logs", job_id, "--polling-interval=1"),
        formatted="value(message)",
    )
    assert "from gcloud" in shown
    assert "Job is cancelled." in shown


def test_tunings(clients: Clients, gcloud: Gcloud, tmp_path: Path) -> None:
    job = tunings.tuning(tunings.CODE + "print('from a trial')")
    config = tmp_path / "tuning.yaml"
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": 1,
        "containerSpec": {
            "imageUri": IMAGE,
            "command": job["trial_job_spec"]["worker_pool_specs"][0]["container_spec"]["command"],
        },
    }
    study = {
        "metrics": [{"metricId": "score", "goal": "MAXIMIZE"}],
        "parameters": [{"parameterId": "x", "doubleValueSpec": {"minValue": 0, "maxValue": 1}}],
    }
    config.write_text(json.dumps({"studySpec": study, "trialJobSpec": {"workerPoolSpecs": [pool]}}))
    created = gcloud(
        *("ai", "hp-tuning-jobs", "create", "--display-name=gcloud-tuning", f"--config={config}"),
        *("--max-trial-count=2", "--parallel-trial-count=2", "--algorithm=random-search"),
    )
    name = created["name"]
    job_id = name.rpartition("/")[2]
    assert tunings.wait(clients, name).state.name == "JOB_STATE_SUCCEEDED"
    shown = gcloud("ai", "hp-tuning-jobs", "describe", job_id)
    assert [each["state"] for each in shown["trials"]] == ["SUCCEEDED", "SUCCEEDED"]
    said = gcloud(
        *("ai", "hp-tuning-jobs", "stream-logs", job_id, "--polling-interval=1"),
        formatted="value(message)",
    )
    assert said.count("from a trial") == 2
    assert "Hyperparameter tuning job completed successfully." in said


def test_models_and_endpoints(
    clients: Clients,
    gcloud: Gcloud,
    exports: Path,
    tmp_path: Path,
) -> None:
    bucket = clients.storage.create_bucket("gcloud-bucket", location="us-central1")
    for file in (exports / "2").rglob("*"):
        if file.is_file():
            name = f"model/{file.relative_to(exports / '2').as_posix()}"
            bucket.blob(name).upload_from_filename(file)

    def upload(*more: str) -> Any:
        return gcloud(
            *("ai", "models", "upload", "--display-name=gcloud-times"),
            f"--container-image-uri={IMAGE}",
            "--artifact-uri=gs://gcloud-bucket/model",
            "--container-args=--rest_api_port=8080,--model_name=times,--model_base_path=$(AIP_STORAGE_URI)",
            "--container-health-route=/v1/models/times",
            "--container-predict-route=/v1/models/times:predict",
            *more,
        )

    model = upload()["model"]
    model_id = model.rpartition("/")[2]
    assert upload(f"--parent-model={model}", "--version-aliases=next")["modelVersionId"] == "2"
    listed = gcloud("ai", "models", "list", "--filter=displayName=gcloud-times")
    assert [each["name"] for each in listed] == [model]
    assert gcloud("ai", "models", "describe", f"{model_id}@next")["versionId"] == "2"
    versions = gcloud("ai", "models", "list-version", model_id)
    assert [each["versionId"] for each in versions] == ["2", "1"]
    gcloud("ai", "models", "delete-version", f"{model_id}@2")

    endpoint = gcloud("ai", "endpoints", "create", "--display-name=gcloud-endpoint")["name"]
    endpoint_id = endpoint.rpartition("/")[2]
    listed = gcloud("ai", "endpoints", "list", "--filter=displayName=gcloud-endpoint")
    assert [each["name"] for each in listed] == [endpoint]
    gcloud(
        *("ai", "endpoints", "deploy-model", endpoint_id, f"--model={model_id}"),
        *("--display-name=gcloud-deployed", "--machine-type=n1-standard-2"),
        "--traffic-split=0=100",
    )
    [deployed] = gcloud("ai", "endpoints", "describe", endpoint_id)["deployedModels"]
    assert (deployed["model"], deployed["displayName"]) == (model, "gcloud-deployed")

    request = tmp_path / "request.json"
    request.write_text(json.dumps({"instances": [{"x": 5.0}]}))
    answer = gcloud("ai", "endpoints", "predict", endpoint_id, f"--json-request={request}")
    assert answer["predictions"] == [{"y": 10.0, "twice": 10.0}]
    raw = gcloud("ai", "endpoints", "raw-predict", endpoint_id, f"--request=@{request}")
    assert raw["predictions"] == [{"y": 10.0, "twice": 10.0}]

    gcloud("ai", "endpoints", "update", endpoint_id, "--display-name=gcloud-renamed")
    answer = requests.get(f"{clients.url}/v1/{endpoint}/operations", timeout=60).json()
    operation = answer["operations"][0]
    number = operation["name"].rpartition("/")[2]
    assert gcloud("ai", "operations", "describe", number) == operation
    gcloud(
        "ai", "endpoints", "undeploy-model", endpoint_id, f"--deployed-model-id={deployed['id']}"
    )
    gcloud("ai", "endpoints", "delete", endpoint_id)
    gcloud("ai", "models", "delete", model_id)
    assert gcloud("ai", "models", "list", "--filter=displayName=gcloud-times") == []
