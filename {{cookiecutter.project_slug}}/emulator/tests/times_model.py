"""A model that multiplies by 2 or 3: exported, uploaded, deployed, asked and checked."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import requests

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import RunningEmulator
from vertex_emulator.uris import split_uri

IMAGE = "us-central1-docker.pkg.dev/test-project/docker-hub/tensorflow/serving:2.19.1"
FACTORS = {"1": 2.0, "2": 3.0}
# A SavedModel that multiplies by its factor; made in a process of its own, to keep TensorFlow
# out of this one.
EXPORT = """
import sys, tensorflow as tf
class Times(tf.Module):
    def __init__(self, factor):
        self.factor = tf.Variable(factor)
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": self.factor * x, "twice": 2 * x}
for factor in (2.0, 3.0):
    module = Times(factor)
    tf.saved_model.save(module, f"{sys.argv[1]}/{factor:g}/1", signatures=module.__call__)
"""


def write_exports(folder: Path) -> None:
    """Writes a SavedModel for each factor, to `folder/2/1` and `folder/3/1`."""
    subprocess.run([sys.executable, "-c", EXPORT, folder], check=True, capture_output=True)


def upload_export(clients: Clients, export: Path, uri: str, parent: str = "", env: Any = ()) -> Any:
    bucket, prefix = split_uri(uri)
    for file in export.rglob("*"):
        if file.is_file():
            name = f"{prefix}/{file.relative_to(export).as_posix()}"
            clients.storage.bucket(bucket).blob(name).upload_from_filename(file)
    model = {
        "display_name": "times",
        "artifact_uri": uri,
        "container_spec": {
            "image_uri": IMAGE,
            "args": [
                "--rest_api_port=8080",
                "--model_name=times",
                "--model_base_path=$(AIP_STORAGE_URI)",
            ],
            "env": list(env),
            "health_route": "/v1/models/times",
            "predict_route": "/v1/models/times:predict",
        },
    }
    request = {"parent": clients.location, "parent_model": parent, "model": model}
    return clients.models.upload_model(request=request).result(timeout=60)


def deploy(
    clients: Clients, endpoint: str, model: str, split: dict[str, int], replicas: int = 1
) -> str:
    request = {
        "endpoint": endpoint,
        "deployed_model": {
            "model": model,
            "dedicated_resources": {
                "machine_spec": {"machine_type": "n1-standard-2"},
                "min_replica_count": replicas,
            },
        },
        "traffic_split": split,
    }
    answer = clients.endpoints.deploy_model(request=request).result(timeout=300)
    deployed: str = answer.deployed_model.id
    return deployed


def undeploy(
    clients: Clients, endpoint: str, deployed: str, split: dict[str, int] | None = None
) -> None:
    clients.endpoints.undeploy_model(
        endpoint=endpoint, deployed_model_id=deployed, traffic_split=split or {}
    ).result(timeout=60)


def predict(clients: Clients, endpoint: str, body: Any) -> requests.Response:
    return requests.post(f"{clients.url}/v1/{endpoint}:predict", json=body, timeout=90)


def check(x: float, answer: dict[str, Any]) -> str:
    version = answer.get("modelVersionId", "")
    if not answer.get("deployedModelId") or version not in FACTORS:
        return f"the answer does not name its version: {answer}"
    if answer["predictions"] != [{"y": FACTORS[version] * x, "twice": 2 * x}]:
        return f"wrong for {x} of version {version}: {answer}"
    return ""


def running_pids(emulator: RunningEmulator, deployed: str) -> set[int]:
    """Returns the processes of a deployed model's replicas."""
    files = (emulator.data_dir / "servers").glob(f"{deployed}-*/process.json")
    found = (json.loads(file.read_text())["pid"] for file in files)
    return {pid for pid in found if psutil.pid_exists(pid)}
