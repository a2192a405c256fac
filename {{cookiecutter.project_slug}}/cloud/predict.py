"""predict: asks the endpoint about one row, in plain REST, as any language would."""

import argparse
import csv
import json
import shlex
from dataclasses import dataclass
from typing import Any

from cloud import data, lookup
from cloud.client import Client
from cloud.config import Config
from cloud.console import say, step
from cloud.errors import UserError
from trainer.columns import TABLES, Table

Instance = dict[str, Any]
# A flight that leaves 24 minutes late and has the whole continent to catch up: the answer is open.
SAMPLE_ROW = 21


@dataclass(frozen=True)
class Answer:
    """What the endpoint said.

    Attributes:
        prediction: the model's outputs for the instance.
        version: number of the version that gave it.
    """

    prediction: dict[str, Any]
    version: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the verb's flags."""
    parser.add_argument(
        "--row", type=int, default=SAMPLE_ROW, help="row of the test file to ask about"
    )
    parser.add_argument("--instance", help="an instance as JSON, instead of a row")


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints the equal curl command, the answer, and what really happened where that is known."""
    table = TABLES[client.config.data_set]
    row: dict[str, str] = {}
    if options.instance is not None:
        instance = parse_instance(options.instance)
    else:
        row = sample_row(client.config, options.row)
        instance = raw_instance(table, row)
    url = predict_url(client)
    say(curl(client, url, {"instances": [instance]}))
    with step("Asking the endpoint"):
        answer = predict(client, url, instance)
    say(json.dumps(answer.prediction), "bold")
    say(f"(version {answer.version} of {client.config.model})", "dim")
    if row:
        say(in_words(table, row, answer.prediction))
    return 0


def predict_url(client: Client) -> str:
    """Returns where the project's endpoint takes predictions.

    Raises:
        UserError: nothing is deployed.
    """
    return f"{client.vertex_url}/v1/{lookup.serving_endpoint(client).name}:predict"


def predict(client: Client, url: str, instance: Instance) -> Answer:
    """Sends one instance.

    Raises:
        UserError: the endpoint refuses it; the message is the model server's.
    """
    response = client.session.post(url, json={"instances": [instance]})
    if response.status_code != 200:
        raise UserError(f"The endpoint answered {response.status_code}: {message(response.text)}")
    body = response.json()
    return Answer(body["predictions"][0], body.get("modelVersionId", "?"))


def message(text: str) -> str:
    """Digs the sentence out of an error's JSON, which may hold the container's own JSON."""
    try:
        found = json.loads(text)
    except ValueError:
        return text.strip()
    error = found.get("error", text) if isinstance(found, dict) else text
    inner = error.get("message", text) if isinstance(error, dict) else error
    return message(inner) if inner != text else str(inner)


def parse_instance(text: str) -> Instance:
    """Reads `--instance`.

    Raises:
        UserError: it is no JSON object.
    """
    try:
        instance = json.loads(text)
    except ValueError as error:
        raise UserError(f"--instance: expected a JSON object, got {text!r} ({error}).") from error
    if not isinstance(instance, dict):
        raise UserError(f"--instance: expected a JSON object, got {text!r}.")
    return instance


def sample_row(config: Config, number: int) -> dict[str, str]:
    """Returns a row of the test file, by column.

    Raises:
        UserError: the file is not there, or has no such row.
    """
    path = data.folder(config) / "test.csv"
    if not path.exists():
        raise UserError(f"There is no {path}; make the data with 'nox -s data'.")
    with path.open(newline="", encoding="utf-8") as file:
        for index, row in enumerate(csv.DictReader(file)):
            if index == number:
                return row
    raise UserError(f"--row: expected 0 to {index}, the rows of {path.name}, got {number}.")


def raw_instance(table: Table, row: dict[str, str]) -> Instance:
    """Returns the features of a row as JSON carries them: raw, never scaled.

    A gap is left out; the model has an answer for what is missing.
    """
    types = {"number": float, "integer": int, "category": str}
    return {
        column.name: types[column.kind](row[column.name])
        for column in table.columns
        if row[column.name] != ""
    }


def curl(client: Client, url: str, body: dict[str, Any]) -> str:
    """Returns the command that sends the same request from a shell."""
    words = ["curl", "-s", "-X", "POST", url, "-H", "Content-Type: application/json"]
    line = shlex.join([*words, "-d", json.dumps(body)])
    if client.is_emulator:
        return line
    return f'{line} -H "Authorization: Bearer $(gcloud auth print-access-token)"'


def in_words(table: Table, row: dict[str, str], prediction: dict[str, Any]) -> str:
    """Says what was predicted for a row of the test file, beside what really happened."""
    describe = {"flights": flight_in_words}.get(table.name, row_in_words)
    return describe(table, row, prediction)


def flight_in_words(_table: Table, row: dict[str, str], prediction: dict[str, Any]) -> str:
    """Tells a flight: who flew where, the chance predicted at departure, and its arrival."""
    chance = 100 * prediction["probability"]
    left, arrived = float(row["dep_delay"]), float(row["arr_delay"])
    return (
        f"Flight {row['flight']} left {minutes(left)}. The model gave it a chance of {chance:.0f} %"
        f" to arrive more than 15 minutes late. It arrived {minutes(arrived)}:"
        f" {'late' if arrived > 15 else 'not late'}."
    )


def row_in_words(table: Table, row: dict[str, str], prediction: dict[str, Any]) -> str:
    """Tells the predicted class of a row and the true one."""
    said, truth = prediction["label"], row[table.label.name]
    sure = 100 * max(prediction["probabilities"])
    verdict = "right" if said == truth else "wrong"
    return f"The model says {said} ({sure:.0f} %); the {table.label.name} is {truth}: {verdict}."


def minutes(delay: float) -> str:
    """Writes a delay in minutes: `12 minutes late`, `3 minutes early`, `on time`."""
    if delay == 0:
        return "on time"
    unit = "minute" if abs(delay) == 1 else "minutes"
    return f"{abs(delay):.0f} {unit} {'late' if delay > 0 else 'early'}"
