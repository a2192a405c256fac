"""deploy: serves a job's SavedModel as the next version of the model, and moves traffic to it."""

import argparse
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import next_commands, say, step
from cloud.errors import UserError

# TensorFlow Serving looks for numeric folders; the trainer exports to this one.
EXPORT_FOLDER = "1"
SAVED_MODEL = "saved_model.pb"
SERVED_NAME = "model"
PORT = 8080
OPERATION_SECONDS = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the verb's flags."""
    parser.add_argument("job", nargs="?", help="name or number; default: the newest that succeeded")
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")


def run(client: Client, options: argparse.Namespace) -> int:
    """Uploads, deploys, and says how to predict."""
    say(f"Target: {client.target}")
    job = lookup.job(client, options.job, state="JOB_STATE_SUCCEEDED")
    deploy(client, job, options.machine_type or client.config.machine_type)
    next_commands(
        ("nox -s predict", "ask it about one row"),
        ("nox -s versions", "the versions and their shares of the traffic"),
    )
    return 0


def deploy(client: Client, job: Any, machine_type: str) -> None:
    """Makes the next version of the model from a job, serves it, and gives it all traffic.

    Raises:
        UserError: the job has no SavedModel.
    """
    version = upload_version(client, job)
    endpoint = lookup.endpoint(client) or create_endpoint(client)
    old = [deployed.id for deployed in endpoint.deployed_models]
    deploy_version(client, endpoint.name, version, machine_type, old)
    client.models.merge_version_aliases(
        name=f"{version.model}@{version.model_version_id}", version_aliases=["default"]
    )
    for deployed_id in old:
        with step(f"Undeploying {deployed_id}, which gets no more traffic"):
            client.endpoints.undeploy_model(
                request={"endpoint": endpoint.name, "deployed_model_id": deployed_id}
            ).result(timeout=OPERATION_SECONDS)
    say(
        f"{client.config.model} version {version.model_version_id} ({job.display_name}) is the"
        " default and gets all traffic.",
        "bold",
    )


def upload_version(client: Client, job: Any) -> Any:
    """Uploads a job's SavedModel as a version; returns the `UploadModelResponse`.

    Raises:
        UserError: the job has not exported one.
    """
    config = client.config
    artifact = model_folder(client, job)
    parent = lookup.model(client)
    request = {
        "parent": config.location,
        "parent_model": parent.name if parent is not None else "",
        "model": {
            "display_name": config.model,
            "version_description": f"Trained by {job.display_name}",
            "artifact_uri": artifact,
            "container_spec": {
                "image_uri": config.image_uri(config.serving_image),
                "args": [
                    "--rest_api_port=$(AIP_HTTP_PORT)",
                    f"--model_name={SERVED_NAME}",
                    "--model_base_path=$(AIP_STORAGE_URI)",
                ],
                "ports": [{"container_port": PORT}],
                "health_route": f"/v1/models/{SERVED_NAME}",
                "predict_route": f"/v1/models/{SERVED_NAME}:predict",
            },
            "labels": {"job": job.display_name},
        },
    }
    with step(f"Uploading {artifact} as a version of {config.model}"):
        return client.models.upload_model(request=request).result(timeout=OPERATION_SECONDS)


def model_folder(client: Client, job: Any) -> str:
    """Returns the URI of the folder that holds a job's SavedModel.

    Raises:
        UserError: there is no SavedModel in it.
    """
    base = job.job_spec.base_output_directory.output_uri_prefix.rstrip("/")
    folder = f"{base}/model"
    bucket, _, path = folder.removeprefix("gs://").partition("/")
    name = f"{path}/{EXPORT_FOLDER}/{SAVED_MODEL}"
    if not base or not client.storage.bucket(bucket).blob(name).exists():
        raise UserError(
            f"There is no SavedModel at {folder}/{EXPORT_FOLDER}; {job.display_name} is in state"
            f" {job.state.name}. Name a job that succeeded; 'nox -s jobs' lists them."
        )
    return folder


def create_endpoint(client: Client) -> Any:
    """Makes the project's endpoint and returns it."""
    with step(f"Creating the endpoint {client.config.model}"):
        return client.endpoints.create_endpoint(
            parent=client.config.location, endpoint={"display_name": client.config.model}
        ).result(timeout=OPERATION_SECONDS)


def deploy_version(
    client: Client, endpoint: str, version: Any, machine_type: str, old: list[str]
) -> None:
    """Serves a version beside what is there, and gives it all traffic once it answers.

    Args:
        client: of the target.
        endpoint: its resource name.
        version: the `UploadModelResponse`.
        machine_type: of the replicas.
        old: ids of the deployed models that lose their traffic.
    """
    request = {
        "endpoint": endpoint,
        "deployed_model": {
            "model": f"{version.model}@{version.model_version_id}",
            "display_name": f"{client.config.model}-{version.model_version_id}",
            "dedicated_resources": {
                "machine_spec": {"machine_type": machine_type},
                "min_replica_count": 1,
                "max_replica_count": 1,
            },
        },
        # "0" is the model that this request deploys.
        "traffic_split": {"0": 100} | dict.fromkeys(old, 0),
    }
    with step(f"Deploying version {version.model_version_id}; it answers before it gets traffic"):
        client.endpoints.deploy_model(request=request).result(timeout=OPERATION_SECONDS)
