"""Filters that an index answers give what they give document by document."""

import itertools
from pathlib import Path

import pytest

from vertex_emulator.filters.parsing import parse
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.vertex.jobs import LANGUAGE
from vertex_emulator.vertex.resources import listing, newest

LOCATION = "projects/p/locations/l"
NAMES = (
    "flights-1",
    "flights[1]",
    "flights?",
    "Flights-1",
    "a*b",
    "naïve",
    'quo"te',
    "x\\y",
    "100%",
    "\u212a",
    "",
)
LABELS: tuple[dict[str, str], ...] = (
    {},
    {"team": "a"},
    {"team": "ab"},
    {"cost_centre": "7"},
    {"team": "7", "a": "team"},
)
TIMES = ("2026-03-01T10:00:00.000000Z", "2026-03-01T10:00:00.500000Z")


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    found = Documents(Database(tmp_path_factory.mktemp("documents") / "emulator.sqlite"))
    for number, (name, labels, moment) in enumerate(itertools.product(NAMES, LABELS, TIMES)):
        document: Document = {
            "name": f"{LOCATION}/customJobs/{number}",
            "displayName": name,
            "state": "JOB_STATE_FAILED" if number % 3 else "JOB_STATE_RUNNING",
            "createTime": moment,
        }
        found.create("customJob", LOCATION, document | ({"labels": labels} if labels else {}))
    return found


@pytest.mark.parametrize(
    "text",
    [
        'display_name="flights-1"',
        'display_name="flights*"',
        'display_name="*-1"',
        'display_name="flights[1]*"',
        'display_name="flights?*"',
        'display_name="*"',
        'display_name="na*ve"',
        'display_name="quo\\"*"',
        'display_name="x\\\\*"',
        'NOT display_name="flights*"',
        'NOT display_name="flights[1]*" NOT display_name="flights?*"',
        'NOT display_name:"FLIGHTS"',
        'display_name!="flights-1"',
        'display_name!="flights*" OR state!="JOB_STATE_FAILED"',
        'NOT (display_name="flights*" OR labels:team)',
        'NOT (display_name="flights*" AND NOT state="JOB_STATE_FAILED")',
        'NOT (display_name="flights*" AND start_time:*)',
        'display_name:"k" OR NOT labels:*',
        'display_name=~"flights" OR labels:team',
        'display_name=~"^flights.1"',
        'display_name!~"(?i)FLIGHTS" state=~"RUN"',
        'display_name=~"s.1$"',
        'display_name!~"s.1$"',
        'display_name!~"zz"',
        'NOT start_time!~"x"',
        'NOT display_name=~"ï"',
        'start_time!~"x"',
        'NOT start_time=~"x"',
        'labels.team=~"a"',
        'NOT (display_name=~"flights" OR labels:team)',
        'labels.team!="a"',
        'NOT labels.team!="a"',
        "NOT labels.team:*",
        'labels.team:"a" OR state="JOB_STATE_RUNNING"',
        "NOT labels.team=7",
        'NOT create_time>"2026-03-01T10:00:00.2Z"',
        'create_time!="2026-03-01T10:00:00Z"',
        'NOT start_time>"2026-03-01T10:00:00Z"',
        'NOT state="JOB_STATE_FAILED" OR create_time="2026-03-01T10:00:00.5Z"',
        'state>"JOB_STATE_RUNNING" OR display_name="naïve"',
        'display_name="flights*" OR labels.team="a"',
        'display_name:"flights"',
        'display_name:"FLIGHTS"',
        'display_name:"a*b"',
        'display_name:"NAÏVE"',
        'display_name:"k"',
        'display_name:"x\\\\y"',
        'display_name:"100%"',
        'display_name:"*"',
        'display_name:""',
        "labels.team=a",
        'labels.team="a"',
        'labels.team="a*"',
        "labels.team=7",
        'labels.team="7"',
        'labels.cost_centre="7"',
        'labels.other="7"',
        "labels:team",
        "labels:*",
        "labels:tea",
        "NOT labels:team",
        '-labels.team="a"',
        'labels.team="a" labels.team="ab"',
        'create_time>"2026-03-01T10:00:00Z"',
        'create_time>="2026-03-01T10:00:00.5Z"',
        'create_time<"2026-03-01T10:00:00.500Z"',
        'create_time<="2026-03-01T11:00:00+01:00"',
        'create_time="2026-03-01T10:00:00Z"',
        'create_time<"2020-01-01T00:00:00Z" OR labels:a',
        'state="JOB_STATE_FAILED" AND labels.team="a" AND display_name="*1"',
        'state=("JOB_STATE_FAILED" OR "JOB_STATE_RUNNING") create_time>"2026-03-01T10:00:00.1Z"',
        "start_time:*",
    ],
)
def test_an_index_finds_what_the_filter_finds(documents: Documents, text: str) -> None:
    wanted = parse(text, LANGUAGE)
    every = documents.list("customJob", LOCATION)
    expected = [each["name"] for each in every if wanted.matches(each)]
    query = {"filter": text, "pageSize": "100"}
    answer = listing("customJobs", newest(documents, "customJob", LOCATION), query, LANGUAGE)
    assert [each["name"] for each in answer["customJobs"]] == expected[:100]


def test_a_filter_of_more_terms_than_sql_takes_is_answered(documents: Documents) -> None:
    for term in ('state="JOB_STATE_FAILED"', "labels:*", 'NOT labels:"a"'):
        text = " OR ".join([term] * 1000)
        query = {"filter": text[:19_000].rpartition(" OR ")[0], "pageSize": "100"}
        answer = listing("customJobs", newest(documents, "customJob", LOCATION), query, LANGUAGE)
        every = documents.list("customJob", LOCATION)
        wanted = parse(term, LANGUAGE)
        assert len(answer["customJobs"]) == sum(map(wanted.matches, every))


def test_data_of_an_emulator_without_the_index_is_read(tmp_path: Path) -> None:
    database = Database(tmp_path / "emulator.sqlite")
    database.connection().executescript(
        "CREATE TABLE document (sequence INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL"
        " UNIQUE, kind TEXT NOT NULL, parent TEXT NOT NULL, body TEXT NOT NULL);"
        "INSERT INTO document (name, kind, parent, body) VALUES ('old', 'customJob', 'there',"
        ' \'{"name":"old","labels":{"a":"b"}}\');'
    )
    for _start in range(2):
        needed = parse('labels.a="b"', LANGUAGE).needed
        found = list(Documents(database).scan("customJob", "there", None, needed))
        assert [document["name"] for _number, document in found] == ["old"]
