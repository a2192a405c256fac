"""Which deployed version answers: the traffic of the project's endpoint.

Vertex AI sends each request to one of the deployed models, by the percentages of the endpoint's
`trafficSplit`; there is no way to ask a deployed model that has no share of it.
Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints.
"""

import csv
import io
import math
from typing import Any

from cloud import data, instances
from cloud.client import Client
from cloud.console import step
from cloud.errors import UserError
from cloud.instances import Instance
from cloud.prediction import message
from trainer.columns import TABLES

Split = dict[str, int]

OPERATION_SECONDS = 3600.0
# A new version proves itself on this share of the requests, in per cent, before it gets more.
PROBE_SHARE = 5
# How seldom asking again and again may miss a version that gets traffic.
MISSED = 1e-4
SAMPLE_BYTES = 16_384


def create_endpoint(client: Client) -> Any:
    """Makes the project's endpoint and returns it."""
    with step(f"Creating the endpoint {client.config.model}"):
        return client.endpoints.create_endpoint(
            parent=client.config.location, endpoint={"display_name": client.config.model}
        ).result(timeout=OPERATION_SECONDS)


def version_of(deployed: Any) -> str:
    """Returns the number of the version that a `DeployedModel` serves."""
    return str(deployed.model_version_id)


def of_version(endpoint: Any, version: Any) -> Any | None:
    """Returns the `DeployedModel` of a version (a `Model`), or None where it is not deployed.

    Of several, the one with the largest share of the traffic.
    """
    name = version.name.partition("@")[0]
    found = [
        deployed
        for deployed in endpoint.deployed_models
        if deployed.model.partition("@")[0] == name and version_of(deployed) == version.version_id
    ]
    return max(found, key=lambda deployed: endpoint.traffic_split.get(deployed.id, 0), default=None)


def deploy(client: Client, endpoint: Any, version: Any, machine_type: str) -> str:
    """Deploys a version beside what is there, and returns the id of the deployed model.

    It gets no traffic yet, or all of it where nothing else is deployed.

    Args:
        client: of the target.
        endpoint: the `Endpoint`.
        version: the `Model`.
        machine_type: of the replicas.
    """
    split = {"0": 0 if endpoint.deployed_models else 100}  # "0" is what this request deploys
    split |= shares(endpoint)
    name = version.name.partition("@")[0]
    request = {
        "endpoint": endpoint.name,
        "deployed_model": {
            "model": f"{name}@{version.version_id}",
            "display_name": f"{client.config.model}-{version.version_id}",
            "dedicated_resources": {
                "machine_spec": {"machine_type": machine_type},
                "min_replica_count": 1,
                "max_replica_count": 1,
            },
        },
        "traffic_split": split,
    }
    with step(f"Deploying version {version.version_id}"):
        operation = client.endpoints.deploy_model(request=request)
        return str(operation.result(timeout=OPERATION_SECONDS).deployed_model.id)


def shares(endpoint: Any) -> Split:
    """Returns the share of every deployed model in per cent, by its id."""
    return {each.id: endpoint.traffic_split.get(each.id, 0) for each in endpoint.deployed_models}


def version_shares(endpoint: Any) -> Split:
    """Returns the share of every deployed version in per cent, by its number."""
    by_version: Split = {}
    for deployed in endpoint.deployed_models:
        number = version_of(deployed)
        share = endpoint.traffic_split.get(deployed.id, 0)
        by_version[number] = by_version.get(number, 0) + share
    return by_version


def tries(share: int) -> int:
    """Returns how many requests reach a version with a share of the traffic, in per cent.

    They all miss it once in 10,000 times, if each request is routed by itself.
    """
    return 1 if share >= 100 else math.ceil(math.log(MISSED) / math.log1p(-share / 100))


def with_share(split: Split, deployed_id: str, share: int) -> Split:
    """Gives one deployed model a share, and the others what is left, in proportion as before.

    Args:
        split: shares in per cent by id, adding up to 100.
        deployed_id: of the deployed model, in `split` or new.
        share: its share in per cent, 0 to 100.

    Returns:
        Shares that add up to 100. What rounding leaves over goes to the largest of the others.
    """
    others = {each: part for each, part in split.items() if each != deployed_id and part > 0}
    if not others:
        return dict.fromkeys(split, 0) | {deployed_id: 100}
    left, whole = 100 - share, sum(others.values())
    new = dict.fromkeys(split, 0) | {each: left * part // whole for each, part in others.items()}
    new[deployed_id] = share
    new[max(others, key=others.__getitem__)] += 100 - sum(new.values())
    return new


def move(client: Client, endpoint_name: str, split: Split) -> None:
    """Sets the shares of the traffic; the endpoint's requests go by them from now on."""
    client.endpoints.update_endpoint(
        endpoint={"name": endpoint_name, "traffic_split": split},
        update_mask={"paths": ["traffic_split"]},
    )


def undeploy(client: Client, endpoint_name: str, deployed: Any) -> None:
    """Ends a deployed model that gets no traffic."""
    with step(f"Undeploying version {version_of(deployed)}, which gets no more traffic"):
        client.endpoints.undeploy_model(
            request={"endpoint": endpoint_name, "deployed_model_id": deployed.id}
        ).result(timeout=OPERATION_SECONDS)


def undeploy_others(client: Client, endpoint_name: str, deployed_id: str) -> None:
    """Ends every deployed model of the endpoint but one."""
    endpoint = client.endpoints.get_endpoint(name=endpoint_name)
    for deployed in endpoint.deployed_models:
        if deployed.id != deployed_id:
            undeploy(client, endpoint_name, deployed)


def prove(client: Client, endpoint: Any, deployed_id: str) -> None:
    """Sends requests until a newly deployed model has answered one.

    Beside others it gets a small share of the traffic for it. Where it fails, the traffic is as
    before, and it is undeployed.

    Args:
        client: of the target.
        endpoint: the `Endpoint` as it was before.
        deployed_id: of the newly deployed model.

    Raises:
        UserError: it does not answer.
    """
    before = shares(endpoint)
    instance = sample_instance(client)
    try:
        if before:
            move(client, endpoint.name, with_share(before, deployed_id, PROBE_SHARE))
        with step("Sending it a prediction"):
            _ask(client, endpoint.name, deployed_id, instance)
    except BaseException:
        if before:
            move(client, endpoint.name, before | {deployed_id: 0})
        client.endpoints.undeploy_model(
            request={"endpoint": endpoint.name, "deployed_model_id": deployed_id}
        ).result(timeout=OPERATION_SECONDS)
        raise


def _ask(client: Client, endpoint_name: str, deployed_id: str, instance: Instance) -> None:
    url = f"{client.vertex_url}/v1/{endpoint_name}:predict"
    for _ in range(tries(PROBE_SHARE)):
        response = client.session.post(url, json={"instances": [instance]})
        if response.status_code != 200:
            raise UserError(
                f"The new version does not answer: {response.status_code},"
                f" {message(response.text)} The traffic is as it was before."
            )
        if response.json().get("deployedModelId") == deployed_id:
            return
    raise UserError(
        f"Of {tries(PROBE_SHARE)} requests none came to the new version, though it has"
        f" {PROBE_SHARE} % of the traffic. The traffic is as it was before; deploy it again."
    )


def sample_instance(client: Client) -> Instance:
    """Returns the first test row in the bucket, as a client would send it.

    Raises:
        UserError: there is none.
    """
    blob = client.bucket.blob(data.object_name(client.config, "test"))
    if not blob.exists():
        raise UserError(
            f"There is no gs://{client.config.bucket}/{blob.name} to take a sample row from; make"
            " it with 'nox -s data'."
        )
    text = blob.download_as_bytes(end=SAMPLE_BYTES - 1).decode(errors="ignore")
    row = next(csv.DictReader(io.StringIO(text)))
    return instances.of_row(TABLES[client.config.data_set], row)
