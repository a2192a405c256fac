"""Which deployed version answers: the traffic of the project's endpoint.

Vertex AI sends each request to one of the deployed models, by the percentages of the endpoint's
`trafficSplit`; there is no way to ask a deployed model that has no share of it.
Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

from cloud.client import Client
from cloud.console import step
from cloud.errors import UserError
from cloud.serving.instances import Instance

Split = dict[str, int]

# How seldom asking again and again may miss a version that gets traffic.
MISSED = 1e-6
# The traffic has moved once so many answers in a row are the new version's.
IN_A_ROW = 20
MOVE_SECONDS = 300.0
# The header in which `rawPredict` names who answered, documented at
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/rawPredict.
ANSWERED_BY = "X-Vertex-AI-Deployed-Model-Id"


@dataclass(frozen=True)
class Probe:
    """What became of one prediction.

    Attributes:
        deployed_id: of the deployed model that answered; empty where nobody says.
        status: of HTTP.
        text: the answer's body.
    """

    deployed_id: str
    status: int
    text: str


def probe(client: Client, endpoint_name: str, instance: Instance) -> Probe:
    """Sends one prediction.

    By `rawPredict`, which says who answered also where the answer is an error: of two versions,
    one may know a feature that the other does not.
    """
    url = f"{client.vertex_url}/v1/{endpoint_name}:rawPredict"
    response = client.session.post(url, json={"instances": [instance]})
    return Probe(response.headers.get(ANSWERED_BY, ""), response.status_code, response.text)


def shares(endpoint: Any) -> Split:
    """Returns the share of every deployed model in per cent, by its id."""
    return {each.id: endpoint.traffic_split.get(each.id, 0) for each in endpoint.deployed_models}


def version_shares(endpoint: Any) -> Split:
    """Returns the share of every deployed version in per cent, by its number."""
    by_version: Split = {}
    for deployed in endpoint.deployed_models:
        number = str(deployed.model_version_id)
        share = endpoint.traffic_split.get(deployed.id, 0)
        by_version[number] = by_version.get(number, 0) + share
    return by_version


def tries(share: int) -> int:
    """Returns how many requests reach a version with a share of the traffic, in per cent.

    They all miss it once in a million times, if each request is routed by itself.
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
    """Sets the shares of the traffic."""
    client.endpoints.update_endpoint(
        endpoint={"name": endpoint_name, "traffic_split": split},
        update_mask={"paths": ["traffic_split"]},
    )


def move_all(client: Client, endpoint_name: str, deployed_id: str) -> None:
    """Gives one deployed model all traffic."""
    split = shares(client.endpoints.get_endpoint(name=endpoint_name))
    move(client, endpoint_name, dict.fromkeys(split, 0) | {deployed_id: 100})


def wait_until_moved(
    client: Client, endpoint_name: str, deployed_id: str, instance: Instance
) -> None:
    """Waits until a deployed model with all traffic is the only one that answers.

    Nobody says when a new split has come everywhere, and whoever undeploys a model before that
    makes requests fail.

    Args:
        client: of the target.
        endpoint_name: resource name of the endpoint.
        deployed_id: of the deployed model.
        instance: what to ask it, whole.

    Raises:
        UserError: others go on answering.
    """
    deadline = time.monotonic() + MOVE_SECONDS
    with step("Waiting until only this version answers"):
        while not _answers_alone(client, endpoint_name, deployed_id, instance):
            if time.monotonic() > deadline:
                raise UserError(
                    f"Other versions still answer {MOVE_SECONDS:.0f} s after the traffic was moved,"
                    " so they stay deployed; 'nox -s versions' lists them, and"
                    " 'nox -s promote -- default' undeploys them."
                )
            time.sleep(client.poll_seconds)


def _answers_alone(
    client: Client, endpoint_name: str, deployed_id: str, instance: Instance
) -> bool:
    """Whether many answers in a row are of one deployed model."""
    answers = (probe(client, endpoint_name, instance) for _ in range(IN_A_ROW))
    return all(answer.deployed_id == deployed_id for answer in answers)
