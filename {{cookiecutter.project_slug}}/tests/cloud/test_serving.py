"""Versions, traffic and predictions as a person operates them: penguins, in processes."""

import argparse
import csv
import dataclasses
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from conftest import ROOT
from project import TINY, Project

from cloud import config, lookup
from cloud.__main__ import main
from cloud.client import Client
from cloud.commands import batch
from cloud.errors import UserError
from cloud.monitoring import request_log
from cloud.serving import (
    batch_jobs,
    contract,
    deployed_ids,
    deployments,
    instances,
    prediction,
    rollout,
    traffic,
)
from cloud.serving.contract import TableContract
from cloud.training import experiments
from table_schema.tables import TABLES

CALLERS = 4
PAUSE = 0.01  # seconds of a caller between two requests, so that the commands get on beside them
# A job that ends with the model of another.
COPY = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"
MACHINES = deployments.Machines("n1-standard-4")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Three jobs have succeeded; `worse` is version 1, and the default; `again` equals `better`."""
    made = Project(tmp_path_factory.mktemp("penguins"), "penguins")
    try:
        made.run("data")
        for name, epochs in (("worse", "1"), ("better", "40")):
            made.run("submit", "--name", name, "--", *TINY, "--epochs", epochs)
            made.run("logs", "--follow")
        worse = job(made, "worse")
        copy_job(made, job(made, "better"), "again-1")
        made.run("logs", "--follow")
        assert "worse than 'flipper_length_mm alone'" in made.fail("deploy", worse)
        made.run("deploy", worse, "--force")
        yield made
    finally:
        made.run("emulator", "--stop")


def copy_job(project: Project, job: str, name: str) -> None:
    """Starts a job that copies the model of another."""
    client = Client(config.load(environment=project.environment))
    folders = [f"{client.config.bucket}/jobs/{each}" for each in (job, name)]
    container = {
        "image_uri": "python:3.11",
        "command": ["python", "-c", COPY],
        "args": [f"/gcs/{folder}/model" for folder in folders],
    }
    machine = {"machine_type": "n1-standard-4"}
    pool = {"machine_spec": machine, "replica_count": 1, "container_spec": container}
    base = {"output_uri_prefix": f"gs://{folders[1]}"}
    client.jobs.create_custom_job(
        parent=client.config.location,
        custom_job={
            "display_name": name,
            "job_spec": {"worker_pool_specs": [pool], "base_output_directory": base},
            "labels": client.config.labels,
        },
    )


@pytest.fixture
def client(project: Project, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    return Client(config.load())


def mistake(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Runs a command that must refuse in this process, and returns its one sentence."""
    assert main(list(words)) == 1
    sentence = capsys.readouterr().err
    assert sentence.startswith("Error: ")
    return sentence


def job(project: Project, name: str) -> str:
    listed = project.run("jobs", "--filter", f'display_name="{name}-*"')
    return listed.splitlines()[1].split()[0]


def versions(project: Project) -> dict[str, str]:
    """Returns the lines of `versions` by the version's number."""
    return {line.split()[0]: line for line in project.run("versions").splitlines()[1:]}


@contextmanager
def callers(url: str, instance: dict[str, Any]) -> Iterator[Counter[tuple[int, str]]]:
    """Asks the endpoint all the time; counts the answers by status and version."""
    counts: Counter[tuple[int, str]] = Counter()
    lock, stop = threading.Lock(), threading.Event()

    def call() -> None:
        with requests.Session() as session:
            while not stop.is_set():
                answer = session.post(url, json={"instances": [instance]}, timeout=60)
                version = answer.json().get("modelVersionId", answer.text)
                with lock:
                    counts[answer.status_code, version] += 1
                time.sleep(PAUSE)

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
    with callers(url, deployments.sample_instance(client, contract.of_default(client))) as counts:
        told = project.run("deploy", job(project, "better"), "--traffic", "20")
        assert "better than the default: on the same test rows it has" in told
        assert "gets 20 % of the traffic; version 1 is still the default" in told
        listed = versions(project)
        assert "20 %" in listed["2"]
        assert "80 %" in listed["1"]
        assert "default" in listed["1"]

        compared = project.run("predict", "--all-versions").splitlines()
        answers = {line.split()[0]: line for line in compared if '"label"' in line}
        assert answers.keys() >= {"1", "2"}
        assert "The scores are the same: the endpoint serves what was trained." in project.run(
            "evaluate", "2"
        )

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
    sentence = project.fail("deploy", job(project, "again"))
    assert "no better than the default: on the same test rows it has ROC AUC" in sentence
    assert "is version 2 already; give it the traffic with 'nox -s promote -- 2'" in project.fail(
        "deploy", job(project, "better")
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
    instance = {"no_such_feature": 1}
    monkeypatch.setattr(deployments, "sample_instance", lambda _client, _taken: instance)
    with pytest.raises(UserError, match=r"does not predict: 400, .*no_such_feature"):
        rollout.promote(client, version, MACHINES)
    assert traffic.version_shares(lookup.endpoint(client)) == before


def test_a_version_that_does_not_load_leaves_the_traffic_alone(
    project: Project, client: Client
) -> None:
    before = traffic.version_shares(lookup.endpoint(client))
    broken = job(project, "again")
    for blob in client.bucket.list_blobs(prefix=f"jobs/{broken}/model/1/variables/"):
        blob.delete()
    sentence = project.fail("deploy", broken, "--force")
    number = next(iter(versions(project)))
    assert f"Deploying version {number} failed: The model server exited" in sentence
    assert f"'nox -s promote -- {number}' tries again" in sentence
    assert traffic.version_shares(lookup.endpoint(client)) == before


def interrupt(_seconds: float) -> None:
    """What Ctrl-C does to a wait."""
    raise KeyboardInterrupt


def test_a_deployment_goes_on_without_the_person(
    project: Project,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = traffic.version_shares(lookup.endpoint(client))
    [default] = before
    number = "1" if default == "2" else "2"
    version = lookup.version(client, number)
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            rollout.promote(client, version, MACHINES)
    assert "Its operation is " in capsys.readouterr().out
    while number not in (shares := traffic.version_shares(lookup.endpoint(client))):
        time.sleep(0.1)
    assert shares == before | {number: 0}
    project.run("promote", number)
    assert traffic.version_shares(lookup.endpoint(client)) == {number: 100}


def test_a_batch_goes_on_without_the_person(
    project: Project,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("island,sex,seen_by\nBiscoe,male,A\nDream,,B\n")
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", interrupt)
        parser = argparse.ArgumentParser()
        batch.add_arguments(parser)
        assert batch.run(client, parser.parse_args(["--file", str(file), "--allow-missing"])) == 130
    words = capsys.readouterr().out.partition("nox -s batch -- ")[2].partition("'")[0].split()
    with joined(project.run("batch", *words)).open(newline="") as rows:
        table = list(csv.DictReader(rows))
    assert [(row["island"], row["sex"], row["seen_by"]) for row in table] == [
        ("Biscoe", "male", "A"),
        ("Dream", "", "B"),
    ]
    assert all(row["predicted_label"] for row in table)


def joined(printed: str) -> Path:
    """Returns the file that `batch` says it wrote."""
    [path] = [
        line.partition(": ")[2] for line in printed.splitlines() if line.startswith("Joined: ")
    ]
    return Path(path)


def test_rows_are_joined_to_their_predictions_by_key(project: Project, tmp_path: Path) -> None:
    rows = [
        {"island": "Biscoe", "bill_length_mm": 46.1, "flipper_length_mm": 211, "year": 2007},
        {"island": "Biscoe", "bill_length_mm": "long", "flipper_length_mm": 230},
        {"island": "Dream", "body_mass_g": 3500.0, "sex": "female"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "has no feature bill_depth_mm. Use the names" in project.fail(
        "batch", "--file", str(file)
    )
    printed = project.run("batch", "--file", str(file), "--allow-missing")
    assert "2 rows predicted, 1 failed." in printed
    assert "bill_length_mm" in next(line for line in printed.splitlines() if "1 failed:" in line)
    results = [json.loads(line) for line in joined(printed).read_text().splitlines()]
    assert [result | row for row, result in zip(rows, results, strict=True)] == results
    assert [bool(result["prediction"]) for result in results] == [True, False, True]
    assert [("error" in result) for result in results] == [False, True, False]


def test_rows_in_the_bucket_are_joined_by_their_own_keys(project: Project, client: Client) -> None:
    for key, island in (("first", "Biscoe"), ("second", "Dream")):
        row = instances.whole(TABLES["penguins"], {"island": island}) | {"_key": key}
        client.bucket.blob(f"asked/rows-{key}.jsonl").upload_from_string(json.dumps(row))
    printed = project.run("batch", "--uri", f"gs://{client.bucket.name}/asked/rows-*.jsonl")
    results = [json.loads(line) for line in joined(printed).read_text().splitlines()]
    assert [row["island"] for row in results] == ["Biscoe", "Dream"]
    assert all(row["prediction"]["label"] for row in results)


def test_batch_and_online_predictions_agree(project: Project, tmp_path: Path) -> None:
    printed = project.run("batch")
    with joined(printed).open(newline="") as file:
        batched = [row["predicted_label"] for row in csv.DictReader(file)]
    test_file = project.folder / "data" / "penguins" / "test.csv"
    lines = project.run("predict", "--file", str(test_file)).splitlines()
    assert [json.loads(line)["label"] for line in lines] == batched
    assert "The scores are the same: the endpoint serves what was trained." in project.run(
        "evaluate"
    )


def test_the_contract_is_the_models_and_without_it_the_signature_tells(client: Client) -> None:
    version = lookup.version(client, "default")
    taken = contract.of_version(client, version)
    assert taken.table == TABLES["penguins"]
    assert taken.sample is not None
    assert taken.sample.keys() <= {column.name for column in TABLES["penguins"].columns}
    blob = client.blob(f"{version.artifact_uri}/{contract.FILE}")
    written = blob.download_as_bytes()
    assert json.loads(written)["outputs"].keys() == {"label", "probabilities"}
    blob.delete()
    try:
        again = contract.of_version(client, version)
        assert (again.table, again.sample) == (TABLES["penguins"], None)
        assert deployments.sample_instance(client, again).keys() == {
            column.name for column in TABLES["penguins"].columns
        }
        other = Client(dataclasses.replace(client.config, data_set=""))
        plain = contract.of_version(other, version)
        assert isinstance(plain, contract.PlainContract)
        assert plain.inputs["island"].kind == "text"
        assert plain.sample is not None
        assert plain.sample.keys() == plain.inputs.keys()
    finally:
        blob.upload_from_string(written)


def test_flags_of_features_make_an_instance(project: Project) -> None:
    printed = project.run("predict", "--island", "Biscoe", "--flipper-length-mm", "217")
    given: dict[str, Any] = {"island": "Biscoe", "flipper_length_mm": 217.0}
    assert json.dumps(TableContract(TABLES["penguins"]).body([given])) in printed
    label = json.loads(printed.splitlines()[-3])["label"]
    assert f"The model says {label} (" in printed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("island,year\nBiscoe,2007\nDream,soon\n", "line 3: year: expected a whole number"),
        ("island,year\nBiscoe\n", "line 2: expected 2 cells as in the first line, got 1"),
        ("island,year\nBiscoe,2007,3\n", "line 2: expected 2 cells as in the first line, got 3"),
        ("isle\nBiscoe\n", "line 1: expected columns among island, bill_length_mm,"),
        ("island,year\n", "expected instances, one object of features each, found none"),
    ],
)
def test_a_bad_table_is_named_with_its_line(
    client: Client, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text)
    for command in ("predict", "batch"):
        assert sentence in mistake(capsys, command, "--file", str(file), "--allow-missing")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("promote", "7"), "There is no version '7' of"),
        (("promote", "no-such-alias"), "There is no version 'no-such-alias' of"),
        (("deploy", "--traffic", "0"), "--traffic: expected 1 to 100 percent, got 0"),
        (("deploy", "--replicas", "0"), "--replicas: expected a number from 1, or two as in 1-4"),
        (("promote", "--replicas", "4-1"), "as in 1-4 or 0-4, got '4-1'"),
        (("load", "--rate", "0"), "--rate: expected more than 0 and up to 1000 requests a second"),
        (("load", "--rate", "nan"), "--rate: expected more than 0"),
        (("load", "--seconds", "inf"), "--seconds: expected more than 0"),
        (("load", "--rate", "1000", "--seconds", "101"), "at most 100,000 requests in all"),
        (("load", "--rows", "0"), "--rows: expected at least 1, got 0"),
        (("load", "--rows", "100000"), "100000 rows are more than a request may have"),
        (("evaluate", "7"), "There is no version '7' of"),
        (("evaluate", "--since", "7d"), "whose labels come in a file; add --labels FILE"),
        (("drift", "--since", "week"), "--since: expected a date or time such as 2026-11-20"),
        (
            ("predict", "--body-mass-g", "heavy"),
            "body_mass_g: expected a number (body",
        ),
        (("predict", "--body-mass-g", "inf"), "body_mass_g: expected a number (body"),
        (("predict", "--instance", '{"body_mass_g": 1e999}'), "Expected finite numbers"),
        (("predict", "--year", "2007", "--row", "1"), "got --row and flags of features; give one"),
        (("predict", "--file", "no-such.csv"), "no-such.csv cannot be used: No such file"),
        (
            ("predict", "--file", str(ROOT / "README.md")),
            "README.md: expected a file of .csv, .json, .jsonl",
        ),
        (("batch", "--to", "somewhere"), "--to: expected a gs:// URI, got 'somewhere'"),
        (("batch", "--replicas", "0"), "--replicas: expected at least 1, got 0"),
        (("batch", "--job", "7"), "There is no batch prediction job '7'"),
        (
            ("batch", "--job", "7", "--to", "gs://b/x"),
            "--job: cannot be combined with --uri, --to or",
        ),
        (("batch", "--uri", "gs://test-bucket/none-*"), "no object matches gs://test-bucket/none"),
        (("predict", "--file", "x.csv", "--all-versions"), "--all-versions: compares the answers"),
    ],
)
def test_a_mistake_gets_one_sentence(
    client: Client, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in mistake(capsys, *words)


def test_teardown_ends_what_runs_and_keeps_what_is_not_the_projects(
    project: Project, client: Client
) -> None:
    """The last test of this project. A batch prediction is cancelled, removed, and no obstacle."""
    for folder in ("", "notes/"):
        client.bucket.blob(f"{folder}mine.txt").upload_from_string("a person's own")
    endpoint = lookup.endpoint(client)
    [deployed] = endpoint.deployed_models
    nothing = SimpleNamespace(deployed_models=[])
    number = deployed_ids.version_of(client, nothing, deployed.id)
    assert number == deployed.model_version_id, "it is known once it is undeployed, too"
    assert deployed_ids.version_of(client, nothing, "0") == ""
    logs = request_log.place(client, endpoint)
    client.blob(f"{logs}2026-11-20.jsonl").upload_from_string("{}\n")
    machines = {"machine_spec": {"machine_type": "n1-standard-4"}}
    version = lookup.version(client, "default")
    uri = f"gs://{client.bucket.name}/rows.jsonl"
    client.blob(uri).upload_from_string("".join('{"key": "1", "year": 2007}\n' for _ in range(9)))
    for name in ("to-cancel", "to-remove"):
        request = batch_jobs.request(name, version, uri, f"{uri}/out", machines)
        client.jobs.create_batch_prediction_job(
            parent=client.config.location,
            batch_prediction_job=request | {"labels": client.config.labels},
        )
    ended = project.run("cancel", "--batch", "to-cancel")
    # Its rows lack features, so it fails where it is quicker.
    assert re.search(r"to-cancel: (cancelled|failed)|to-cancel has already ended", ended)

    costs = re.search(
        "✓ costs: none; on Google Cloud these would have some: (.*)", project.run("doctor")
    )
    assert costs is not None
    assert re.match(r"test_penguins version \d+, deployed, 1 x n1-standard-4", costs[1])
    listed = project.run("teardown", "--dry-run")
    # Other tests have put files of their own there too.
    kept = (
        r"It stays, with \d+ objects that the project did not create: .*mine\.txt, notes/mine\.txt"
    )
    assert re.search(kept, listed)
    removed = project.run("teardown", "--yes")
    assert "Removing batch prediction to-remove" in removed
    left = [blob.name for blob in client.storage.list_blobs("test-bucket")]
    assert {"mine.txt", "notes/mine.txt", "rows.jsonl"} <= set(left)
    assert not [
        name
        for name in left
        if name.startswith(("data/", "deployed/", "jobs/", "logging_", "packages/"))
    ]
    assert not list(client.models.list_models(parent=client.config.location))
    assert not list(client.jobs.list_batch_prediction_jobs(parent=client.config.location))
    assert experiments.find(client) is None
