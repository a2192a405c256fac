"""Data sets of BigQuery with logged requests, as `cloud/monitoring/request_log.py` makes them.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets.
"""

import shlex
from collections.abc import Iterator

from cloud import lookup, rest
from cloud.client import Client
from cloud.console import step
from cloud.errors import UserError
from cloud.monitoring import request_log
from cloud.resources.resource import is_labelled

PREFIX = "logging_"  # of their names


def labelled(client: Client) -> Iterator[str]:
    """Yields the names of those that carry the project's label; of none where BigQuery refuses."""
    labels = " ".join(f"labels.{key}:{value}" for key, value in client.config.labels.items())
    query = {"filter": labels}
    while True:
        try:
            answer = rest.call(client, "GET", "bigquery", request_log.datasets(client), query=query)
        except UserError:
            return  # 'staying' says it
        for each in answer.get("datasets", []):
            name = str(each["datasetReference"]["datasetId"])
            if name.startswith(PREFIX):
                yield name
        if not answer.get("nextPageToken"):
            return
        query["pageToken"] = answer["nextPageToken"]


def title(name: str) -> str:
    """Says what it is."""
    return f"data set {name} of BigQuery, with logged requests"


def remove(client: Client, name: str) -> None:
    """Removes a data set with its tables."""
    with step(f"Removing {title(name)}"):
        path = f"{request_log.datasets(client)}/{name}"
        rest.call(client, "DELETE", "bigquery", path, query={"deleteContents": "true"})


def staying(client: Client) -> str:
    """Says what stays of the endpoint's logged requests; "" where nothing does."""
    endpoint = lookup.endpoint(client)
    if endpoint is None:
        return ""
    name = request_log.dataset_name(endpoint)
    try:
        found = rest.find(client, "GET", "bigquery", f"{request_log.datasets(client)}/{name}")
    except UserError as error:
        return f"Logged requests may stay in BigQuery, which cannot be looked at: {error}"
    if found is None or is_labelled(client, found.get("labels", {})):
        return ""
    command = shlex.join(["bq", "rm", "-r", "-f", "-d", f"{client.config.project}:{name}"])
    return f"{title(name)} stays, as it does not carry the project's label. To remove it: {command}"
