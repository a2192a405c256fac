"""deploy: serves a job's SavedModel as the next version of the model, and moves traffic to it."""

import argparse
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.commands import promote
from cloud.console import say
from cloud.errors import UserError
from cloud.serving import deployments, evaluations, signature, traffic
from cloud.serving.deployments import Machines

# TensorFlow Serving looks for numeric folders; the trainer exports to this one.
EXPORT_FOLDER = "1"
SAVED_MODEL = "saved_model.pb"
SERVED_NAME = "model"
PORT = 8080


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument("job", nargs="?", help="name or number; default: the newest that succeeded")
    parser.add_argument(
        "--traffic",
        type=int,
        default=100,
        metavar="PERCENT",
        help="share of the requests it gets, 1 to 100; below 100 the default version stays until"
        " 'promote' makes this one the default; default: 100",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="deploy it though it is no better than the default version on the same test rows, or"
        " nobody knows",
    )
    deployments.add_arguments(parser)


def run(client: Client, options: argparse.Namespace) -> int:
    """Uploads, deploys, and says how to predict."""
    say(f"Target: {client.target}")
    if not 1 <= options.traffic <= 100:
        raise UserError(f"--traffic: expected 1 to 100 per cent, got {options.traffic}.")
    machines = deployments.machines(client, options)
    job = lookup.job(client, options.job, state="JOB_STATE_SUCCEEDED")
    version = deploy(client, job, machines, options.traffic, force=options.force)
    commands = [("nox -s predict", "ask it about one row")]
    if version.version_id != lookup.model(client).version_id:
        commands = [
            (f"nox -s promote -- {version.version_id}", "make it the default, with all traffic"),
            ("nox -s predict -- --all-versions", "compare the versions"),
        ]
    promote.next_steps(client, *commands)
    return 0


def deploy(client: Client, job: Any, machines: Machines, traffic_share: int, *, force: bool) -> Any:
    """Makes the next version of the model from a job, serves it, and gives it traffic.

    Everything that can be checked is checked before anything is uploaded.

    Args:
        client: of the target.
        job: the `CustomJob` that trained it.
        machines: what it runs on.
        traffic_share: per cent of the requests; with 100, or where nothing else is deployed, the
            version becomes the default, and the others are undeployed.
        force: deploy a version that is no better than the default.

    Returns:
        The version, a `Model`.

    Raises:
        UserError: the job has no SavedModel of the project's table, the version is no better than
            the default, or it does not answer.
    """
    folder = model_folder(client, job)
    check_signature(client, folder)
    instance = deployments.sample_instance(client)
    default = lookup.model(client)
    if default is not None:
        objection = object_to(client, job, folder, default)
        if objection and not force:
            raise UserError(f"{objection} Or deploy it all the same, with --force.")
        if objection:
            say(f"{objection} Deploying it all the same.")
    version = upload_version(client, job, folder, default)
    endpoint = lookup.endpoint(client) or deployments.create_endpoint(client)
    deployed_id = deployments.serve(client, endpoint, version, machines, instance)
    if traffic_share == 100 or not endpoint.deployed_models:
        promote.make_default(client, version, endpoint.name, deployed_id, instance)
        return version
    split = traffic.with_share(traffic.shares(endpoint), deployed_id, traffic_share)
    traffic.move(client, endpoint.name, split)
    say(
        f"{client.config.model} version {version.version_id} ({job.display_name}) gets"
        f" {traffic_share} % of the traffic; the default is version {default.version_id} still.",
        "bold",
    )
    return version


def check_signature(client: Client, folder: str) -> None:
    """Checks that a SavedModel takes the features of the project's table.

    Raises:
        UserError: it takes others.
    """
    place = f"{folder}/{EXPORT_FOLDER}/{SAVED_MODEL}"
    bucket, _, name = place.removeprefix("gs://").partition("/")
    saved_model = client.storage.bucket(bucket).blob(name).download_as_bytes()
    signature.check(saved_model, lookup.table(client.config), place)


def object_to(client: Client, job: Any, folder: str, default: Any) -> str:
    """Says why a job's model should not take the place of the default version; "" where it should.

    Args:
        client: of the target.
        job: the `CustomJob`.
        folder: gs:// URI of the folder with its SavedModel.
        default: the default version, a `Model`.
    """
    for version in lookup.versions(client):
        if version.artifact_uri == folder:
            number = version.version_id
            return (
                f"The model of {job.display_name} is version {number} already; give it the traffic"
                f" with 'nox -s promote -- {number}'."
            )
    candidate = evaluations.read(client, folder)
    current = evaluations.read(client, default.artifact_uri)
    is_better, verdict = evaluations.compare(candidate, current, default.version_id)
    if is_better:
        say(verdict)
        return ""
    return verdict


def upload_version(client: Client, job: Any, folder: str, parent: Any | None) -> Any:
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
    request = {
        "parent": config.location,
        "parent_model": parent.name.partition("@")[0] if parent is not None else "",
        "model": {
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
        },
    }
    operation = client.models.upload_model(request=request)
    title = f"Uploading {folder} as a version of {config.model}"
    uploaded = deployments.finish(client, operation, title)
    return client.models.get_model(name=f"{uploaded.model}@{uploaded.model_version_id}")


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
