"""What a power cut leaves: the database as it was at some moment since its last sync."""

import random
import shutil
from pathlib import Path

import pytest
import storage_server

from vertex_emulator.errors import ApiError
from vertex_emulator.object_store import blobs
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.object_store.uploads import Uploads
from vertex_emulator.state.database import Database

OBJECTS = 50


def open_objects(data_dir: Path) -> Objects:
    data_dir.mkdir(exist_ok=True)
    return storage_server.open_objects(data_dir)


def content(number: int, turn: int) -> bytes:
    return f"{number}/{turn};".encode() * 50


def write(objects: Objects, folder: Path, number: int, turn: int) -> None:
    source = folder / "source"
    source.write_bytes(content(number, turn))
    objects.write("bucket", f"{number:03d}", source)


def database_files(data_dir: Path) -> list[Path]:
    return sorted(data_dir.glob("emulator.sqlite*"))


def test_what_a_power_cut_brings_back_has_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is cut at many places behind the last sync; the blobs are those that are left."""
    data_dir, source = tmp_path / "data", tmp_path / "source"
    source.mkdir()
    synced = [0]
    sync = Database.sync

    def noted(database: Database) -> None:
        sync(database)
        log = data_dir / "emulator.sqlite-wal"
        synced.append(log.stat().st_size if log.exists() else 0)

    monkeypatch.setattr(Database, "sync", noted)
    monkeypatch.setattr(blobs, "HELD_BLOBS", 20)
    objects = open_objects(data_dir)
    objects.database.connection().execute("PRAGMA wal_autocheckpoint = 0")
    Uploads(objects)
    objects.buckets.ensure("bucket", "project")
    turns = random.Random(7)  # noqa: S311, no secret
    for number in range(OBJECTS):
        write(objects, source, number, 0)
    for turn in range(1, 120):
        number = turns.randrange(OBJECTS)
        if turn % 5:
            write(objects, source, number, turn)
        else:
            objects.copy(Ref("bucket", "000"), Ref("bucket", f"{number:03d}"))
    log = data_dir / "emulator.sqlite-wal"
    assert len(synced) > 3
    places = {synced[-1], *(turns.randrange(synced[-1], log.stat().st_size) for _ in range(10))}
    for index, size in enumerate(places):
        cut = tmp_path / f"cut-{index}"
        shutil.copytree(data_dir, cut)
        for file in database_files(cut):
            if file.name.endswith("-shm"):
                file.unlink()
        with (cut / "emulator.sqlite-wal").open("r+b") as cut_log:
            cut_log.truncate(size)
        recovered = open_objects(cut)
        Uploads(recovered)
        names = [each.name for each in recovered.walk("bucket")]
        assert len(names) == OBJECTS
        for name in names:
            stored, opened = recovered.open(Ref("bucket", name))
            with opened:
                assert len(opened.read()) == stored.size
        recovered.database.close()
    objects.database.close()


def test_damaged_objects_are_named_at_the_start_and_can_be_written_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = open_objects(tmp_path / "data")
    objects.buckets.ensure("bucket", "project")
    for number in range(3):
        write(objects, tmp_path, number, 0)
    cut = objects.blobs.path(objects.stat(Ref("bucket", "001")).blob.id)
    cut.write_bytes(b"")  # as a file whose bytes had not reached the disk
    Uploads(objects)
    assert "gs://bucket/001\n" in capsys.readouterr().err
    for refused in (
        lambda: objects.open(Ref("bucket", "001")),
        lambda: objects.copy(Ref("bucket", "001"), Ref("bucket", "copy")),
        lambda: objects.compose([Ref("bucket", "001")], Ref("bucket", "whole"), {}),
    ):
        with pytest.raises(ApiError, match="gs://bucket/001 are damaged") as caught:
            refused()
        assert caught.value.code == 400
    write(objects, tmp_path, 1, 2)
    with objects.open(Ref("bucket", "001"))[1] as file:
        assert file.read() == content(1, 2)


def test_replaced_blobs_do_not_gather(tmp_path: Path) -> None:
    objects = open_objects(tmp_path / "data")
    objects.buckets.ensure("bucket", "project")
    for turn in range(5 * blobs.HELD_BLOBS):
        write(objects, tmp_path, 0, turn)
    left = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    assert len(left) <= blobs.HELD_BLOBS


def test_large_replaced_blobs_are_removed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "HELD_BYTES", 100)
    objects = open_objects(tmp_path / "data")
    objects.buckets.ensure("bucket", "project")
    for turn in range(3):
        write(objects, tmp_path, 0, turn)
    left = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    assert len(left) == 1


def test_uploads_that_nobody_finishes_are_dropped_while_the_emulator_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = open_objects(tmp_path / "data")
    objects.buckets.ensure("bucket", "project")
    uploads = Uploads(objects)
    moment = [0]
    monkeypatch.setattr("vertex_emulator.object_store.uploads.microseconds", lambda: moment[0])
    monkeypatch.setattr(blobs, "HELD_BLOBS", 1)
    first = uploads.start(Ref("bucket", "name"), {})
    uploads.append(first, b"bytes")
    moment[0] = 8 * 24 * 3600 * 1_000_000
    monkeypatch.setattr(uploads, "_expire_at", 0)
    second = uploads.start(Ref("bucket", "name"), {})
    with pytest.raises(ApiError, match="No such upload"):
        uploads.get(first.id)
    left = [path.name for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
    assert left == [second.blob]
