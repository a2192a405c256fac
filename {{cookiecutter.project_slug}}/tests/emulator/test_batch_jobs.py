"""Batch prediction jobs, through Google's own clients: every row once, in order, or why not."""

import base64
import gzip
import json
import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import psutil
import pytest
import requests
from google.api_core import exceptions

from tests.conftest import Clients, RunningEmulator, start_emulator
from tests.emulator.discovery import validator
from tests.emulator.test_endpoints import upload_export
from tests.emulator.test_endpoints_under_load import running_pids

# Made in a process of its own, to keep TensorFlow out of this one:
# - price: two named inputs; row-wise, so that a row's neighbours do not matter.
# - total: one input of three numbers a row.
# - text: one string; "wait:FILE" does not answer before the file exists.
EXPORT = """
import sys, tensorflow as tf

def price(hours, carrier):
    return {"price": hours * tf.where(carrier == "UA", 0.5, 1.0), "twice": 2 * hours}

def total(values):
    return {"sum": tf.reduce_sum(values, axis=1)}

def text(data):
    gates = tf.where(tf.strings.regex_full_match(data, "wait:.*"), data, "wait:/")
    def closed(_turns):
        missing = lambda gate: tf.size(tf.io.matching_files(tf.strings.substr(gate, 5, -1))) == 0
        return tf.reduce_any(tf.map_fn(missing, gates, fn_output_signature=tf.bool))
    turns = tf.while_loop(closed, lambda n: (n + 1,), (tf.constant(0),))
    with tf.control_dependencies(turns):
        return {"size": tf.strings.length(data)}

def column(dtype, *sizes):
    return tf.TensorSpec([None, *sizes], dtype)

for function, specs in {
    price: [column(tf.float32), column(tf.string)],
    total: [column(tf.float32, 3)],
    text: [column(tf.string)],
}.items():
    signature = tf.function(function, input_signature=specs)
    folder = f"{sys.argv[1]}/{function.__name__}/1"
    tf.saved_model.save(tf.Module(), folder, signatures=signature)
"""
ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch-exports")
    subprocess.run([sys.executable, "-c", EXPORT, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def models(clients: Clients, exports: Path) -> dict[str, str]:
    """Resource names of the uploaded models; jobs read from and write to the bucket `batch`."""
    clients.storage.create_bucket("batch-bucket", location="us-central1")
    return {
        name: upload_export(clients, exports / name, f"gs://batch-bucket/models/{name}").model
        for name in ("price", "total", "text")
    }


def put(clients: Clients, name: str, data: bytes | str, bucket: str = "batch-bucket") -> str:
    clients.storage.bucket(bucket).blob(name).upload_from_string(data)
    return f"gs://{bucket}/{name}"


def jsonl(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def flights(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {"hours": float(number), "carrier": "UA" if number % 2 else "DL"}
        for number in range(first, first + count)
    ]


def prices(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    return [
        {
            "price": row["hours"] * (0.5 if row["carrier"] == "UA" else 1),
            "twice": 2 * row["hours"],
        }
        for row in rows
    ]


def job_of(model: str, uris: list[str], instances: str = "jsonl", **fields: Any) -> dict[str, Any]:
    return {
        "display_name": "test-batch",
        "model": model,
        "input_config": {"instances_format": instances, "gcs_source": {"uris": uris}},
        "output_config": {
            "predictions_format": "jsonl",
            "gcs_destination": {"output_uri_prefix": "gs://batch-bucket/out"},
        },
        "dedicated_resources": {"machine_spec": {"machine_type": "n1-standard-4"}},
    } | fields


def create(clients: Clients, job: dict[str, Any]) -> Any:
    return clients.jobs.create_batch_prediction_job(
        parent=clients.location, batch_prediction_job=job
    )


def wait(clients: Clients, name: str, *states: str) -> Any:
    while True:
        job = clients.jobs.get_batch_prediction_job(name=name)
        if job.state.name in (states or ENDED):
            return job
        assert job.state.name not in ENDED, job
        time.sleep(0.05)


def run(clients: Clients, job: dict[str, Any]) -> Any:
    return wait(clients, create(clients, job).name)


def output(clients: Clients, job: Any, kind: str = "results") -> list[dict[str, Any]]:
    """The lines of all files of a kind, in the order of their names."""
    bucket, _, prefix = job.output_info.gcs_output_directory.removeprefix("gs://").partition("/")
    blobs = list(clients.storage.list_blobs(bucket, prefix=f"{prefix}/prediction.{kind}-"))
    names = [blob.name.rpartition("/")[2] for blob in blobs]
    count = len(names)
    assert names == [f"prediction.{kind}-{n:05d}-of-{count:05d}" for n in range(count)]
    text = "".join(blob.download_as_text() for blob in blobs)
    return [json.loads(line) for line in text.splitlines()]


def counts(job: Any) -> tuple[int, int, int]:
    stats = job.completion_stats
    return stats.successful_count, stats.failed_count, stats.incomplete_count


def test_rows_of_several_files_keep_their_order(clients: Clients, models: dict[str, str]) -> None:
    rows = flights(9000)
    put(clients, "order/b-2.jsonl", jsonl(rows[5000:]))
    put(clients, "order/b-1.jsonl", jsonl(rows[:5000]))
    put(clients, "order/b-1.txt", "not asked for")
    put(clients, "order/deep/b-3.jsonl", "not asked for")
    last = put(clients, "order/a.jsonl", jsonl(flights(1, 9000)))
    created = create(clients, job_of(models["price"], ["gs://batch-bucket/order/b-*.jsonl", last]))
    assert created.state.name in ("JOB_STATE_QUEUED", "JOB_STATE_PENDING")
    job = wait(clients, created.name)
    assert job.state.name == "JOB_STATE_SUCCEEDED", job
    assert job.create_time <= job.start_time <= job.end_time
    assert job.model_version_id == "1"
    assert job.output_info.gcs_output_directory.startswith(
        "gs://batch-bucket/out/prediction-times-20"
    )
    rows += flights(1, 9000)
    lines = output(clients, job)
    assert [line["instance"] for line in lines] == rows
    assert [line["prediction"] for line in lines] == prices(rows)
    assert output(clients, job, "errors_stats") == []
    assert counts(job) == (9001, 0, 0)


def test_the_sdk_predicts_in_batches(
    clients: Clients, models: dict[str, str], monkeypatch: pytest.MonkeyPatch
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
    job = aiplatform.Model(models["price"]).batch_predict(
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


def test_bad_rows_are_kept_aside_with_line_and_reason(
    clients: Clients, models: dict[str, str]
) -> None:
    good = flights(600)
    lines = [json.dumps(row) for row in good]
    lines[100:100] = ['{"hours": 1.0, "carrier"', '{"hours": "late", "carrier": "UA"}', ""]
    lines[300:300] = ['{"hours": 2.0}', '{"hours": 3.0, "carrier": "UA"}, {}']
    source = put(clients, "bad/in.jsonl", "\n".join(lines))
    job = run(clients, job_of(models["price"], [source]))
    assert job.state.name == "JOB_STATE_SUCCEEDED", job
    assert [line["instance"] for line in output(clients, job)] == good
    errors = output(clients, job, "errors_stats")
    expected = [
        ('{"hours": 1.0, "carrier"', "row 101:", "no JSON"),
        ({"hours": "late", "carrier": "UA"}, "row 102:", "hours"),
        ({"hours": 2.0}, "row 301:", "carrier"),
        ('{"hours": 3.0, "carrier": "UA"}, {}', "row 302:", "no JSON"),
    ]
    assert len(errors) == len(expected)
    for error, (instance, place, reason) in zip(errors, expected, strict=True):
        assert error["instance"] == instance
        assert error["error"]["code"] == 3
        assert f"{source}, {place}" in error["error"]["message"]
        assert reason in error["error"]["message"]
    assert counts(job) == (600, 4, 0)


def test_where_no_row_succeeds_the_job_fails(clients: Clients, models: dict[str, str]) -> None:
    source = put(clients, "none/in.jsonl", jsonl([{"hour": 1}] * 3))
    job = run(clients, job_of(models["price"], [source]))
    assert job.state.name == "JOB_STATE_FAILED"
    assert f"No row could be predicted. The first: {source}, row 1:" in job.error.message
    assert len(output(clients, job, "errors_stats")) == 3
    assert counts(job) == (0, 3, 0)


def test_keys_and_fields(clients: Clients, models: dict[str, str]) -> None:
    rows = [{"id": f"flight-{n}", "note": None, **row} for n, row in enumerate(flights(50))]
    source = put(clients, "keys/in.jsonl", jsonl([*rows, {"hours": 1.0, "carrier": "UA"}]))
    keyed = run(
        clients,
        job_of(
            models["price"],
            [source],
            instance_config={"key_field": "id", "excluded_fields": ["note"]},
        ),
    )
    lines = output(clients, keyed)
    assert [set(line) for line in lines] == [{"key", "prediction"}] * 50
    assert [line["key"] for line in lines] == [row["id"] for row in rows]
    assert [line["prediction"] for line in lines] == prices(rows)
    [error] = output(clients, keyed, "errors_stats")
    assert "row 51: the key field 'id' is missing" in error["error"]["message"]

    included = {"included_fields": ["hours", "carrier"]}
    job = run(clients, job_of(models["price"], [source], instance_config=included))
    lines = output(clients, job)
    assert [line["instance"] for line in lines[:50]] == rows
    assert counts(job) == (51, 0, 0)

    numbers = put(clients, "keys/numbers.jsonl", jsonl([{"c": 3, "a": 1, "b": 2, "d": 9}]))
    array = {"included_fields": ["a", "b", "c"], "instance_type": "array"}
    job = run(clients, job_of(models["total"], [numbers], instance_config=array))
    [line] = output(clients, job)
    assert line == {"instance": {"c": 3, "a": 1, "b": 2, "d": 9}, "prediction": 6.0}


def test_csv_rows_are_arrays(clients: Clients, models: dict[str, str]) -> None:
    source = put(
        clients,
        "csv/in.csv",
        '"a","b","c"\r\n1,2.5,3\r\n\r\n4,five,6\r\n7,8\r\n"9",1,1\r\n-1,1e3,0',
    )
    job = run(clients, job_of(models["total"], [source], "csv"))
    assert output(clients, job) == [
        {"instance": [1, 2.5, 3], "prediction": 6.5},
        {"instance": [-1, 1000.0, 0], "prediction": 999.0},
    ]
    errors = output(clients, job, "errors_stats")
    messages = [error["error"]["message"] for error in errors]
    assert f"{source}, row 4: column 'b': expected a number" in messages[0]
    assert f"{source}, row 5: expected 3 cells as in the header, got 2" in messages[1]
    assert f"{source}, row 6: " in messages[2]
    assert counts(job) == (2, 3, 0)

    keyed = put(clients, "csv/keyed.csv", 'a,id,b,c\n1,"x, ""y""",2,3\n4,"z",5,6\n')
    job = run(clients, job_of(models["total"], [keyed], "csv", instance_config={"key_field": "id"}))
    assert output(clients, job) == [
        {"key": 'x, "y"', "prediction": 6.0},
        {"key": "z", "prediction": 15.0},
    ]
    job = run(clients, job_of(models["total"], [keyed], "csv", instance_config={"key_field": "i"}))
    assert job.state.name == "JOB_STATE_FAILED"
    assert f"{keyed}: the header has no column 'i'" in job.error.message


def tf_record(data: bytes) -> bytes:
    """As https://www.tensorflow.org/tutorials/load_data/tfrecord describes it."""

    def masked(part: bytes) -> bytes:
        crc = google_crc32c.value(part)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def test_tf_records_are_sent_as_bytes(clients: Clients, models: dict[str, str]) -> None:
    texts = [b"a" * n + b"\xff\n" for n in range(30)]
    whole = b"".join(map(tf_record, texts))
    damaged = bytearray(tf_record(b"damaged"))
    damaged[14] ^= 1
    sources = {
        "tf-record": put(clients, "tf/in.tfrecord", whole + damaged + tf_record(b"end") + b"\x07"),
        "tf-record-gzip": put(clients, "tf/in.gz", gzip.compress(whole)),
    }
    for kind, source in sources.items():
        job = run(clients, job_of(models["text"], [source], kind))
        lines = output(clients, job)
        found = [base64.b64decode(line["instance"]["b64"]) for line in lines]
        assert found == texts + ([b"end"] if kind == "tf-record" else [])
        assert [line["prediction"] for line in lines] == list(map(len, found))
        messages = [each["error"]["message"] for each in output(clients, job, "errors_stats")]
        if kind == "tf-record-gzip":
            assert messages == []
        else:
            assert f"{source}, row 31: the data of the record is damaged" in messages[0]
            assert f"{source}, row 33: the file ends within a record" in messages[1]


def test_file_lists_are_fetched(clients: Clients, models: dict[str, str]) -> None:
    uris = [put(clients, f"files/{n}.bin", b"\x00" * n) for n in range(5)]
    listed = put(
        clients, "files/list.txt", "\n".join([*uris[:3], "gs://batch-bucket/no", *uris[3:]])
    )
    job = run(clients, job_of(models["text"], [listed], "file-list"))
    assert output(clients, job) == [
        {"instance": uri, "prediction": number} for number, uri in enumerate(uris)
    ]
    [error] = output(clients, job, "errors_stats")
    assert f"{listed}, row 4: there is no object gs://batch-bucket/no" in error["error"]["message"]


@pytest.fixture
def waiting(clients: Clients, models: dict[str, str], tmp_path: Path) -> Iterator[tuple[Any, Path]]:
    """A job that does 18 rows, and waits for a file before it does the last three.

    The last waits for the file, and may hold up the two others that are with the model then.
    """
    gate = tmp_path / "gate"
    rows = ["row"] * 20 + [f"wait:{gate}"]
    source = put(clients, "waiting/in.jsonl", jsonl(rows))
    tuning = {"batch_size": 1}
    job = create(clients, job_of(models["text"], [source], manual_batch_tuning_parameters=tuning))
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


def test_lists_filter_and_page_and_forget(clients: Clients, models: dict[str, str]) -> None:
    source = put(clients, "listed/in.jsonl", jsonl(flights(1)))
    names = [
        run(
            clients,
            job_of(models["price"], [source])
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
    clients: Clients, models: dict[str, str], change: dict[str, Any], message: str
) -> None:
    source = put(clients, "refused/in.jsonl", jsonl(flights(1)))
    with pytest.raises(exceptions.BadRequest, match=message):
        create(clients, job_of(models["price"], [source]) | change)


def test_what_is_not_there_is_not_found(clients: Clients, models: dict[str, str]) -> None:
    source = put(clients, "refused/in.jsonl", jsonl(flights(1)))
    with pytest.raises(exceptions.NotFound, match="Model version does not exist"):
        create(clients, job_of(models["price"] + "@7", [source]))
    csv = job_of(models["price"], [source], "csv", instance_config={"instance_type": "object"})
    with pytest.raises(exceptions.BadRequest, match="instanceType: does not apply to csv"):
        create(clients, csv)


def test_requests_fit_googles_description(clients: Clients, models: dict[str, str]) -> None:
    """The wire itself, without a client: enums by name, numbers of 64 bits as text."""
    source = put(clients, "wire/in.jsonl", jsonl(flights(2)))
    body = {
        "displayName": "wire",
        "model": models["price"] + "@default",
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


def test_a_killed_job_goes_on(exports: Path, tmp_path: Path) -> None:
    """The emulator or a replica killed with -9 at random moments: each row once, in order."""
    rows = flights(50_000)
    bad = [7_777, 12_000, 49_999]
    for place in bad:
        rows[place] = {"hours": "late", "carrier": "UA"}
    chance = random.Random(5)  # noqa: S311, no secret
    running: RunningEmulator = start_emulator(tmp_path / "data")
    try:
        clients = Clients(running.url)
        clients.storage.create_bucket("batch-bucket", location="us-central1")
        model = upload_export(clients, exports / "price", "gs://batch-bucket/m").model
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
                victim = min(running_pids(running, job.name.rpartition("/")[2]))
                psutil.Process(victim).kill()
                continue
            running.process.kill()
            running.process.wait()
            running = start_emulator(tmp_path / "data")
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
