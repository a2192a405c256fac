"""The whole emulator is killed again and again under a mixed load; what it acknowledged holds."""

import itertools
import json
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import object_load as objects
import requests
from batch_prediction import ENDED
from times_model import deploy, predict, upload_export

from vertex_emulator.testing.clients import LOCATION, Clients
from vertex_emulator.testing.running import start
from vertex_emulator.vertex.pipelines import CUSTOM_TASK

KILLS = 50
LOCATION = f"v1/{LOCATION}"
ROWS = 500


class Ledger:
    """What was acknowledged, over all kills.

    Attributes:
        jobs: names of custom jobs, each with the line that it prints.
        pipelines: names of training pipelines.
        operations: names of long-running operations.
        versions: how many versions were asked for, and how many were acknowledged.
        label: the endpoint's label may be one of these.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.pipelines: list[str] = []
        self.operations: list[str] = []
        self.versions_asked = self.versions_acknowledged = 0
        self.label: list[str] = ["first"]


class Caller(threading.Thread):
    """Calls Vertex AI until the emulator is gone."""

    def __init__(self, url: str, ledger: Ledger, endpoint: str, model: Any, round_: int) -> None:
        super().__init__()
        self._url, self._ledger = url, ledger
        self._endpoint, self._model, self._round = endpoint, model, round_
        self._session = requests.Session()

    def run(self) -> None:
        with self._session:
            try:
                self._submit()
                for number in itertools.count():
                    self._relabel(f"r{self._round}-{number}")
                    if number % 8 == 0:
                        self._upload()
            except requests.RequestException:
                return  # the emulator was killed

    def _call(self, method: str, path: str, body: Any) -> dict[str, Any]:
        answer = self._session.request(method, f"{self._url}/{path}", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def _submit(self) -> None:
        line = f"job of round {self._round}"
        container = {"imageUri": "any", "command": ["python", "-c", f"print({line!r})"]}
        pool = {
            "machineSpec": {"machineType": "n1-standard-4"},
            "replicaCount": "1",
            "containerSpec": container,
        }
        spec = {"workerPoolSpecs": [pool]}
        if self._round % 5:
            job = {"displayName": "durable", "jobSpec": spec}
            self._ledger.jobs[self._call("POST", f"{LOCATION}/customJobs", job)["name"]] = line
            return
        pipeline = {
            "displayName": "durable",
            "trainingTaskDefinition": CUSTOM_TASK,
            "trainingTaskInputs": spec,
            "modelToUpload": {"displayName": "durable", "artifactUri": "gs://models/2"},
        }
        made = self._call("POST", f"{LOCATION}/trainingPipelines", pipeline)
        self._ledger.pipelines.append(made["name"])

    def _relabel(self, value: str) -> None:
        self._ledger.label.append(value)
        path = f"v1/{self._endpoint}?updateMask=labels"
        self._call("PATCH", path, {"name": self._endpoint, "labels": {"at": value}})
        self._ledger.label = [value]

    def _upload(self) -> None:
        self._ledger.versions_asked += 1
        body = {"model": self._model, "parentModel": self._model["name"]}
        operation = self._call("POST", f"{LOCATION}/models:upload", body)
        self._ledger.versions_acknowledged += 1
        self._ledger.operations.append(operation["name"])


def check(clients: Clients, ledger: Ledger, endpoint: str, model: str) -> None:
    """Compares what there is with what was acknowledged."""
    listed = {job.name for job in clients.jobs.list_custom_jobs(parent=clients.location)}
    assert ledger.jobs.keys() <= listed
    label = clients.endpoints.get_endpoint(name=endpoint).labels["at"]
    assert label in ledger.label
    ledger.label = [label]
    versions = len(list(clients.models.list_model_versions(name=model)))
    # The first one was there before.
    assert ledger.versions_acknowledged < versions <= ledger.versions_asked + 1
    for name in ledger.operations:
        answer = requests.get(f"{clients.url}/v1/{name}", timeout=60).json()
        assert answer.get("done"), answer
        assert "error" not in answer
    ledger.operations.clear()


def start_batch(clients: Clients, model: str) -> str:
    text = "".join(
        json.dumps({"key": str(number), "x": float(number)}) + "\n" for number in range(ROWS)
    )
    clients.storage.bucket("models").blob("rows.jsonl").upload_from_string(text)
    job = {
        "display_name": "durable",
        "model": f"{model}@1",
        "input_config": {
            "instances_format": "jsonl",
            "gcs_source": {"uris": ["gs://models/rows.jsonl"]},
        },
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": "gs://models/out"},
        },
        "instance_config": {"key_field": "key"},
        "dedicated_resources": {"machine_spec": {"machine_type": "n1-standard-4"}},
    }
    created = clients.jobs.create_batch_prediction_job(
        parent=clients.location, batch_prediction_job=job
    )
    name: str = created.name
    return name


def lines_of(clients: Clients, job: str) -> list[str]:
    """Returns what a job printed, as its log has it."""
    condition = f'resource.labels.job_id="{job.rpartition("/")[2]}"'
    body = {"resourceNames": ["projects/test-project"], "filter": condition, "pageSize": 1000}
    answer = requests.post(f"{clients.url}/v2/entries:list", json=body, timeout=60).json()
    payloads = [entry.get("jsonPayload", {}).get("message") for entry in answer.get("entries", [])]
    texts = [entry.get("textPayload") for entry in answer.get("entries", [])]
    return [line for line in (*payloads, *texts) if line and line.startswith("job of round")]


def check_pipelines(clients: Clients, acknowledged: list[str]) -> None:
    """Waits for the pipelines: each has had one job, and has one model."""
    names: Counter[str] = Counter()
    url = f"{clients.url}/{LOCATION}/trainingPipelines"
    while pipelines := requests.get(url, timeout=60).json()["trainingPipelines"]:
        if all("endTime" in each for each in pipelines):
            break
        time.sleep(0.1)
    assert {each["name"] for each in pipelines} >= set(acknowledged)
    assert {each["state"] for each in pipelines} == {"PIPELINE_STATE_SUCCEEDED"}, pipelines
    for job in clients.jobs.list_custom_jobs(parent=clients.location):
        names[job.display_name] += 1
    assert names["durable-custom-job"] == len(pipelines)
    trained = {
        model.training_pipeline
        for model in clients.models.list_models(parent=clients.location)
        if model.display_name == "durable"
    }
    assert trained == {each["name"] for each in pipelines}


def eventually_predicts(clients: Clients, endpoint: str) -> None:
    body = {"instances": [{"x": 4.0}]}
    while (answer := predict(clients, endpoint, body)).status_code != 200:
        assert answer.status_code in (429, 503), answer.text  # it is being started again
        time.sleep(0.1)
    assert answer.json()["predictions"] == [{"y": 8.0, "twice": 8.0}]


def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path, exports: Path) -> None:
    ledger = Ledger()
    expected = {
        f"worker {number}/{letter}": objects.Expected() for number in range(2) for letter in "abc"
    }
    running = start(tmp_path)
    clients = Clients(running.url)
    clients.storage.create_bucket("load")
    clients.storage.create_bucket("models", location="us-central1")
    model = upload_export(clients, exports / "2", "gs://models/2").model
    described = {
        "name": model,
        "displayName": "times",
        "artifactUri": "gs://models/2",
        "containerSpec": {"imageUri": "us-docker.pkg.dev/p/tensorflow/serving:2.19.1"},
    }
    created = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "durable", "labels": {"at": "first"}}
    )
    endpoint = created.result(timeout=60).name
    deploy(clients, endpoint, f"{model}@1", {"0": 100})
    batch = ""
    for kill in range(KILLS):
        if kill == KILLS // 2:
            eventually_predicts(clients, endpoint)
            batch = start_batch(clients, model)
        workers = [objects.Worker(running.url, number, expected, kill) for number in range(2)]
        caller = Caller(running.url, ledger, endpoint, described, kill)
        for thread in (*workers, caller):
            thread.start()
        time.sleep(random.uniform(0.02, 0.5))  # noqa: S311, no secret
        running.process.kill()
        running.process.wait()
        for thread in (*workers, caller):
            thread.join()
        for worker in workers:
            assert not worker.problems
        running = start(tmp_path)
        clients = Clients(running.url)
        objects.check(running.url, expected)
        check(clients, ledger, endpoint, model)

    eventually_predicts(clients, endpoint)
    states: Counter[str] = Counter()
    for name, line in ledger.jobs.items():
        while (job := clients.jobs.get_custom_job(name=name)).state.name not in ENDED:
            time.sleep(0.1)
        states[job.state.name] += 1
        assert lines_of(clients, name) == [line], job
    assert states == {"JOB_STATE_SUCCEEDED": len(ledger.jobs)}
    check_pipelines(clients, ledger.pipelines)
    while (job := clients.jobs.get_batch_prediction_job(name=batch)).state.name not in ENDED:
        time.sleep(0.1)
    folder = job.output_info.gcs_output_directory.removeprefix("gs://models/")
    blobs = clients.storage.list_blobs("models", prefix=f"{folder}/prediction.results-")
    rows = [json.loads(line) for blob in blobs for line in blob.download_as_text().splitlines()]
    assert [row["key"] for row in rows] == [str(number) for number in range(ROWS)]
    running.stop()
