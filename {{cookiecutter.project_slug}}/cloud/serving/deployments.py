"""What the endpoint serves: deploying versions, proving that they answer, undeploying them."""

import argparse
import csv
import io
import re
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions

from cloud import lookup, operations, rest
from cloud.client import VERTEX, Client
from cloud.console import say, step
from cloud.datasets import files
from cloud.errors import UserError
from cloud.serving import deployed_ids, instances, traffic
from cloud.serving.contract import Contract
from cloud.serving.instances import Instance
from cloud.serving.plain_instances import MadeUp
from cloud.serving.prediction import message

# A new version proves itself on this share of the requests, in per cent, before it gets more.
PROBE_SHARE = 5
SAMPLE_BYTES = 16_384


@dataclass(frozen=True)
class Machines:
    """What a deployed model runs on.

    Attributes:
        machine_type: such as `n1-standard-4`.
        min_replicas: with little load; 0 lets the last one go while no request comes.
        max_replicas: with much.
    """

    machine_type: str
    min_replicas: int = 1
    max_replicas: int = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the flags of commands that may deploy."""
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")
    parser.add_argument(
        "--replicas",
        default="1",
        metavar="MIN[-MAX]",
        help="machines that serve it, if it is not deployed yet: 2, or 1-4 to scale with the load,"
        " or 0-4 to end the last one, too, while no request comes; default: 1",
    )


def machines(client: Client, options: argparse.Namespace) -> Machines:
    """Returns the machines of the flags.

    Raises:
        UserError: a flag is wrong.
    """
    found = re.fullmatch(r"([1-9]\d{0,3}|0(?=-))(?:-([1-9]\d{0,3}))?", options.replicas)
    minimum, maximum = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if maximum < minimum:
        raise UserError(
            "--replicas: expected a number from 1, or two as in 1-4 or 0-4, got"
            f" {options.replicas!r}."
        )
    return Machines(options.machine_type or client.config.machine_type, minimum, maximum)


def create_endpoint(client: Client) -> Any:
    """Creates the project's endpoint and returns it; or the one that was created meanwhile."""
    config = client.config
    try:
        operation = client.endpoints.create_endpoint(
            parent=config.location,
            endpoint={"display_name": config.model, "labels": config.labels},
            endpoint_id=config.resource_id,
        )
    except exceptions.ClientError:
        found = lookup.endpoint(client)
        if found is None:
            raise
        return found
    return operations.finish(client, operation, f"Creating the endpoint {config.model}")


def of_version(endpoint: Any, version: Any) -> Any | None:
    """Returns the `DeployedModel` of a version (a `Model`), or None where it is not deployed.

    Of several, the one with the largest share of the traffic.
    """
    name = lookup.model_name(version)
    found = [
        deployed
        for deployed in endpoint.deployed_models
        if lookup.without_version(deployed.model) == name
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
    deployed_ids.note(client, deployed_id, version.version_id)
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
        if isinstance(instance, MadeUp) and answer.deployed_id == deployed_id:
            say(
                f"The version answers a request of zeros and empty texts with {answer.status},"
                f" {message(answer.text)}; with a sample of its own (job.save) it could be tried.",
                "yellow",
            )
            return
        if answer.status != 200 and answer.deployed_id in ("", deployed_id):
            raise UserError(
                f"The version does not predict: {answer.status}, {message(answer.text)}"
            )
    raise UserError(
        f"None of {traffic.tries(PROBE_SHARE)} requests reached the version, though it has"
        f" {PROBE_SHARE} % of the traffic; try again."
    )


def undeploy_others(client: Client, endpoint_name: str, deployed_id: str) -> None:
    """Ends every deployed model of the endpoint but one, which has all traffic."""
    endpoint = client.endpoints.get_endpoint(name=endpoint_name)
    for deployed in endpoint.deployed_models:
        if deployed.id != deployed_id:
            _undeploy(client, endpoint_name, deployed.id, deployed.model_version_id)


def sample_instance(client: Client, taken: Contract) -> Instance:
    """Returns an instance to ask a model with, whole: its own sample, or a test row in the bucket.

    Raises:
        UserError: there is none.
    """
    if taken.sample is not None:
        return taken.whole(taken.sample)
    if taken.table is None:
        raise UserError("The model has no sample to ask it with; save it with job.save.")
    blob = client.bucket.blob(files.object_name(client.config, "test"))
    remedy = "to take a sample row from; make it with 'nox -s data'"
    if not blob.exists():
        raise UserError(f"There is no gs://{client.config.bucket}/{blob.name} {remedy}.")
    text = blob.download_as_bytes(end=SAMPLE_BYTES - 1).decode("utf-8-sig", errors="ignore")
    row = next(csv.DictReader(io.StringIO(text)), None)
    if row is None:
        raise UserError(f"There is no row in gs://{client.config.bucket}/{blob.name} {remedy}.")
    return taken.whole(instances.of_row(taken.table, row))


def _deploy(client: Client, endpoint: Any, version: Any, runs_on: Machines) -> str:
    """Deploys a version beside what is there, and returns the id of the deployed model."""
    share = 0 if endpoint.deployed_models else 100
    request = {
        "endpoint": endpoint.name,
        "deployed_model": {
            "model": lookup.version_name(version, version.version_id),
            "display_name": f"{client.config.model}-{version.version_id}",
            "dedicated_resources": {
                "machine_spec": {"machine_type": runs_on.machine_type},
                "min_replica_count": runs_on.min_replicas,
                "max_replica_count": runs_on.max_replicas,
            },
        },
        # "0" is what this request deploys.
        "traffic_split": {"0": share} | traffic.shares(endpoint),
    }
    number, title = version.version_id, f"Deploying version {version.version_id}"
    try:
        if runs_on.min_replicas == 0:
            return _deploy_from_zero(client, request, title)
        operation = client.endpoints.deploy_model(request=request)
        deployed = operations.finish(client, operation, title)
    except UserError as error:
        raise UserError(
            f"{error} The traffic is unchanged. Once the cause is fixed,"
            f" 'nox -s promote -- {number}' tries again."
        ) from error
    return str(deployed.deployed_model.id)


def _deploy_from_zero(client: Client, request: dict[str, Any], title: str) -> str:
    """Deploys with no replica while no request comes, which only v1beta1 of the API knows.

    Source: `DedicatedResources` of
    https://cloud.google.com/vertex-ai/docs/reference/rest/v1beta1/DedicatedResources. Without
    periods of its own the last replica goes after the service's, of five minutes at least.
    """
    deployed = request["deployed_model"]
    resources = deployed["dedicated_resources"]
    body = {
        "deployedModel": {
            "model": deployed["model"],
            "displayName": deployed["display_name"],
            "dedicatedResources": {
                "machineSpec": {"machineType": resources["machine_spec"]["machine_type"]},
                "minReplicaCount": 0,
                "initialReplicaCount": 1,
                "maxReplicaCount": resources["max_replica_count"],
                "scaleToZeroSpec": {},
            },
        },
        "trafficSplit": request["traffic_split"],
    }
    path = f"v1beta1/{request['endpoint']}:deployModel"
    document = rest.call(client, "POST", VERTEX, path, body)
    operation = operations.RestOperation(client, VERTEX, document, "v1beta1")
    return str(operations.finish(client, operation, title)["deployedModel"]["id"])


def _undeploy(client: Client, endpoint_name: str, deployed_id: str, number: str) -> None:
    """Ends a deployed model that gets no traffic."""
    operation = client.endpoints.undeploy_model(
        request={"endpoint": endpoint_name, "deployed_model_id": deployed_id}
    )
    operations.finish(client, operation, f"Undeploying version {number}")


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
        with step("Sending it a test request"):
            see_it_answer(client, endpoint_name, deployed_id, instance)
    except BaseException:
        if others:
            traffic.move(client, endpoint_name, before | {deployed_id: 0})
        endpoint = client.endpoints.get_endpoint(name=endpoint_name)
        [number] = [
            each.model_version_id for each in endpoint.deployed_models if each.id == deployed_id
        ]
        _undeploy(client, endpoint_name, deployed_id, number)
        say("The traffic is unchanged." if others else "Nothing is deployed.")
        raise
