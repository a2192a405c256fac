"""The filter language of lists and logs."""

from typing import Any

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from vertex_emulator.errors import ApiError
from vertex_emulator.filters.parsing import parse
from vertex_emulator.logs.entries import LANGUAGE as LOGS
from vertex_emulator.patterns import has_match, text_in
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
    "logName": "projects/p/logs/workerpool0-0",
    "insertId": "1",
    "jsonPayload": {"message": "Loss is high", "epoch": 3, "best": True, "address": "10.1.2.3"},
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
        # The first examples of Google's own reference of customJobs.list.
        ('display_name:"flights-*"', True),
        ('display_name:"*-1"', True),
        ('display_name:"f*s-1"', True),
        ('display_name:"lights-*"', False),
        ('NOT display_name:"flights-*"', False),
        ('NOT display_name:"other-*"', True),
        ('display_name!="flights-*"', False),
        ('display_name!="other-*"', True),
        ("state=(JOB_STATE_RUNNING OR JOB_STATE_FAILED)", True),
        ('display_name=("a" OR "b")', False),
        ("display_name=~" + '"^(f|g)lights-[0-9]+$"', True),
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
        # Names of severities in any case, their numbers, and lists of values.
        ("severity=warning", True),
        ("severity>=Error", False),
        ("severity>=400", True),
        ("severity=(ERROR OR WARNING)", True),
        ("severity=(ERROR OR CRITICAL)", False),
        ("NOT severity=(ERROR OR CRITICAL)", True),
        ('jsonPayload.message:("loss" AND "high")', True),
        ('jsonPayload.message:("loss" AND NOT "high")', False),
        ('jsonPayload.message:("loss" "low")', False),
        ("jsonPayload.epoch>(2 OR 100)", True),
        ("-- a comment alone", True),
        ("severity=ERROR -- OR severity=WARNING", False),
        ("severity=WARNING -- of the trainer\njsonPayload.epoch=3", True),
        ('log_id("workerpool0-0")', True),
        ('log_id("workerpool0")', False),
        ('SEARCH("HIGH loss")', True),
        ('SEARCH("high loss nan")', False),
        ('SEARCH("los")', False),
        ('SEARCH(jsonPayload.message, "high")', True),
        ('SEARCH(resource.labels, "high")', False),
        ("sample(insertId, 1)", True),
        ("sample(insertId, 0)", False),
        ('ip_in_net(jsonPayload.address, "10.0.0.0/8")', True),
        ('ip_in_net(jsonPayload.message, "10.0.0.0/8")', False),
        ('NOT log_id("other") AND severity=WARNING', True),
        # No wildcards in Cloud Logging.
        ('jsonPayload.message="Loss*"', False),
        ('jsonPayload.message:"Loss*"', False),
        ('jsonPayload.message=~"(?i)^LOSS"', True),
    ],
)
def test_logs(text: str, expected: bool) -> None:
    assert parse(text, LOGS).matches(ENTRY) is expected


def test_an_unknown_severity_is_named() -> None:
    with pytest.raises(ApiError, match="unknown severity 'LOUD'"):
        parse("severity=loud", LOGS)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("colour=red", "unknown field 'colour'"),
        ('state="RUNNING"', "unknown state 'RUNNING'"),
        ('create_time>"yesterday"', "not an RFC 3339 timestamp: 'yesterday'"),
        ("display_name", "no comparison after 'display_name'"),
        ("display_name=", "a missing field or value"),
        ("(display_name=x", "a missing ')'"),
        ("display_name=x)", "unexpected ')'"),
        ("display_name=x AND", "a missing field or value"),
        ('display_name="x', "an unfinished or unknown sign"),
        ("(" * 100, "nested parentheses"),
        ('display_name=~"("', "is not a valid pattern"),
        ('display_name=~"a{1001}"', "is not a valid pattern"),
        ("x" * 20_001, "at most 20000 characters"),
        ("display_name=(a OR b", "a missing ')'"),
        ("display_name=()", "a missing field or value"),
        ('log_id("x")', "a function 'log_id' (known: none)"),
        ('display_name=~"(a)\\\\1"', "is not a valid pattern"),
        ('display_name=~"' + "a" * 5_000 + '"', "at most 4096 characters"),
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


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('cast(jsonPayload.epoch, "INT64")', "a function 'cast' (known: log_id, search"),
        ("log_id()", "expected one log id"),
        ("sample(insertId)", "expected a field and a fraction"),
        ("sample(insertId, 2)", "expected a fraction from 0 to 1"),
        ('ip_in_net(jsonPayload.address, "10.0.0.0/99")', "ip_in_net: "),
        ('SEARCH("")', "a text with a word in it"),
        ("epoch=3", "unknown field 'epoch'"),
    ],
)
def test_a_log_filter_that_is_not_understood_is_refused(text: str, part: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(text, LOGS)
    assert caught.value.code == 400
    assert part in caught.value.message


def test_no_pattern_takes_long() -> None:
    """With backtracking, each of these takes longer than the universe is old."""
    entry = ENTRY | {"textPayload": "a" * 60}
    assert not parse('textPayload=~"^(a+)+b$"', LOGS).matches(entry)
    job = JOB | {"displayName": "a" * 60}
    assert not parse(f'display_name="{"*a" * 10}b"', JOBS).matches(job)
    assert not parse(f'display_name:"{"*a" * 10}b"', JOBS).matches(job)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^nothing", "nothing"),
        (r"^job-\d+\.old$", "job-"),
        (r"a\.b+c", "a.b"),
        ("colou?r", "colo"),
        ("ab{2}", "a"),
        ("(ab)*cd", "cd"),
        ("[xy]abc[^]z]", "abc"),
        ("a|b", ""),
        ("[]b)[^a]?", ""),
        ("(?i)abc", ""),
        (r"\Qa|b\E", ""),
        (r"\x41bc", ""),
        ("", ""),
    ],
)
def test_a_pattern_tells_what_its_matches_contain(pattern: str, text: str) -> None:
    assert text_in(pattern) == text


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"ab01-.*+?()[]{}^$|,d\\", "(?i)", "(?:", "{0}", "{1,2}", r"\d", "[^a]"])
    ).map("".join),
    st.lists(st.text("abAB01-\n,d", max_size=8), min_size=4, max_size=12),
)
def test_no_match_is_lost_by_looking_for_text(pattern: str, texts: list[str]) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        return
    for text in texts:
        found = compiled.search(text) is not None
        assert has_match(pattern, text) == found
        assert text_in(pattern) in text or not found
