"""Versions of the model: a job's SavedModel, checked, and uploaded as the next version."""

from typing import Any

from google.api_core import exceptions

from cloud import lookup, operations
from cloud.client import Client
from cloud.config import Config
from cloud.errors import UserError
from cloud.serving import model_folder, signature
from cloud.serving.contract import FILE, Contract, PlainContract

SERVED_NAME = "model"
PORT = 8080


def check_signature(client: Client, folder: str, taken: Contract) -> None:
    """Checks that a SavedModel takes what the project sends: its table's features, or its contract.

    Raises:
        UserError: it takes something else.
    """
    place = model_folder.saved_model_of(client, folder)
    saved_model = client.blob(place).download_as_bytes()
    if client.config.data_set:
        signature.check(saved_model, lookup.table(client.config), place)
    elif isinstance(taken, PlainContract):
        found = signature.inputs(saved_model, place).keys()
        if found != taken.inputs.keys():
            raise UserError(
                f"{place}: expected a signature {signature.NAME!r} that takes"
                f" {', '.join(taken.inputs)}, as {FILE} beside it says; it takes"
                f" {', '.join(found)}. Save the model again, with job.save."
            )


def upload(client: Client, job: Any, folder: str, parent: Any | None) -> Any:
    """Uploads a job's SavedModel as a version.

    Args:
        client: of the target.
        job: the `CustomJob`, or the `lookup.Trial`.
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
        "labels": config.labels | _labels(job),
    }


def _labels(job: Any) -> dict[str, str]:
    """Returns the labels that tell what trained a version."""
    if isinstance(job, lookup.Trial):
        return {"job": job.tuning.display_name, "trial": job.number}
    return {"job": job.display_name}


def trained_by(version: Any) -> str:
    """Returns the name of the job, or the trial, that trained a version; "" where nobody says."""
    labels = version.labels
    return "/".join(labels[key] for key in ("job", "trial") if key in labels)
