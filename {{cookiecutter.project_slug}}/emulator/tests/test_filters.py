"""The filter language of lists and logs."""

from typing import Any

import pytest

from vertex_emulator.errors import ApiError
from vertex_emulator.filters import parse
from vertex_emulator.logs.entries import LANGUAGE as LOGS
from vertex_emulator.vertex.jobs import LANGUAGE as JOBS

JOB = {
    "displayName": "flights-1",
    "state": "JOB_STATE_RUNNING",
    "createTime": "2026-03-01T10:00:00.000000Z",
    "labels": {"team": "a", "cost_centre": "7"},
}
ENTRY = {
    "resource": {"type": "ml_job", "labels": {"job_id": "42", "task_name": "workerpool0-0"}},
    "timestamp": "2026-03-01T10:00:00.500000Z",
    "severity": "WARNING",
    "jsonPayload": {"message": "Loss is high", "epoch": 3, "best": True},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ('display_name="flights-1"', True),
        ('displayName="flights-1"', True),
        ("display_name=flights-1", True),
        ('display_name="flights-*"', True),
        ('display_name="flights-?"', False),
        ('display_name!="flights-1"', False),
        ('display_name:"lights"', True),
        ('state="JOB_STATE_RUNNING"', True),
        ('NOT state="JOB_STATE_RUNNING"', False),
        ('-state="JOB_STATE_FAILED"', True),
        ('create_time>"2026-03-01T09:59:59Z"', True),
        ('create_time>="2026-03-01T11:00:00+01:00"', True),
        ('create_time<"2026-03-01T10:00:00Z"', False),
        ("labels.team=a", True),
        ("labels.cost_centre=7", True),
        ("labels:team", True),
        ("labels:other", False),
        ("labels.team:*", True),
        ("labels.other:*", False),
        ("end_time:*", False),
        ("create_time:*", True),
        ('labels."cost_centre"=7', True),
        ('labels."cost centre"=7', False),
        ("labels>7", False),
        ('create_time>"2026-03-01"', True),
        ("labels.other=a", False),
        ("labels.other!=a", False),
        ("NOT labels.other=a", True),
        ("labels.team=a state=JOB_STATE_RUNNING", True),
        ("labels.team=b OR state=JOB_STATE_RUNNING", True),
        # OR binds tighter than AND.
        ("labels.team=b AND labels.team=a OR state=JOB_STATE_RUNNING", False),
        ("(labels.team=b AND labels.team=a) OR state=JOB_STATE_RUNNING", True),
        ('NOT (labels.team=b OR display_name="x")', True),
    ],
)
def test_jobs(text: str, expected: bool) -> None:
    assert parse(text, JOBS).matches(JOB) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('resource.type="ml_job" AND resource.labels.job_id="42"', True),
        ('resource.labels.job_id="43"', False),
        ("severity>=WARNING", True),
        ("severity>WARNING", False),
        ('timestamp>="2026-03-01T10:00:00Z" AND timestamp<"2026-03-01T10:00:01Z"', True),
        ("jsonPayload.epoch>2", True),
        ("jsonPayload.epoch>10", False),
        ("jsonPayload.best=true", True),
        ('jsonPayload.epoch="3"', True),
        ("jsonPayload>3", False),
        ('resource.labels."job_id"="42"', True),
        ('jsonPayload.message="loss IS high"', True),
        ('jsonPayload.message=~"^Loss .* high$"', True),
        ('jsonPayload.message!~"^Loss"', False),
        ('"is high"', True),
        ("workerpool0-0", True),
        ("nothing_of_this", False),
    ],
)
def test_logs(text: str, expected: bool) -> None:
    assert parse(text, LOGS).matches(ENTRY) is expected


def test_an_unknown_severity_is_named() -> None:
    with pytest.raises(ApiError, match="unknown severity 'warning'"):
        parse("severity=warning", LOGS)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("colour=red", "unknown field 'colour'"),
        ('state="RUNNING"', "unknown state 'RUNNING'"),
        ('create_time>"yesterday"', "no RFC 3339 timestamp 'yesterday'"),
        ("display_name", "no comparison after 'display_name'"),
        ("display_name=", "a missing field or value"),
        ("(display_name=x", "a missing ')'"),
        ("display_name=x)", "unexpected ')'"),
        ("display_name=x AND", "a missing field or value"),
        ('display_name="x', "an unfinished or unknown sign"),
        ("(" * 100, "nested parentheses"),
        ('display_name=~"("', "no regular expression"),
        ('display_name=~"a{99999999999}"', "no regular expression"),
        ("x" * 20_001, "at most 20000 characters"),
    ],
)
def test_a_bad_filter_says_where(text: str, part: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(text, JOBS)
    assert caught.value.status == "INVALID_ARGUMENT"
    assert part in caught.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('resource.type="ml_job" AND resource.labels.job_id="42"', "42"),
        ('resource.labels.job_id="42" OR severity=ERROR', None),
        ('NOT resource.labels.job_id="42"', None),
        ('-resource.labels.job_id="42"', None),
        ('textPayload="resource.labels.job_id=42"', None),
        ('(resource.labels.job_id="42" AND severity=INFO) OR severity=ERROR', None),
        ('(resource.labels.job_id="42" AND severity=INFO)', "42"),
        ('resource.labels.job_id="4*"', None),
        ("resource.labels.job_id=42", None),  # equals 42.0 too
        ("", None),
    ],
)
def test_a_hint_for_the_index_never_hides_a_match(text: str, value: Any) -> None:
    assert parse(text, LOGS).required.get("resource.labels.job_id") == value


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ('timestamp>="2026-03-01T00:00:00Z" AND severity=ERROR', 2026),
        ('timestamp>"2026-03-01T00:00:00+05:00"', 2026),
        ('timestamp>="2026-03-01T00:00:00Z" OR severity=ERROR', None),
        ('NOT timestamp>="2026-03-01T00:00:00Z"', None),
        ('timestamp<"2026-03-01T00:00:00Z"', None),
    ],
)
def test_a_moment_bounds_what_is_read(text: str, year: int | None) -> None:
    bound = parse(text, LOGS).at_least.get("timestamp")
    assert (bound and bound.year) == year
