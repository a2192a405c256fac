"""Batch prediction jobs of the tests: models, rows, and what becomes of them."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from vertex_emulator.testing.clients import Clients

# Made in a process of its own, to keep TensorFlow out of this one:
# - price: two named inputs; row-wise, so that a row's neighbours do not matter.
# - total: one input of three numbers a row.
# - share: one number; mixes the rows of a call. `marked` says that it does not, which is a lie
#   that shows how many rows are in a call.
# - seats: one whole number.
# - text: one string; "wait:FILE" does not answer before the file exists.
EXPORT = """
import sys, tensorflow as tf

def price(hours, carrier):
    return {"price": hours * tf.where(carrier == "UA", 0.5, 1.0), "twice": 2 * hours}

def total(values):
    return {"sum": tf.reduce_sum(values, axis=1)}

def share(x):
    return {"share": tf.nn.softmax(x, axis=0)}

def marked(x):
    return share(x)

def seats(count):
    return {"twice": 2 * count}

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
    share: [column(tf.float32)],
    marked: [column(tf.float32)],
    seats: [column(tf.int64)],
    text: [column(tf.string)],
}.items():
    signature = tf.function(function, input_signature=specs)
    folder = f"{sys.argv[1]}/{function.__name__}/1"
    tf.saved_model.save(tf.Module(), folder, signatures=signature)
    if function is marked:
        open(f"{folder}/batching_params.pbtxt", "w").close()
"""
ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


def write_exports(folder: Path) -> None:
    """Writes a folder with a SavedModel for each function of `EXPORT`."""
    subprocess.run([sys.executable, "-c", EXPORT, folder], check=True, capture_output=True)


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
