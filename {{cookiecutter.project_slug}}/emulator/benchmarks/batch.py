"""nox -s bench_batch

Batch prediction with a model of 14 features (see `benchmarks/saved_models.py`), JSON in and JSON
out, in one run: the loop that people write first, the same loop written with care, and the
emulator's batch prediction, beside the bare call of the model's signature on tensors that are
ready, which is the limit. Takes about two minutes on two cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table as Printed

from benchmarks import saved_models
from benchmarks.servers import ROOT, post, process, upload

ROWS = 2_000_000
DIFFERENT_ROWS = 100_000  # then they come again
FEATURES = 14
NAIVE_ROWS = 60_000  # of a way that would take minutes for all
REPEATS = 3  # the best counts
INTERVAL = 0.05  # s between looks at the job; more frequent ones cost time that is measured
LIMIT_BATCH = 4_096

Way = Callable[[Path, Path], float]


def naive(model: Path, rows: Path) -> float:
    """The loop of the tutorials: json, 32 rows a call, a list for each feature."""
    return _loop(model, rows, 32, json.loads, lambda row: json.dumps(row).encode())


def careful(model: Path, rows: Path) -> float:
    """The same with orjson, and 4,096 rows a call."""
    import orjson

    return _loop(model, rows, 4_096, orjson.loads, orjson.dumps)


def _loop(
    model: Path,
    rows: Path,
    batch: int,
    loads: Callable[[bytes], Any],
    dumps: Callable[[Any], bytes],
) -> float:
    """Returns rows a second, from reading a file to having written another."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model / "1"))
    signature = loaded.signatures["serving_default"]
    specs = signature.structured_input_signature[1]

    def predict(lines: list[bytes]) -> list[bytes]:
        instances = [loads(line) for line in lines]
        inputs = {
            name: tf.constant([each[name] for each in instances], spec.dtype)
            for name, spec in specs.items()
        }
        found = {name: values.numpy().tolist() for name, values in signature(**inputs).items()}
        columns = zip(*found.values(), strict=True)
        return [
            dumps({"instance": instance, "prediction": dict(zip(found, values, strict=True))})
            for instance, values in zip(instances, columns, strict=True)
        ]

    with rows.open("rb") as file:
        predict([file.readline() for _ in range(batch)])  # TensorFlow prepares the first call
    begun, count = time.perf_counter(), 0
    with rows.open("rb") as file, model.with_name("answers.jsonl").open("wb") as answers:
        waiting: list[bytes] = []
        for line in file:
            waiting.append(line)
            if len(waiting) == batch:
                answers.write(b"\n".join(predict(waiting)) + b"\n")
                count, waiting = count + batch, []
            if count >= NAIVE_ROWS:
                break
    return count / (time.perf_counter() - begun)


def limit(model: Path, rows: Path) -> float:
    """The signature alone, on tensors that are ready."""
    import orjson
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model / "1"))
    signature = loaded.signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    with rows.open("rb") as file:
        instances = [orjson.loads(file.readline()) for _ in range(50 * LIMIT_BATCH)]
    batches = [
        {
            name: tf.constant(
                [each[name] for each in instances[begin : begin + LIMIT_BATCH]],
                spec.dtype,
            )
            for name, spec in specs.items()
        }
        for begin in range(0, len(instances), LIMIT_BATCH)
    ]
    signature(**batches[0])
    begun = time.perf_counter()
    for batch in batches:
        signature(**batch)
    return len(instances) / (time.perf_counter() - begun)


WAYS: dict[str, Way] = {
    "json, 32 rows a call": naive,
    "orjson, 4,096 rows a call": careful,
    "the signature alone": limit,
}


def one(name: str, model: Path, rows: Path) -> float:
    """Runs one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.batch", "--one", name, str(model), str(rows)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    found = []
    for _ in range(REPEATS):
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False
        )
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stderr}")
        found.append(float(done.stdout.splitlines()[-1]))
    return max(found)


def emulated(model: Path, rows: Path, count: int) -> tuple[float, float]:
    """Runs jobs of the emulator.

    Returns:
        Rows a second of the best: of the whole job, from its creation until all is in the bucket;
        and of the time in which rows were predicted, without start and publication.
    """
    with tempfile.TemporaryDirectory() as scratch:
        words = [sys.executable, "-m", "vertex_emulator", "--port", "0", "--data-dir", scratch]
        with process(words, {}, str(ROOT), subprocess.PIPE) as started:
            assert started.stdout is not None  # noqa: S101, asked for above
            host = started.stdout.readline().decode().split()[-1]
            bucket, name = upload(host, model)
            bucket.blob("rows.jsonl").upload_from_filename(rows)
            found = [_job(host, name, count) for _ in range(REPEATS)]
    return max(whole for whole, _ in found), max(predicting for _, predicting in found)


def _job(host: str, model: str, count: int) -> tuple[float, float]:
    body = {
        "displayName": "bench",
        "model": model,
        "inputConfig": {
            "instancesFormat": "jsonl",
            "gcsSource": {"uris": ["gs://bench/rows.jsonl"]},
        },
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": "gs://bench/out"},
        },
        "dedicatedResources": {"machineSpec": {"machineType": "n1-standard-4"}},
    }
    begun = time.perf_counter()
    job = post(f"{host}/v1/projects/bench/locations/us-central1/batchPredictionJobs", body)
    running = predicted = 0.0
    while "endTime" not in job:
        time.sleep(INTERVAL)
        with urllib.request.urlopen(f"{host}/v1/{job['name']}", timeout=60) as answer:  # noqa: S310, loopback
            job = json.load(answer)
        now = time.perf_counter()
        if job["state"] == "JOB_STATE_RUNNING":
            running = running or now
            if job["completionStats"]["incompleteCount"] == "0":
                predicted = predicted or now
    if job["state"] != "JOB_STATE_SUCCEEDED" or int(job["completionStats"]["failedCount"]):
        raise SystemExit(f"The job ended otherwise than it should: {job}")
    return count / (time.perf_counter() - begun), count / (predicted - running)


def write_rows(rows: Path, count: int) -> None:
    """Writes so many rows as JSON lines: known and unknown words, numbers of one to six digits."""
    import orjson

    random = Random(1)  # noqa: S311, rows are no secret
    specs = saved_models.specs(FEATURES).items()
    lines = [
        orjson.dumps(
            {
                name: f"{name}-{random.randrange(20)}"
                if dtype == "string"
                else round(random.gauss(0, 1000), random.randrange(3))
                for name, dtype in specs
            }
        )
        for _ in range(min(count, DIFFERENT_ROWS))
    ]
    with rows.open("wb") as file:
        while count > 0:
            part = lines[:count]
            file.write(b"\n".join(part) + b"\n")
            count -= len(part)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares ways to predict for many rows.")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"of the input (default: {ROWS:,})")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, model, rows = given.one
        print(WAYS[name](Path(model), Path(rows)))
        return
    console = Console(width=None if sys.stdout.isatty() else 110)
    with tempfile.TemporaryDirectory() as place:
        model, rows = Path(place) / "model", Path(place) / "rows.jsonl"
        with console.status("Making the data and the model"):
            saved_models.save(model, FEATURES)
            write_rows(rows, given.rows)
        found = {}
        for name in WAYS:
            with console.status(name):
                found[name] = one(name, model, rows)
        with console.status("The emulator"):
            whole, predicting = emulated(model, rows, given.rows)
    found |= {"emulator, the whole job": whole, "emulator, while it predicts": predicting}
    first, limit_rate = found["json, 32 rows a call"], found["the signature alone"]
    printed = Printed("", "rows/s", "to the first", "of the limit", title=f"{given.rows:,} rows")
    for name, rate in sorted(found.items(), key=lambda item: item[1]):
        printed.add_row(name, f"{rate:,.0f}", f"{rate / first:.1f}x", f"{rate / limit_rate:.0%}")
    console.print(printed)


if __name__ == "__main__":
    main()
