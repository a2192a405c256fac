"""Versions of the model: a job's SavedModel, checked, and uploaded as the next version."""

from typing import Any

from google.api_core import exceptions

from cloud import lookup, operations
from cloud.client import Client
from cloud.config import Config
from cloud.errors import UserError
from cloud.serving import signature

# TensorFlow Serving looks for numeric folders; the trainer exports to this one.
EXPORT_FOLDER = "1"
SAVED_MODEL = "saved_model.pb"
SERVED_NAME = "model"
PORT = 8080


def folder_of(client: Client, job: Any) -> str:
    """Returns the URI of the folder that holds a job's SavedModel.

    Raises:
        UserError: there is no SavedModel in it.
    """
    folder = lookup.model_folder(job)
    if not folder or not client.blob(f"{folder}/{EXPORT_FOLDER}/{SAVED_MODEL}").exists():
        raise UserError(
            f"There is no SavedModel at {folder}/{EXPORT_FOLDER}; {job.display_name} is"
            f" {lookup.state(job)}. Name a job that succeeded; 'nox -s jobs' lists them."
        )
    return folder


def check_signature(client: Client, folder: str) -> None:
    """Checks that a SavedModel takes the features of the project's table.

    Raises:
        UserError: it takes others.
    """
    place = f"{folder}/{EXPORT_FOLDER}/{SAVED_MODEL}"
    saved_model = client.blob(place).download_as_bytes()
    signature.check(saved_model, lookup.table(client.config), place)


def upload(client: Client, job: Any, folder: str, parent: Any | None) -> Any:
    """Uploads a job's SavedModel as a version.

    Args:
        client: of the target.
        job: the `CustomJob`.
        folder: gs:// URI of the folder with the SavedModel.
        parent: any version of the project's model, or None for the first.

    Returns:
        The version, a `Model`.
    """
    config = client.config
    request = {"parent": config.location, "model": _model(client, job, folder)}
    try:
        place = _first(config) if parent is None else _next(parent)
        operation = client.models.upload_model(request=request | place)
    except exceptions.ClientError:
        created_meanwhile = lookup.model(client) if parent is None else None
        if created_meanwhile is None:
            raise
        operation = client.models.upload_model(request=request | _next(created_meanwhile))
    title = f"Uploading {folder} as a version of {config.model}"
    uploaded = operations.finish(client, operation, title)
    return client.models.get_model(name=f"{uploaded.model}@{uploaded.model_version_id}")


def _first(config: Config) -> dict[str, str]:
    return {"model_id": config.resource_id}


def _next(version: Any) -> dict[str, str]:
    return {"parent_model": lookup.model_name(version)}


def _model(client: Client, job: Any, folder: str) -> dict[str, Any]:
    """Returns the `Model` to upload: TensorFlow Serving, with the job's SavedModel."""
    config = client.config
    return {
        "display_name": config.model,
        "version_description": f"Trained by {job.display_name}",
        "artifact_uri": folder,
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
        "labels": config.labels | {"job": job.display_name},
    }
