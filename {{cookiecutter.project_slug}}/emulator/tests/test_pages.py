"""Pages of a list that changes while it is read."""

from pathlib import Path
from typing import Any

import pytest

from vertex_emulator.errors import ApiError
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Documents
from vertex_emulator.vertex.jobs import LANGUAGE
from vertex_emulator.vertex.resources import in_order, listing, newest

LOCATION = "projects/p/locations/l"


@pytest.fixture
def documents(tmp_path: Path) -> Any:
    database = Database(tmp_path / "sqlite")
    documents = Documents(database)
    for number in range(7):
        add(documents, number)
    yield documents
    database.close()


def add(documents: Documents, number: int) -> None:
    state = "JOB_STATE_FAILED" if number % 2 else "JOB_STATE_SUCCEEDED"
    document = {"name": f"{LOCATION}/jobs/{number}", "displayName": f"job-{number}", "state": state}
    documents.create("job", LOCATION, document)


def ask(documents: Documents, **query: str) -> tuple[list[str], str]:
    answer = listing("jobs", newest(documents, "job", LOCATION), query, LANGUAGE)
    return [each["displayName"] for each in answer["jobs"]], answer.get("nextPageToken", "")


def test_a_token_stays_valid_when_jobs_come_and_go(documents: Documents) -> None:
    first, token = ask(documents, pageSize="3")
    assert first == ["job-6", "job-5", "job-4"]
    add(documents, 7)
    documents.delete(f"{LOCATION}/jobs/4")  # the last of the first page
    documents.delete(f"{LOCATION}/jobs/2")
    second, token = ask(documents, pageSize="3", pageToken=token)
    assert (second, token) == (["job-3", "job-1", "job-0"], "")


def test_a_filter_fills_its_pages(documents: Documents) -> None:
    failed = {"filter": 'state="JOB_STATE_FAILED"', "pageSize": "2"}
    first, token = ask(documents, **failed)
    assert first == ["job-5", "job-3"]
    assert ask(documents, **failed, pageToken=token) == (["job-1"], "")
    assert ask(documents, filter='display_name="job-2"') == (["job-2"], "")
    assert ask(documents, filter='display_name="job-2" OR state="JOB_STATE_FAILED"')[0] == [
        *("job-5", "job-3", "job-2", "job-1")
    ]
    assert ask(documents, filter='display_name="job-2" AND NOT state="JOB_STATE_FAILED"')[0]


@pytest.mark.parametrize("token", ["!", "WyIiXQ==", "bnVsbA==", "WzEsICIiXQ==", "WyIiLCB0cnVlXQ=="])
def test_another_token_is_refused(documents: Documents, token: str) -> None:
    with pytest.raises(ApiError, match="expected the nextPageToken"):
        ask(documents, pageToken=token)


def test_an_order_is_kept_over_pages(documents: Documents) -> None:
    for order, expected in (
        ("display_name", [f"job-{n}" for n in range(7)]),
        ("display_name desc", [f"job-{n}" for n in reversed(range(7))]),
    ):
        seen: list[str] = []
        token = ""
        while len(seen) < 7:
            scan = in_order(documents.list("job", LOCATION), order)
            answer = listing("jobs", scan, {"pageSize": "2", "pageToken": token}, LANGUAGE)
            seen += [each["displayName"] for each in answer["jobs"]]
            token = answer.get("nextPageToken", "")
        assert (seen, token) == (expected, "")
    with pytest.raises(ApiError, match="orderBy"):
        in_order([], "colour")
