"""Versions, traffic and predictions as a person operates them: penguins, in processes."""

import csv
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from cloud import config, lookup, prediction, promote, traffic
from cloud.client import Client
from cloud.errors import UserError
from tests.conftest import ROOT
from tests.project import TINY, Project

CALLERS = 8


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Two jobs have succeeded, `worse` and `better`; `worse` is version 1, and the default."""
    made = Project(tmp_path_factory.mktemp("penguins"), "penguins")
    try:
        made.run("data")
        for name, epochs in (("worse", "1"), ("better", "40")):
            made.run("submit", "--name", name, "--", *TINY, "--epochs", epochs)
            made.run("logs", "--follow")
        made.run("deploy", job(made, "worse"))
        yield made
    finally:
        made.run("emulator", "--stop")


@pytest.fixture
def client(project: Project, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    return Client(config.load())


def job(project: Project, name: str) -> str:
    listed = project.run("jobs", "--filter", f'display_name="{name}-*"')
    return listed.splitlines()[1].split()[0]


def versions(project: Project) -> dict[str, str]:
    """Returns the lines of `versions` by the version's number."""
    return {line.split()[0]: line for line in project.run("versions").splitlines()[1:]}


@contextmanager
def callers(url: str, instance: dict[str, Any]) -> Iterator[Counter[tuple[int, str]]]:
    """Asks the endpoint without a pause; counts the answers by status and version."""
    counts: Counter[tuple[int, str]] = Counter()
    lock, stop = threading.Lock(), threading.Event()

    def call() -> None:
        with requests.Session() as session:
            while not stop.is_set():
                answer = session.post(url, json={"instances": [instance]}, timeout=60)
                version = answer.json().get("modelVersionId", answer.text)
                with lock:
                    counts[answer.status_code, version] += 1

    threads = [threading.Thread(target=call) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_no_request_fails_while_versions_change(project: Project, client: Client) -> None:
    url = prediction.endpoint_url(client)
    with callers(url, traffic.sample_instance(client)) as counts:
        told = project.run("deploy", job(project, "better"), "--traffic", "20")
        assert "better than the default: on the same test rows it has" in told
        assert "gets 20 % of the traffic; the default is version 1 still" in told
        listed = versions(project)
        assert "20 %" in listed["2"]
        assert "80 %" in listed["1"]
        assert "default" in listed["1"]

        compared = project.run("predict", "--all-versions").splitlines()
        answers = {line.split()[0]: line for line in compared if '"label"' in line}
        assert answers.keys() >= {"1", "2"}
        assert "The same: what is served is what was trained." in project.run("evaluate", "2")

        project.run("promote", "2")
        listed = versions(project)
        assert "default" in listed["2"]
        assert "100 %" in listed["2"]
        assert "previous" in listed["1"]
        assert "not deployed" in listed["1"]
        assert "Version 1 gets no traffic" in project.fail("evaluate", "1")

        for default, other in (("1", "2"), ("2", "1")):
            project.run("rollback")
            listed = versions(project)
            assert "default" in listed[default]
            assert "previous" in listed[other]
    assert {status for status, _version in counts} == {200}, counts
    assert {version for _status, version in counts} == {"1", "2"}, counts


def test_a_model_that_is_no_better_is_refused(project: Project) -> None:
    before = versions(project).keys()
    assert "no better than the default: on the same test rows it has ROC AUC" in project.fail(
        "deploy", job(project, "worse")
    )
    assert versions(project).keys() == before


def test_a_model_of_another_table_is_refused(project: Project) -> None:
    environment = project.environment | {"CLOUD_DATA_SET": "flights"}
    ran = subprocess.run(
        [sys.executable, "-m", "cloud", "deploy", job(project, "better"), "--force"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "expected a signature 'serving_default' with the features of the table" in ran.stderr
    assert "lacks carrier, dep_delay, dest" in ran.stderr
    assert "has bill_depth_mm" in ran.stderr


def test_a_version_that_does_not_answer_gets_no_traffic(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = lookup.endpoint(client)
    before = traffic.version_shares(endpoint)
    number = "1" if before.get("1", 0) == 0 else "2"
    version = lookup.version(client, number)
    monkeypatch.setattr(traffic, "sample_instance", lambda _client: {"no_such_feature": 1})
    with pytest.raises(UserError, match=r"does not answer: 400, .*no_such_feature"):
        promote.promote(client, version, "n1-standard-4")
    assert traffic.version_shares(lookup.endpoint(client)) == before


def test_rows_are_joined_to_their_predictions_by_key(project: Project, tmp_path: Path) -> None:
    rows = [
        {"island": "Biscoe", "bill_length_mm": 46.1, "flipper_length_mm": 211, "year": 2007},
        {"island": "Biscoe", "bill_length_mm": "long", "flipper_length_mm": 230},
        {"island": "Dream", "body_mass_g": 3500.0, "sex": "female"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    printed = project.run("batch", "--file", str(file))
    assert "2 rows predicted, 1 failed." in printed
    assert "bill_length_mm" in next(line for line in printed.splitlines() if "failed:" in line)
    [path] = [
        line.partition(": ")[2] for line in printed.splitlines() if line.startswith("Joined with")
    ]
    with Path(path).open(newline="") as joined:
        table = list(csv.DictReader(joined))
    assert [row["island"] for row in table] == ["Biscoe", "Biscoe", "Dream"]
    assert [bool(row["predicted_label"]) for row in table] == [True, False, True]


def test_batch_and_online_predictions_agree(project: Project, tmp_path: Path) -> None:
    printed = project.run("batch")
    path = next(
        line.partition(": ")[2] for line in printed.splitlines() if line.startswith("Joined with")
    )
    with Path(path).open(newline="") as joined:
        batched = [row["predicted_label"] for row in csv.DictReader(joined)]
    test_file = project.folder / "data" / "penguins" / "test.csv"
    lines = project.run("predict", "--file", str(test_file)).splitlines()
    assert [json.loads(line)["label"] for line in lines] == batched
    assert "The same: what is served is what was trained." in project.run("evaluate")


def test_flags_of_features_make_an_instance(project: Project) -> None:
    printed = project.run("predict", "--island", "Biscoe", "--flipper-length-mm", "217")
    assert '{"island": "Biscoe", "flipper_length_mm": 217.0}' in printed
    assert '"label": "Gentoo"' in printed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("promote", "7"), "There is no version '7' of"),
        (("promote", "no-such-alias"), "There is no version 'no-such-alias' of"),
        (("deploy", "--traffic", "0"), "--traffic: expected 1 to 100 per cent, got 0"),
        (("evaluate", "--rows", "0"), "--rows: expected at least 1, got 0"),
        (
            ("predict", "--body-mass-g", "heavy"),
            "body_mass_g: expected a number (body",
        ),
        (("predict", "--year", "2007", "--row", "1"), "got --row and flags of features; give one"),
        (("predict", "--file", "no-such.csv"), "no-such.csv cannot be read: No such file"),
        (("predict", "--file", "README.md"), "README.md: expected a file of .csv, .json, .jsonl"),
        (("batch", "--to", "somewhere"), "--to: expected a gs:// URI, got 'somewhere'"),
        (("batch", "--replicas", "0"), "--replicas: expected at least 1, got 0"),
    ],
)
def test_a_mistake_gets_one_sentence(
    project: Project, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in project.fail(*words)
