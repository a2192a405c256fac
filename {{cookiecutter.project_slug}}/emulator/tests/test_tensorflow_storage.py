"""TensorFlow's own gs:// in a job: it writes to the emulator's buckets, and reads from them."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from custom_jobs import entries, run, spec

from vertex_emulator.testing.clients import Clients
from vertex_emulator.vertex.replicas import TENSORFLOW_ADVICE

JOB = Path(__file__).with_name("tensorflow_storage_job.py")

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="TensorFlow for Windows has no gs://"
)


@pytest.fixture(scope="module")
def bucket(clients: Clients) -> Any:
    return clients.storage.create_bucket("tensorflow-bucket", location="us-central1")


@pytest.fixture(scope="module")
def found(clients: Clients, bucket: Any) -> dict[str, Any]:
    """What the job printed: all its ways in one process, as TensorFlow takes seconds to import."""
    job = run(clients, spec(JOB.read_text(encoding="utf-8"), f"gs://{bucket.name}"))
    said = entries(clients, job.name)
    assert job.state.name == "JOB_STATE_SUCCEEDED", (job.error, said)
    assert TENSORFLOW_ADVICE not in [each.get("textPayload") for each in said]
    lines = [each["jsonPayload"] for each in said if "jsonPayload" in each]
    return {key: value for line in lines for key, value in line.items()}


def test_files(found: dict[str, Any], bucket: Any) -> None:
    assert found["gfile"] == [
        "two\n",
        True,
        False,
        True,
        len("one\ntwo\n"),
        ["deep/", "moved.txt"],
        ["/größe/a b+c%25#?.txt"],
        [["/made", ["deep/"], ["moved.txt"]], ["/made/deep/", [], []]],
        False,
    ]
    assert bucket.blob("größe/a b+c%25#?.txt").download_as_text() == "one\ntwo\n"


def test_a_large_file(found: dict[str, Any], bucket: Any) -> None:
    assert found["large"] == [20_000_000, True]
    data = bucket.blob("large.bin").download_as_bytes(checksum="crc32c")
    assert data == np.random.default_rng(0).bytes(20_000_000)


def test_records(found: dict[str, Any]) -> None:
    assert found["records"] == [f"{file}{row}" for file in range(3) for row in range(10)]


def test_models_and_callbacks(found: dict[str, Any], bucket: Any) -> None:
    assert found["fitted"] == [True]
    assert found["saved"] == [True, True, True, 7]
    names = {blob.name for blob in bucket.list_blobs()}
    assert {"m.keras", "m.weights.h5", "best.keras", "export/1/saved_model.pb"} <= names
    assert {"export/1/variables/variables.index", "saved/saved_model.pb"} <= names
    assert [name for name in names if name.startswith("logs/fit/train/events.out.tfevents")]
    assert not [name for name in names if name.startswith("backup/")]  # gone with the end of fit


def test_checkpoints_and_summaries(found: dict[str, Any], bucket: Any) -> None:
    assert found["checkpoints"] == [3, 2]
    kept = sorted(blob.name for blob in bucket.list_blobs(prefix="checkpoints/ckpt"))
    assert kept == [
        f"checkpoints/ckpt-{number}.{part}"
        for number in (3, 4)
        for part in ("data-00000-of-00001", "index")
    ]
    assert found["summaries"] == [4]  # the version, and three steps


def test_what_is_missing_is_an_error_at_once(found: dict[str, Any]) -> None:
    not_found = "NotFoundError"
    assert found["missing"] == [
        *[not_found] * 6,
        "OSError",
        not_found,
        "False",
        "InvalidArgumentError",
    ]


def test_a_job_whose_gs_goes_astray_gets_advice(clients: Clients, bucket: Any) -> None:
    code = "import sys, tensorflow as tf; tf.io.gfile.GFile(sys.argv[1]).read()"
    job = spec(code, f"gs://{bucket.name}/x")
    [pool] = job["job_spec"]["worker_pool_specs"]
    # Nobody answers for Google, with a network or without.
    own = {"https_proxy": "http://127.0.0.1:9", "GCS_RETRY_CONFIG_MAX_RETRIES": "0"}
    pool["container_spec"]["env"] = [{"name": key, "value": own[key]} for key in own]
    ended = run(clients, job)
    assert ended.state.name == "JOB_STATE_FAILED"
    assert f"exited with a non-zero status of 1. {TENSORFLOW_ADVICE}" in ended.error.message
    said = entries(clients, ended.name)
    [advice] = [each["textPayload"] for each in said if each["severity"] == "WARNING"]
    assert advice == TENSORFLOW_ADVICE
