"""Request-response logging: what the endpoint is asked and answers, switched on, off, and read.

On Google Cloud the rows go to a BigQuery table; the emulator, which has no BigQuery, writes rows of
the same columns as JSON lines to the bucket of the model.
Source: https://cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging.
"""

import argparse
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.api_core import exceptions

from cloud import rest
from cloud.client import Client
from cloud.console import say, step
from cloud.errors import UserError
from cloud.serving.instances import Instance

TABLE = "request_response_logging"
CONFIG = "predict_request_response_logging_config"
FLAG = "--log-requests"
MOST_ROWS = 100_000  # of requests, the newest
PAGE_ROWS = 5_000  # of an answer of BigQuery
WAIT_SECONDS = 4.0  # for the first rows, which may still be on their way
QUERY = """
SELECT FORMAT_TIMESTAMP('%FT%H:%M:%E6SZ', logging_time), deployed_model_id, request_payload,
response_payload
FROM `{table}` WHERE logging_time >= @since ORDER BY logging_time DESC LIMIT {rows}
"""


@dataclass(frozen=True)
class Logged:
    """One prediction.

    Attributes:
        time: when it was answered.
        deployed_id: of the deployed model that answered.
        instance: what the endpoint was asked.
        prediction: what it answered.
    """

    time: datetime
    deployed_id: str
    instance: Instance
    prediction: Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the flag of commands that deploy."""
    parser.add_argument(
        FLAG,
        type=float,
        metavar="SHARE",
        help="write this share of the requests and answers down, 0 to 1, for 'nox -s drift'; 0 ends"
        " it; default: as it is",
    )


def check(share: float | None) -> None:
    """Raises UserError where the flag's value is no share."""
    if share is not None and not 0 <= share <= 1:
        raise UserError(f"{FLAG}: expected a share of the requests, 0 to 1, got {share:g}.")


def switch(client: Client, endpoint: Any, share: float | None) -> None:
    """Has an endpoint log a share of its requests; 0 ends it, and None leaves it as it is.

    Raises:
        UserError: BigQuery refuses a data set for them.
    """
    if share is None:
        return
    config: dict[str, Any] = {"enabled": share > 0}
    if share:
        if not client.is_emulator:
            _make_dataset(client, dataset_name(endpoint))
        destination = {"output_uri": f"bq://{client.config.project}.{dataset_name(endpoint)}"}
        config |= {"sampling_rate": share, "bigquery_destination": destination}
    client.endpoints.update_endpoint(
        endpoint={"name": endpoint.name, CONFIG: config}, update_mask={"paths": [CONFIG]}
    )
    if not share:
        say("Requests are no longer logged.")
        return
    say(f"{share:.0%} of the requests are logged to {place(client, endpoint)}.")


def place(client: Client, endpoint: Any) -> str:
    """Returns where the rows are: a folder of the bucket, or a table of BigQuery."""
    if client.is_emulator:
        return f"gs://{client.config.bucket}/{_folder(endpoint)}/"
    return f"bq://{client.config.project}.{dataset_name(endpoint)}.{TABLE}"


def dataset_name(endpoint: Any) -> str:
    """Returns the name of the data set: letters, digits and _, as BigQuery takes them."""
    return _of_word_characters(f"logging_{endpoint.display_name}_{_id(endpoint)}")


def _folder(endpoint: Any) -> str:
    """Returns the folder of what the emulator logs, which is named as Google names a data set."""
    return f"{_begin(endpoint.display_name)}{_id(endpoint)}/{TABLE}"


def folder_pattern(display_name: str) -> re.Pattern[str]:
    """Returns what the names of objects begin with that the emulator logs of an endpoint."""
    return re.compile(rf"{re.escape(_begin(display_name))}[^/]+/{TABLE}/")


def _begin(display_name: str) -> str:
    return f"logging_{_of_word_characters(display_name)}_"


def _of_word_characters(text: str) -> str:
    return re.sub(r"\W", "_", text, flags=re.ASCII)


def _id(endpoint: Any) -> str:
    return str(endpoint.name.rpartition("/")[2])


def datasets(client: Client) -> str:
    """Returns the path of the project's data sets in BigQuery's API."""
    return f"bigquery/v2/projects/{client.config.project}/datasets"


def _make_dataset(client: Client, name: str) -> None:
    """Makes the data set, with the project's label, where it is not there.

    Vertex AI would make one, but without a label by which 'teardown' knows it.
    Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets/insert.
    """
    if rest.find(client, "GET", "bigquery", f"{datasets(client)}/{name}") is None:
        body = {
            "datasetReference": {"projectId": client.config.project, "datasetId": name},
            "location": client.config.region,
            "labels": client.config.labels,
        }
        rest.call(client, "POST", "bigquery", datasets(client), body)


def read(client: Client, endpoint: Any, since: datetime) -> list[Logged]:
    """Returns what was logged, the oldest first; of very many requests the newest.

    Args:
        client: of the target.
        endpoint: the `Endpoint`.
        since: from when on.

    Raises:
        UserError: BigQuery refuses.
    """
    reader = _of_objects if client.is_emulator else _of_bigquery
    rows = list(reader(client, endpoint, since))
    if len(rows) == MOST_ROWS:
        begin = min(row["logging_time"] for row in rows)
        say(f"Only the newest {MOST_ROWS:,} requests are read, those since {begin}.", "yellow")
    found = [each for row in rows for each in _predictions(row)]
    return sorted(found, key=lambda each: each.time)


def wait_for(client: Client, endpoint: Any, since: datetime) -> list[Logged]:
    """Does what `read` does, and waits some seconds for the first rows.

    Raises:
        UserError: there are none.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    with step("Reading the logged requests"):
        while not (found := read(client, endpoint, since)):
            if time.monotonic() > deadline:
                break
            time.sleep(client.poll_seconds)
    if not found:
        raise UserError(
            f"Expected logged requests in {place(client, endpoint)}, found none. Switch logging on"
            " with 'nox -s promote -- default --log-requests 1', ask for predictions, and wait some"
            " seconds, on Google Cloud some minutes."
        )
    return found


def _predictions(row: dict[str, Any]) -> Iterator[Logged]:
    """Yields the predictions of a request; none of one that is no JSON of instances."""
    moment, deployed_id = datetime.fromisoformat(row["logging_time"]), row["deployed_model_id"]
    try:
        asked = [json.loads(each) for each in row["request_payload"]]
        answered = [json.loads(each) for each in row["response_payload"]]
    except ValueError:
        return
    # A request of rawPredict is logged whole.
    if len(asked) == 1 and isinstance(asked[0], dict) and "instances" in asked[0]:
        asked = asked[0]["instances"]
        answered = answered[0].get("predictions", []) if isinstance(answered[0], dict) else []
    for instance, prediction in zip(asked, answered, strict=False):
        if isinstance(instance, dict):
            yield Logged(moment, deployed_id, instance, prediction)


def _of_objects(client: Client, endpoint: Any, since: datetime) -> Iterator[dict[str, Any]]:
    prefix = f"{_folder(endpoint)}/"
    try:
        blobs = list(client.storage.list_blobs(client.config.bucket, prefix=prefix))
    except exceptions.NotFound:
        return
    count = 0
    for blob in sorted(blobs, key=lambda each: each.name, reverse=True):
        lines = blob.download_as_text().splitlines()
        for line in reversed(lines):
            row = json.loads(line)
            if count == MOST_ROWS or datetime.fromisoformat(row["logging_time"]) < since:
                return
            count += 1
            yield row


def _of_bigquery(client: Client, endpoint: Any, since: datetime) -> Iterator[dict[str, Any]]:
    """Asks BigQuery by its method jobs.query.

    Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query.
    """
    project = client.config.project
    table = f"{project}.{dataset_name(endpoint)}.{TABLE}"
    query = {
        "query": QUERY.format(table=table, rows=MOST_ROWS),
        "useLegacySql": False,
        "parameterMode": "NAMED",
        "queryParameters": [
            {
                "name": "since",
                "parameterType": {"type": "TIMESTAMP"},
                "parameterValue": {"value": since.isoformat()},
            }
        ],
        "maxResults": PAGE_ROWS,
    }
    queries = f"bigquery/v2/projects/{project}/queries"
    answer = rest.find(client, "POST", "bigquery", queries, query)
    while answer is not None:
        if answer.get("jobComplete"):
            yield from map(_of_cells, answer.get("rows", []))
            if not answer.get("pageToken"):
                return
        job = answer["jobReference"]
        more = {"location": job["location"], "maxResults": str(PAGE_ROWS)}
        if answer.get("pageToken"):
            more["pageToken"] = answer["pageToken"]
        path = f"{queries}/{job['jobId']}"
        answer = rest.find(client, "GET", "bigquery", path, query=more)


def _of_cells(row: dict[str, Any]) -> dict[str, Any]:
    moment, deployed_id, asked, answered = (cell["v"] for cell in row["f"])
    return {
        "logging_time": moment,
        "deployed_model_id": deployed_id,
        "request_payload": [each["v"] for each in asked],
        "response_payload": [each["v"] for each in answered],
    }
