"""Predictions in plain REST, as any language would ask for them.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/predict.
"""

import json
from dataclasses import dataclass
from typing import Any

import requests

from cloud import lookup
from cloud.client import Client
from cloud.errors import UserError
from cloud.serving import traffic
from cloud.serving.contract import Contract
from cloud.serving.instances import Instance

# The model's outputs by name; TensorFlow Serving gives the only output of a signature bare.
Prediction = dict[str, Any] | float


@dataclass(frozen=True)
class Answer:
    """What the endpoint said.

    Attributes:
        predictions: the model's outputs, one for each instance.
        version: number of the version that gave them.
    """

    predictions: list[Prediction]
    version: str


def outputs(prediction: Prediction) -> dict[str, Any]:
    """Returns a prediction's outputs by name; a bare one is called `value`."""
    return prediction if isinstance(prediction, dict) else {"value": prediction}


def endpoint_url(client: Client) -> str:
    """Returns where the project's endpoint takes predictions.

    Raises:
        UserError: nothing is deployed.
    """
    return f"{client.vertex_url}/v1/{lookup.serving_endpoint(client).name}:predict"


def ask(client: Client, url: str, body: dict[str, Any]) -> Answer:
    """Sends a request.

    Args:
        client: of the target.
        url: as `endpoint_url` returns it.
        body: as `Contract.body` returns it.

    Raises:
        UserError: the endpoint refuses them; the message is the model server's.
    """
    try:
        response = client.session.post(url, json=body)
    except requests.exceptions.InvalidJSONError as error:
        raise UserError("Expected finite numbers, got one that JSON cannot represent.") from error
    if response.status_code != 200:
        raise UserError(f"The endpoint answered {response.status_code}: {message(response.text)}")
    answer = response.json()
    return Answer(answer["predictions"], answer.get("modelVersionId", "?"))


def of_version(
    client: Client, number: str, taken: Contract, found: list[Instance]
) -> list[Prediction]:
    """Returns a version's predictions, from the endpoint.

    The endpoint chooses who answers, by the traffic; an answer of another version is asked for
    again.

    Raises:
        UserError: the version gets no traffic.
    """
    share = traffic.version_shares(lookup.serving_endpoint(client)).get(number, 0)
    if share == 0:
        raise UserError(
            f"Version {number} gets no traffic, so the endpoint never uses it; give it some with"
            f" 'nox -s promote -- {number}', or predict with 'nox -s batch -- --version {number}'."
        )
    url = endpoint_url(client)
    predictions: list[Prediction] = []
    for chunk in taken.in_requests(found):
        for _ in range(traffic.tries(share)):
            answer = ask(client, url, {"instances": chunk})
            if answer.version == number:
                predictions += answer.predictions
                break
        else:
            raise UserError(
                f"No answer came from version {number}, though it gets {share} % of the traffic;"
                " try again."
            )
    return predictions


def message(text: str) -> str:
    """Digs the sentence out of an error's JSON, which may hold the container's own JSON."""
    try:
        found = json.loads(text)
    except ValueError:
        return text.strip()
    error = found.get("error", text) if isinstance(found, dict) else text
    inner = error.get("message", text) if isinstance(error, dict) else error
    return message(inner) if inner != text else str(inner)
