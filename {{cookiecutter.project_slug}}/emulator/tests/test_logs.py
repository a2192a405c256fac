"""Cloud Logging's `entries:list`, as gcloud and the project's follower ask it."""

from typing import Any

import pytest
import requests
from custom_jobs import run, spec

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.discovery import validator

CODE = """
import sys
for number in range(25):
    print(number, file=sys.stderr if number % 5 == 0 else sys.stdout, flush=True)
"""


@pytest.fixture(scope="module")
def job_id(clients: Clients) -> str:
    name: str = run(clients, spec(CODE)).name
    return name.rpartition("/")[2]


def ask(clients: Clients, **request: Any) -> dict[str, Any]:
    body = {"resourceNames": ["projects/test-project"], **request}
    answer = requests.post(f"{clients.url}/v2/entries:list", json=body, timeout=60)
    found: dict[str, Any] = answer.json()
    if answer.status_code == 200:
        validator("logging.v2").check("ListLogEntriesResponse", found)
    return found


def test_pages_hold_each_entry_once_in_order(clients: Clients, job_id: str) -> None:
    condition = f'resource.labels.job_id="{job_id}" AND resource.labels.task_name="workerpool0-0"'
    texts, token = [], ""
    while True:
        page = ask(clients, filter=condition, pageSize=7, pageToken=token)
        texts += [each["textPayload"] for each in page["entries"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
        assert len(page["entries"]) == 7
    assert sorted(texts, key=int) == [str(number) for number in range(25)]
    newest = ask(clients, filter=condition, orderBy="timestamp desc", pageSize=1)["entries"]
    oldest = ask(clients, filter=condition, pageSize=1)["entries"]
    assert newest[0]["timestamp"] > oldest[0]["timestamp"]


def test_severity_tells_stderr_from_stdout(clients: Clients, job_id: str) -> None:
    condition = f'resource.labels.job_id="{job_id}" AND severity>=ERROR'
    found = ask(clients, filter=condition)["entries"]
    assert [each["textPayload"] for each in found] == ["0", "5", "10", "15", "20"]


def test_another_project_sees_nothing(clients: Clients, job_id: str) -> None:
    condition = f'resource.labels.job_id="{job_id}"'
    assert ask(clients, resourceNames=["projects/other"], filter=condition) == {"entries": []}


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ({"filtre": ""}, "no field 'filtre'"),
        ({"resourceNames": []}, "resourceNames"),
        ({"orderBy": "severity"}, "orderBy"),
        ({"pageSize": "many"}, "pageSize"),
        ({"pageToken": "!"}, "pageToken"),
        ({"filter": "severity>="}, "filter"),
    ],
)
def test_a_bad_request_is_refused(clients: Clients, request_: dict[str, Any], part: str) -> None:
    error = ask(clients, **request_)["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert part in error["message"]
