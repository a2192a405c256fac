"""Request-response logging: what the endpoint is asked and answers, switched on, off, and read.

On Google Cloud the rows go to a BigQuery table; the emulator, which has no BigQuery, writes rows of
the same columns as JSON lines to the bucket of the model.
Source: https://cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging.
"""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core import exceptions

from cloud import rest
from cloud.client import Client
from cloud.console import say
from cloud.errors import UserError
from cloud.serving.instances import Instance

TABLE = "request_response_logging"
CONFIG = "predict_request_response_logging_config"
FLAG = "--log-requests"
MOST_ROWS = 100_000  # of requests, the newest
PAGE_ROWS = 5_000  # of an answer of BigQuery
QUERY = """
SELECT FORMAT_TIMESTAMP('%FT%H:%M:%E6SZ', logging_time), request_payload, response_payload
FROM `{table}` WHERE logging_time >= @since ORDER BY logging_time DESC LIMIT {rows}
"""


@dataclass(frozen=True)
class Logged:
    """One prediction.

    Attributes:
        time: when it was answered.
        instance: what the endpoint was asked.
        prediction: what it answered.
    """

    time: datetime
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
    """Has an endpoint log a share of its requests; 0 ends it, and None leaves it as it is."""
    if share is None:
        return
    config: dict[str, Any] = {"enabled": share > 0}
    if share:
        destination = {"output_uri": f"bq://{client.config.project}"}
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
    dataset = _dataset(endpoint)
    if client.is_emulator:
        return f"gs://{client.config.bucket}/{dataset}/{TABLE}/"
    return f"bq://{client.config.project}.{dataset}.{TABLE}"


def _dataset(endpoint: Any) -> str:
    # The name that Google gives the data set, where the destination names a project alone.
    name = re.sub(r"\W", "_", endpoint.display_name, flags=re.ASCII)
    return f"logging_{name}_{endpoint.name.rpartition('/')[2]}"


def read(client: Client, endpoint: Any, days: float | None) -> list[Logged]:
    """Returns what was logged, the oldest first; of very much the newest.

    Args:
        client: of the target.
        endpoint: the `Endpoint`.
        days: back from now; None for all.

    Raises:
        UserError: BigQuery refuses.
    """
    since = datetime.now(UTC) - timedelta(days=days) if days else datetime.fromtimestamp(0, UTC)
    reader = _of_objects if client.is_emulator else _of_bigquery
    found = [each for row in reader(client, endpoint, since) for each in _predictions(row)]
    return sorted(found, key=lambda each: each.time)


def _predictions(row: dict[str, Any]) -> Iterator[Logged]:
    """Yields the predictions of a request; none of one that is no JSON of instances."""
    time = datetime.fromisoformat(row["logging_time"])
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
            yield Logged(time, instance, prediction)


def _of_objects(client: Client, endpoint: Any, since: datetime) -> Iterator[dict[str, Any]]:
    prefix = f"{_dataset(endpoint)}/{TABLE}/"
    try:
        blobs = list(client.storage.list_blobs(client.config.bucket, prefix=prefix))
    except exceptions.NotFound:
        return
    count = 0
    for blob in sorted(blobs, key=lambda each: each.name, reverse=True):
        lines = blob.download_as_text().splitlines()
        for line in reversed(lines):
            row = json.loads(line)
            count += 1
            if count > MOST_ROWS or datetime.fromisoformat(row["logging_time"]) < since:
                return
            yield row


def _of_bigquery(client: Client, endpoint: Any, since: datetime) -> Iterator[dict[str, Any]]:
    """Asks BigQuery by its method jobs.query.

    Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query.
    """
    project = client.config.project
    table = f"{project}.{_dataset(endpoint)}.{TABLE}"
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
    time, asked, answered = (cell["v"] for cell in row["f"])
    return {
        "logging_time": time,
        "request_payload": [each["v"] for each in asked],
        "response_payload": [each["v"] for each in answered],
    }
