"""Cloud Storage through Google's own client, on the emulator."""

import gzip
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.cloud.storage import Blob, Client

from table_schema.tables import TABLES
from trainer import console, mirror, storage
from trainer.errors import UserError
from trainer.mirror import Mirror
from trainer.tabular.checkpoint import POINTER
from trainer.tabular.data import Source, read
from trainer.tabular.run import run

from .conftest import MakeSettings, settings_in


@pytest.fixture
def dead_client() -> Any:
    """A client of a server that is not there."""
    from google.auth.credentials import AnonymousCredentials

    return Client(
        project="none",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": "http://127.0.0.1:9"},
    )


def contents(bucket: Any, prefix: str) -> dict[str, bytes]:
    blobs = bucket.list_blobs(prefix=prefix)
    return {blob.name.removeprefix(prefix): blob.download_as_bytes() for blob in blobs}


def test_the_whole_road_on_gs_uris_with_an_interruption(
    bucket: Any,
    data: dict[str, dict[str, Path]],
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    uris = {}
    for split, path in data["penguins"].items():
        bucket.blob(f"data/{path.name}").upload_from_filename(path)
        uris[f"{split}_data"] = f"gs://{bucket.name}/data/{path.name}"
    settings = make_settings("penguins", at=f"gs://{bucket.name}/jobs/one", epochs=6, **uris)

    class PowerCutError(Exception):
        pass

    say = console.say

    def cut_in_epoch_4(message: str, *arguments: Any, **keywords: Any) -> None:
        say(message, *arguments, **keywords)
        if message.startswith("Epoch 4/"):
            raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(console, "say", cut_in_epoch_4)
        with pytest.raises(PowerCutError):
            run(settings, threading.Event())
    assert json.loads(bucket.blob(f"jobs/one/checkpoint_dir/{POINTER}").download_as_bytes())
    assert not bucket.blob("jobs/one/model_dir/1/saved_model.pb").exists()

    found = run(settings, threading.Event())  # on an empty scratch, as each run
    expected = run(make_settings("penguins", epochs=6), threading.Event())
    assert found["test"] == expected["test"]
    assert [m["loss"] for m in found["history"]] == [m["loss"] for m in expected["history"]]

    model = contents(bucket, "jobs/one/model_dir/")
    assert json.loads(model["evaluation.json"])["test"] == found["test"]
    for name, content in model.items():
        path = tmp_path / "downloaded" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    loaded = tf.saved_model.load(str(tmp_path / "downloaded" / "1"))
    rows = read(Source(uris["test_data"], TABLES["penguins"]))
    answer = loaded.signatures["serving_default"](
        **{name: tf.constant(values) for name, values in rows.features.items()}
    )
    accuracy = np.mean(
        answer["label"] == np.array(TABLES["penguins"].label.classes, "S")[rows.labels]
    )
    assert accuracy == pytest.approx(found["test"]["accuracy"])

    kinds = {
        name.rpartition(".")[2]: bucket.get_blob(f"jobs/one/model_dir/{name}").content_type
        for name in model
    }
    assert kinds["pb"] == "application/x-protobuf"
    assert kinds["json"] == "application/json"
    assert kinds["html"] == "text/html"

    # Both attempts' curves are there, and no more checkpoints than are kept.
    assert len(contents(bucket, "jobs/one/log_dir/train/")) == 2
    checkpoints = contents(bucket, "jobs/one/checkpoint_dir/")
    assert set(checkpoints) == {POINTER, *json.loads(checkpoints[POINTER])["newest_first"]}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model_card.html", "text/html"),
        ("evaluation.json", "application/json"),
        ("chart.png", "image/png"),
        ("chart.svg", "image/svg+xml"),
        ("epoch-0001.npz", "application/zip"),
        ("saved_model.pb", "application/x-protobuf"),
        ("model.weights.h5.gz", "application/octet-stream"),
        ("variables.data-00000-of-00001", "application/octet-stream"),
        ("csv", "application/octet-stream"),
    ],
)
def test_a_name_tells_the_type_of_an_object(name: str, kind: str) -> None:
    assert storage.content_type(name) == kind


def test_shards_are_found_by_a_pattern_and_read_as_streams(
    bucket: Any, data: dict[str, dict[str, Path]]
) -> None:
    path, table = data["penguins"]["train"], TABLES["penguins"]
    header, *lines = path.read_bytes().splitlines(keepends=True)
    for shard, part in enumerate((lines[:90], lines[90:])):
        content = gzip.compress(header + b"".join(part))
        bucket.blob(f"shards/deep/train-{shard}.csv.gz").upload_from_string(content)
    bucket.blob("shards/deep/test-0.csv.gz").upload_from_string(b"another")
    source = Source(f"gs://{bucket.name}/shards/*/train-*.csv.gz", table, with_keys=True)
    rows = read(source)
    assert rows.fingerprint() == read(Source(str(path), table, with_keys=True)).fingerprint()
    assert len(source.digests) == 2
    with pytest.raises(UserError, match=r"gs://.*/none-\*\.csv: expected files of such names"):
        read(Source(f"gs://{bucket.name}/none-*.csv", table))


def test_a_file_that_grows_is_there_at_each_size_that_was_seen(bucket: Any, tmp_path: Path) -> None:
    copies = Mirror({tmp_path: f"gs://{bucket.name}/logs/"})
    with (tmp_path / "events").open("wb", buffering=0) as file:
        for size in (1, 2, 3):
            file.write(b"x" * 1_000)
            copies.sweep()
            assert contents(bucket, "logs/") == {"events": b"x" * 1_000 * size}


def test_a_commit_is_uploaded_after_what_it_names(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "saved_model.pb",
        "variables/variables.index",
        "a",
        "z",
        ".unfinished/saved_model.pb",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("whole")
    uploaded = []
    upload = Blob.upload_from_file

    def upload_noting(blob: Any, *arguments: Any, **keywords: Any) -> None:
        uploaded.append(blob.name)
        upload(blob, *arguments, **keywords)

    monkeypatch.setattr(Blob, "upload_from_file", upload_noting)
    copies = Mirror({tmp_path: f"gs://{bucket.name}/model"})
    copies.sweep()
    copies.sweep()  # nothing changed
    assert sorted(uploaded) == [
        "model/a",
        "model/saved_model.pb",
        "model/variables/variables.index",
        "model/z",
    ]
    assert uploaded[-1] == "model/saved_model.pb"


def test_a_checkpoint_that_is_removed_meanwhile_is_uploaded_before_its_pointer(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.npz").write_text("one")
    (tmp_path / POINTER).write_text("one.npz")
    upload = Blob.upload_from_file

    def upload_while_training_goes_on(blob: Any, *arguments: Any, **keywords: Any) -> None:
        (tmp_path / "one.npz").unlink(missing_ok=True)
        (tmp_path / "two.npz").write_text("two")
        (tmp_path / ".pointer").write_text("two.npz")
        (tmp_path / ".pointer").replace(tmp_path / POINTER)
        upload(blob, *arguments, **keywords)
        names = contents(bucket, "c/")
        assert POINTER not in names or names[POINTER].decode() in names

    monkeypatch.setattr(Blob, "upload_from_file", upload_while_training_goes_on)
    copies = Mirror({tmp_path: f"gs://{bucket.name}/c"})
    copies.sweep()
    copies.sweep()
    assert contents(bucket, "c/") == {"two.npz": b"two", POINTER: b"two.npz"}


def test_an_outage_loses_nothing_and_is_said_once(
    bucket: Any,
    dead_client: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(storage, "ATTEMPT", 0.1)
    live_client = storage.client
    failures = threading.Semaphore(0)

    def failing_client() -> Any:
        failures.release()
        return dead_client

    with Mirror({tmp_path: f"gs://{bucket.name}/logs"}):
        monkeypatch.setattr(storage, "client", failing_client)
        (tmp_path / "events").write_bytes(b"during the outage")
        for _ in range(3):
            assert failures.acquire(timeout=60)
        monkeypatch.setattr(storage, "client", live_client)
    assert contents(bucket, "logs/") == {"events": b"during the outage"}
    assert capsys.readouterr().out.count("Not uploaded yet, trying again") == 1


def test_what_cannot_be_uploaded_in_the_end_is_told(
    bucket: Any, dead_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "ATTEMPT", 0.1)
    monkeypatch.setattr(mirror, "PATIENCE", 0.5)
    monkeypatch.setattr(storage, "client", lambda: dead_client)
    with (
        pytest.raises(UserError, match=r"gs://.*/logs: cannot be written"),
        Mirror({tmp_path: f"gs://{bucket.name}/logs"}),
    ):
        (tmp_path / "events").write_bytes(b"lost")


def test_a_missing_bucket_or_object_is_told(
    bucket: Any, make_settings: MakeSettings, data: dict[str, dict[str, Path]]
) -> None:
    with pytest.raises(UserError, match=r"gs://nowhere-1/train.csv: there is no such object"):
        read(Source("gs://nowhere-1/train.csv", TABLES["penguins"]))
    with pytest.raises(UserError, match=f"gs://{bucket.name}/train.csv: there is no such object"):
        read(Source(f"gs://{bucket.name}/train.csv", TABLES["penguins"]))
    with pytest.raises(UserError, match=r"gs://nowhere-1/checkpoint_dir: there is no such"):
        run(settings_in("gs://nowhere-1", data["penguins"], table="penguins"), threading.Event())
