"""google-cloud-logging, over HTTP, as its users read a job's entries."""

from typing import Any

import pytest
from custom_jobs import run, spec
from google.auth.credentials import AnonymousCredentials
from google.cloud import logging

from vertex_emulator.testing.clients import Clients

CODE = """
import json, sys
for number in range(5):
    print(json.dumps({"message": f"step {number}", "severity": "NOTICE", "loss": 1 / (number + 1)}))
print("it's plain")
print('{"loss": NaN}')
print("a warning of the library", file=sys.stderr)
"""


@pytest.fixture(scope="module")
def job_id(clients: Clients) -> str:
    name: str = run(clients, spec(CODE)).name
    return name.rpartition("/")[2]


@pytest.fixture(scope="module")
def client(clients: Clients) -> Any:
    return logging.Client(
        project="test-project",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": clients.url},
        _use_grpc=False,
    )


def test_entries_in_order_over_pages(client: Any, job_id: str) -> None:
    condition = (
        f'resource.type="ml_job" AND resource.labels."job_id"="{job_id}" AND severity=NOTICE'
    )
    entries = list(client.list_entries(filter_=condition, order_by=logging.ASCENDING, page_size=2))
    assert [each.payload["message"] for each in entries] == [f"step {n}" for n in range(5)]
    assert entries[1].payload["loss"] == 0.5
    assert entries[0].resource.type == "ml_job"
    assert entries[0].resource.labels["task_name"] == "workerpool0-0"
    newest = client.list_entries(filter_=condition, order_by=logging.DESCENDING, max_results=1)
    assert [each.payload["message"] for each in newest] == ["step 4"]


def test_what_is_no_json_is_text(client: Any, job_id: str) -> None:
    condition = f'resource.labels.job_id="{job_id}" AND textPayload:*'
    texts = {
        each.payload: each.severity
        for each in client.list_entries(filter_=condition)
        if each.resource.labels["task_name"] != "service"
    }
    assert texts == {
        "it's plain": "INFO",
        '{"loss": NaN}': "INFO",
        "a warning of the library": "ERROR",
    }


def test_numbers_and_words_are_searched(client: Any, job_id: str) -> None:
    def count(condition: str) -> int:
        whole = f'resource.labels.job_id="{job_id}" AND {condition}'
        return len(list(client.list_entries(filter_=whole)))

    assert count("jsonPayload.loss<0.3") == 2
    assert count('jsonPayload.loss="0.5"') == 1
    assert count('"STEP 3"') == 1
    assert count('NOT "step" AND severity>=ERROR') == 1
    assert count('timestamp>="2020-01-01" AND jsonPayload.message:"step"') == 5
    assert count('timestamp<"2020-01-01T00:00:00+02:00"') == 0
    assert count("jsonPayload:message") == 5
    assert count('labels."ml.googleapis.com/endpoint":"aiplatform" AND severity=NOTICE') == 5
