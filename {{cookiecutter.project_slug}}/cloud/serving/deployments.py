"""What the endpoint serves: deploying versions, proving that they answer, undeploying them."""

import argparse
import csv
import io
import re
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions
from google.api_core.future import polling
from google.api_core.retry import Retry

from cloud import lookup
from cloud.client import Client
from cloud.commands import data
from cloud.console import say, step
from cloud.errors import UserError
from cloud.serving import instances, traffic
from cloud.serving.instances import Instance
from cloud.serving.prediction import message

OPERATION_SECONDS = 3600.0
# A new version proves itself on this share of the requests, in per cent, before it gets more.
PROBE_SHARE = 5
SAMPLE_BYTES = 16_384


@dataclass(frozen=True)
class Machines:
    """What a deployed model runs on.

    Attributes:
        machine_type: such as `n1-standard-4`.
        least: replicas, with little load.
        most: replicas, with much.
    """

    machine_type: str
    least: int = 1
    most: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the flags of commands that may deploy."""
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")
    parser.add_argument(
        "--replicas",
        default="1",
        metavar="LEAST[-MOST]",
        help="machines that serve it, where it is not deployed yet: such as 2, or 1-4 to add some"
        " by load; default: 1",
    )


def machines(client: Client, options: argparse.Namespace) -> Machines:
    """Returns the machines of the flags.

    Raises:
        UserError: a flag is wrong.
    """
    found = re.fullmatch(r"([1-9]\d{0,3})(?:-([1-9]\d{0,3}))?", options.replicas)
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if most < least:
        raise UserError(
            f"--replicas: expected a number from 1, or two as in 1-4, got {options.replicas!r}."
        )
    return Machines(options.machine_type or client.config.machine_type, least, most)


def create_endpoint(client: Client) -> Any:
    """Makes the project's endpoint and returns it."""
    operation = client.endpoints.create_endpoint(
        parent=client.config.location,
        endpoint={"display_name": client.config.model, "labels": client.config.labels},
    )
    return finish(client, operation, f"Creating the endpoint {client.config.model}")


def of_version(endpoint: Any, version: Any) -> Any | None:
    """Returns the `DeployedModel` of a version (a `Model`), or None where it is not deployed.

    Of several, the one with the largest share of the traffic.
    """
    name = version.name.partition("@")[0]
    found = [
        deployed
        for deployed in endpoint.deployed_models
        if deployed.model.partition("@")[0] == name
        and deployed.model_version_id == version.version_id
    ]
    return max(found, key=lambda deployed: endpoint.traffic_split.get(deployed.id, 0), default=None)


def serve(
    client: Client, endpoint: Any, version: Any, runs_on: Machines, instance: Instance
) -> str:
    """Deploys a version beside what is there, where it is not, and sees it answer.

    It gets no traffic yet, or all of it where nothing else is deployed.

    Args:
        client: of the target.
        endpoint: the `Endpoint`.
        version: the `Model`.
        runs_on: where it is not deployed yet.
        instance: what to ask it.

    Returns:
        The id of the deployed model.

    Raises:
        UserError: it does not answer; the traffic is as it was before.
    """
    deployed = of_version(endpoint, version)
    deployed_id = deployed.id if deployed else _deploy(client, endpoint, version, runs_on)
    split = traffic.shares(endpoint)
    if split.get(deployed_id, 0) < PROBE_SHARE:
        _prove(client, endpoint.name, split, deployed_id, instance)
    return str(deployed_id)


def see_it_answer(client: Client, endpoint_name: str, deployed_id: str, instance: Instance) -> None:
    """Sends predictions until a deployed model, which has a probe's share, has answered one.

    Raises:
        UserError: it answers with an error, or nobody knows who does; or no request comes to it.
    """
    for _ in range(traffic.tries(PROBE_SHARE)):
        answer = traffic.probe(client, endpoint_name, instance)
        if answer.status == 200 and answer.deployed_id == deployed_id:
            return
        if answer.status != 200 and answer.deployed_id in ("", deployed_id):
            raise UserError(f"The version does not answer: {answer.status}, {message(answer.text)}")
    raise UserError(
        f"Of {traffic.tries(PROBE_SHARE)} requests none came to the version, though it has"
        f" {PROBE_SHARE} % of the traffic; try again."
    )


def undeploy_others(client: Client, endpoint_name: str, deployed_id: str) -> None:
    """Ends every deployed model of the endpoint but one, which has all traffic."""
    endpoint = client.endpoints.get_endpoint(name=endpoint_name)
    for deployed in endpoint.deployed_models:
        if deployed.id != deployed_id:
            _undeploy(client, endpoint_name, deployed.id, deployed.model_version_id)


def sample_instance(client: Client) -> Instance:
    """Returns the first test row in the bucket, as a client would send it.

    Raises:
        UserError: there is none.
    """
    blob = client.bucket.blob(data.object_name(client.config, "test"))
    remedy = "to take a sample row from; make it with 'nox -s data'"
    if not blob.exists():
        raise UserError(f"There is no gs://{client.config.bucket}/{blob.name} {remedy}.")
    text = blob.download_as_bytes(end=SAMPLE_BYTES - 1).decode("utf-8-sig", errors="ignore")
    row = next(csv.DictReader(io.StringIO(text)), None)
    if row is None:
        raise UserError(f"There is no row in gs://{client.config.bucket}/{blob.name} {remedy}.")
    return instances.of_row(lookup.table(client.config), row)


def finish(client: Client, operation: Any, title: str) -> Any:
    """Waits for a long-running operation, and returns its result.

    Raises:
        UserError: it failed, or takes far too long.
    """
    often = Retry(
        predicate=polling.POLLING_PREDICATE,
        initial=client.poll_seconds,
        maximum=client.poll_seconds,
    )
    name = operation.operation.name
    try:
        with step(title):
            return operation.result(timeout=OPERATION_SECONDS, polling=often)
    except exceptions.GoogleAPICallError as error:
        raise UserError(f"{title} failed: {str(error.message).rstrip('.')}.") from error
    except TimeoutError as error:
        raise UserError(
            f"{title} took longer than {OPERATION_SECONDS / 60:.0f} minutes; it may still end well:"
            f" 'gcloud ai operations describe {name}' says."
        ) from error
    except KeyboardInterrupt:
        say(f"\nThis goes on without you: {name}. 'nox -s versions' shows what becomes of it.")
        raise


def _deploy(client: Client, endpoint: Any, version: Any, runs_on: Machines) -> str:
    """Deploys a version beside what is there, and returns the id of the deployed model."""
    share = 0 if endpoint.deployed_models else 100
    name = version.name.partition("@")[0]
    request = {
        "endpoint": endpoint.name,
        "deployed_model": {
            "model": f"{name}@{version.version_id}",
            "display_name": f"{client.config.model}-{version.version_id}",
            "dedicated_resources": {
                "machine_spec": {"machine_type": runs_on.machine_type},
                "min_replica_count": runs_on.least,
                "max_replica_count": runs_on.most,
            },
        },
        # "0" is what this request deploys.
        "traffic_split": {"0": share} | traffic.shares(endpoint),
    }
    number = version.version_id
    operation = client.endpoints.deploy_model(request=request)
    try:
        deployed = finish(client, operation, f"Deploying version {number}")
    except UserError as error:
        raise UserError(
            f"{error} The traffic is as it was before; once the cause is mended,"
            f" 'nox -s promote -- {number}' tries again."
        ) from error
    return str(deployed.deployed_model.id)


def _undeploy(client: Client, endpoint_name: str, deployed_id: str, number: str) -> None:
    """Ends a deployed model that gets no traffic."""
    operation = client.endpoints.undeploy_model(
        request={"endpoint": endpoint_name, "deployed_model_id": deployed_id}
    )
    finish(client, operation, f"Undeploying version {number}, which gets no more traffic")


def _prove(
    client: Client, endpoint_name: str, before: traffic.Split, deployed_id: str, instance: Instance
) -> None:
    """Sends predictions until a deployed model has answered one.

    Beside others it gets a small share of the traffic for it. Where it fails, the traffic is as
    before, and it is undeployed.

    Args:
        client: of the target.
        endpoint_name: resource name of the endpoint.
        before: the shares of the traffic without it.
        deployed_id: of the deployed model.
        instance: what to ask it.

    Raises:
        UserError: it does not answer.
    """
    others = {each: share for each, share in before.items() if each != deployed_id}
    try:
        if others:
            split = traffic.with_share(before, deployed_id, PROBE_SHARE)
            traffic.move(client, endpoint_name, split)
        with step("Sending it a prediction"):
            see_it_answer(client, endpoint_name, deployed_id, instance)
    except BaseException:
        if others:
            traffic.move(client, endpoint_name, before | {deployed_id: 0})
        endpoint = client.endpoints.get_endpoint(name=endpoint_name)
        [number] = [
            each.model_version_id for each in endpoint.deployed_models if each.id == deployed_id
        ]
        _undeploy(client, endpoint_name, deployed_id, number)
        say("The traffic is as it was before." if others else "Nothing is deployed.")
        raise
