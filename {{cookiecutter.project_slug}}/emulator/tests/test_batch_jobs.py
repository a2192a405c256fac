"""Batch prediction jobs, through Google's own clients: their states, lists and refusals."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from batch_prediction import (
    ENDED,
    counts,
    create,
    flights,
    job_of,
    jsonl,
    output,
    prices,
    put,
    run,
    wait,
)
from google.api_core import exceptions
from times_model import running_pids, upload_export

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.discovery import validator
from vertex_emulator.testing.running import RunningEmulator, start


def test_the_sdk_predicts_in_batches(
    clients: Clients, batch_models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform
    from google.cloud.aiplatform import jobs as sdk_jobs

    monkeypatch.setattr(sdk_jobs, "_JOB_WAIT_TIME", 0.1, raising=False)
    aiplatform.init(
        project="test-project",
        location="us-central1",
        api_endpoint=clients.url,
        api_transport="rest",
        credentials=AnonymousCredentials(),
    )
    source = put(clients, "sdk/in.jsonl", jsonl(flights(10)))
    job = aiplatform.Model(batch_models["price"]).batch_predict(
        job_display_name="sdk",
        gcs_source=source,
        gcs_destination_prefix="gs://batch-bucket/sdk/out",
        machine_type="n1-standard-2",
    )
    assert job.completion_stats.successful_count == 10
    names = sorted(blob.name.rpartition("/")[2] for blob in job.iter_outputs())
    assert names == [
        "prediction.errors_stats-00000-of-00001",
        "prediction.results-00000-of-00001",
    ]


@pytest.fixture
def waiting(
    clients: Clients, batch_models: dict[str, str], tmp_path: Path
) -> Iterator[tuple[Any, Path]]:
    """A job that does 18 rows, and waits for a file before it does the last three.

    The last waits for the file, and may hold up the two others that are with the model then.
    """
    gate = tmp_path / "gate"
    rows = ["row"] * 20 + [f"wait:{gate}"]
    source = put(clients, "waiting/in.jsonl", jsonl(rows))
    tuning = {"batch_size": 1}
    job = create(
        clients, job_of(batch_models["text"], [source], manual_batch_tuning_parameters=tuning)
    )
    wait(clients, job.name, "JOB_STATE_RUNNING")
    yield job, gate
    gate.touch()
    wait(clients, job.name)


def test_progress_shows_while_the_job_runs(clients: Clients, waiting: tuple[Any, Path]) -> None:
    job, gate = waiting
    while counts(job)[0] < 18:
        job = clients.jobs.get_batch_prediction_job(name=job.name)
        assert job.state.name == "JOB_STATE_RUNNING", job
        assert sum(counts(job)) == 21
        time.sleep(0.05)
    assert output(clients, job) == []  # nothing is there before all is
    with pytest.raises(exceptions.BadRequest, match="cancel it before deleting"):
        clients.jobs.delete_batch_prediction_job(name=job.name)
    gate.touch()
    job = wait(clients, job.name)
    assert (job.state.name, counts(job)) == ("JOB_STATE_SUCCEEDED", (21, 0, 0))


def test_a_cancelled_job_writes_nothing(clients: Clients, waiting: tuple[Any, Path]) -> None:
    job, _gate = waiting
    clients.jobs.cancel_batch_prediction_job(name=job.name)
    job = wait(clients, job.name)
    assert job.state.name == "JOB_STATE_CANCELLED"
    assert job.error.code == 1
    assert output(clients, job) == output(clients, job, "errors_stats") == []
    clients.jobs.cancel_batch_prediction_job(name=job.name)
    assert wait(clients, job.name).state.name == "JOB_STATE_CANCELLED"


def test_lists_filter_and_page_and_forget(clients: Clients, batch_models: dict[str, str]) -> None:
    source = put(clients, "listed/in.jsonl", jsonl(flights(1)))
    names = [
        run(
            clients,
            job_of(batch_models["price"], [source])
            | {"display_name": f"listed-{n}", "labels": {"kind": "listed"}},
        ).name
        for n in range(3)
    ]

    def listed(condition: str, **request: Any) -> list[str]:
        found = clients.jobs.list_batch_prediction_jobs(
            request={"parent": clients.location, "filter": condition, **request}
        )
        return [each.name for each in found]

    kind = 'labels.kind="listed"'
    assert listed(kind) == names[::-1]
    assert listed(kind, page_size=1) == names[::-1]
    assert listed(f'{kind} AND NOT display_name="listed-1"') == names[::-2]
    assert listed(f'{kind} AND model_display_name="times"') == names[::-1]
    assert listed(f'{kind} AND state="JOB_STATE_FAILED"') == []
    clients.jobs.delete_batch_prediction_job(name=names[1]).result(timeout=60)
    assert listed(kind) == names[::-2]
    with pytest.raises(exceptions.NotFound, match="BatchPredictionJob does not exist"):
        clients.jobs.get_batch_prediction_job(name=names[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"display_name": ""}, "displayName: expected 1 to 128 characters"),
        ({"model": "models/1"}, "model: expected projects/test-project/locations/us-central1"),
        ({"dedicated_resources": {}}, "machineType: expected one"),
        ({"input_config": {"instances_format": "xml"}}, "instancesFormat: expected one of jsonl"),
        ({"input_config": {"instances_format": "jsonl"}}, "expected at least one gs:// URI"),
        (
            {
                "input_config": {
                    "instances_format": "jsonl",
                    "gcs_source": {"uris": ["gs://batch-bucket/nothing-*.jsonl"]},
                }
            },
            r"no object matches gs://batch-bucket/nothing-\*.jsonl",
        ),
        (
            {
                "input_config": {
                    "instances_format": "jsonl",
                    "gcs_source": {"uris": ["gs://batch-bucket/nothing.jsonl"]},
                }
            },
            "there is no object gs://batch-bucket/nothing.jsonl",
        ),
        (
            {
                "output_config": {
                    "predictions_format": "jsonl",
                    "gcs_destination": {"output_uri_prefix": "gs://no-bucket/out"},
                }
            },
            "outputUriPrefix: expected gs://BUCKET/… of a bucket here, got 'gs://no-bucket/out'",
        ),
        ({"output_config": {"predictions_format": "xml"}}, "predictionsFormat: expected one of"),
        (
            {"instance_config": {"included_fields": ["a"], "excluded_fields": ["b"]}},
            "includedFields or excludedFields, got both",
        ),
        ({"instance_config": {"instance_type": "tuple"}}, "expected 'object' or 'array'"),
    ],
)
def test_a_malformed_job_is_refused(
    clients: Clients, batch_models: dict[str, str], change: dict[str, Any], message: str
) -> None:
    source = put(clients, "refused/in.jsonl", jsonl(flights(1)))
    with pytest.raises(exceptions.BadRequest, match=message):
        create(clients, job_of(batch_models["price"], [source]) | change)


def test_what_is_not_there_is_not_found(clients: Clients, batch_models: dict[str, str]) -> None:
    source = put(clients, "refused/in.jsonl", jsonl(flights(1)))
    with pytest.raises(exceptions.NotFound, match="Model version does not exist"):
        create(clients, job_of(batch_models["price"] + "@7", [source]))
    csv = job_of(
        batch_models["price"], [source], "csv", instance_config={"instance_type": "object"}
    )
    with pytest.raises(exceptions.BadRequest, match="instanceType: does not apply to csv"):
        create(clients, csv)


def test_requests_fit_googles_description(clients: Clients, batch_models: dict[str, str]) -> None:
    """The wire itself, without a client: enums by name, numbers of 64 bits as text."""
    source = put(clients, "wire/in.jsonl", jsonl(flights(2)))
    body = {
        "displayName": "wire",
        "model": batch_models["price"] + "@default",
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [source]}},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": "gs://batch-bucket/wire/"},
        },
        "dedicatedResources": {"machineSpec": {"machineType": "n1-standard-2"}},
    }
    api = validator("aiplatform.v1")
    api.check("GoogleCloudAiplatformV1BatchPredictionJob", body)
    url = f"{clients.url}/v1/{clients.location}/batchPredictionJobs"
    made = requests.post(url, json=body, timeout=60).json()
    done = wait(clients, made["name"])
    assert done.output_info.gcs_output_directory.startswith("gs://batch-bucket/wire/prediction-")
    answer = requests.get(f"{clients.url}/v1/{made['name']}", timeout=60).json()
    api.check("GoogleCloudAiplatformV1BatchPredictionJob", answer)
    assert answer["completionStats"] == {
        "successfulCount": "2",
        "failedCount": "0",
        "incompleteCount": "0",
    }


def test_the_emulator_ends_while_replicas_start(batch_exports: Path, tmp_path: Path) -> None:
    running = start(tmp_path / "data")
    try:
        clients = Clients(running.url)
        clients.storage.create_bucket("batch-bucket", location="us-central1")
        model = upload_export(clients, batch_exports / "price", "gs://batch-bucket/m").model
        put(clients, "in/1.jsonl", jsonl(flights(100)))
        job = create(clients, job_of(model, ["gs://batch-bucket/in/*"]))
        while not running_pids(running, job.name.rpartition("/")[2]):
            time.sleep(0.01)
        running.stop()
        running = start(tmp_path / "data")
        job = wait(Clients(running.url), job.name)
        assert (job.state.name, counts(job)) == ("JOB_STATE_SUCCEEDED", (100, 0, 0))
    finally:
        running.stop()


def test_a_killed_job_goes_on(batch_exports: Path, tmp_path: Path) -> None:
    """The emulator or a replica killed with -9 at random moments: each row once, in order."""
    rows = flights(50_000)
    bad = [7_777, 12_000, 49_999]
    for place in bad:
        rows[place] = {"hours": "late", "carrier": "UA"}
    chance = random.Random(5)  # noqa: S311, no secret
    running: RunningEmulator = start(tmp_path / "data")
    try:
        clients = Clients(running.url)
        clients.storage.create_bucket("batch-bucket", location="us-central1")
        model = upload_export(clients, batch_exports / "price", "gs://batch-bucket/m").model
        put(clients, "in/1.jsonl", jsonl(rows[:12_000]))
        put(clients, "in/2.jsonl", jsonl(rows[12_000:]))
        tuning = {"batch_size": 8}
        job = create(
            clients,
            job_of(model, ["gs://batch-bucket/in/*"], manual_batch_tuning_parameters=tuning),
        )
        reached = 0
        for kill in range(9):
            while counts(job)[0] <= reached:
                job = clients.jobs.get_batch_prediction_job(name=job.name)
                assert job.state.name not in ENDED, "it ended before it was killed; add rows"
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.3))
            reached = counts(job)[0]
            if kill % 3 == 2:
                while not (victims := running_pids(running, job.name.rpartition("/")[2])):
                    time.sleep(0.01)  # another takes the place of one that is gone
                psutil.Process(min(victims)).kill()
                continue
            running.process.kill()
            running.process.wait()
            running = start(tmp_path / "data")
            clients = Clients(running.url)
            job = clients.jobs.get_batch_prediction_job(name=job.name)
            assert counts(job)[0] >= reached
        job = wait(clients, job.name)
        good = [row for place, row in enumerate(rows) if place not in bad]
        assert (job.state.name, counts(job)) == ("JOB_STATE_SUCCEEDED", (len(good), 3, 0))
        messages = [line["error"]["message"] for line in output(clients, job, "errors_stats")]
        places = [message.partition(": ")[0].rpartition("/")[2] for message in messages]
        assert places == ["1.jsonl, row 7778", "2.jsonl, row 1", "2.jsonl, row 38000"]
        lines = output(clients, job)
        assert [line["instance"] for line in lines] == good
        assert [line["prediction"] for line in lines] == prices(good)
    finally:
        running.stop()
