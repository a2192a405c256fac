"""Object versioning and soft delete, through google-cloud-storage."""

from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import BadRequest, Conflict, NotFound, PreconditionFailed
from storage_server import client_of, open_objects, running, storage_app

from vertex_emulator.object_store import object_rows
from vertex_emulator.object_store.buckets import microseconds
from vertex_emulator.object_store.objects import Objects

DAY = 24 * 3600


@pytest.fixture
def versioned(bucket: Any) -> Any:
    """A bucket that keeps noncurrent versions."""
    bucket.versioning_enabled = True
    bucket.patch()
    return bucket


@pytest.fixture
def soft(storage_client: Any, bucket: Any) -> Any:
    """A bucket that keeps what was deleted for a week."""
    bucket.soft_delete_policy.retention_duration_seconds = 7 * DAY
    bucket.patch()
    return bucket


def upload(bucket: Any, name: str, *contents: str) -> list[int]:
    """Writes one content after the other; returns their generations."""
    generations = []
    for content in contents:
        blob = bucket.blob(name)
        blob.upload_from_string(content)
        generations.append(blob.generation)
    return generations


def versions(bucket: Any, **options: Any) -> list[tuple[str, int, bool]]:
    found = bucket.list_blobs(versions=True, **options)
    return [(blob.name, blob.generation, blob.time_deleted is not None) for blob in found]


def soft_deleted(bucket: Any) -> list[tuple[str, int]]:
    found = bucket.list_blobs(soft_deleted=True)
    return [(blob.name, blob.generation) for blob in found]


def test_what_is_overwritten_or_deleted_becomes_noncurrent(versioned: Any) -> None:
    first, second = upload(versioned, "name", "first", "second")
    assert versions(versioned) == [("name", first, True), ("name", second, False)]
    assert [blob.generation for blob in versioned.list_blobs()] == [second]
    versioned.delete_blob("name")
    assert versions(versioned) == [("name", first, True), ("name", second, True)]
    assert not list(versioned.list_blobs())
    assert versioned.get_blob("name") is None
    with pytest.raises(NotFound):
        versioned.delete_blob("name")
    for generation, content in ((first, b"first"), (second, b"second")):
        blob = versioned.get_blob("name", generation=generation)
        assert blob.time_deleted >= blob.time_created
        assert blob.download_as_bytes() == content


def test_a_noncurrent_version_is_copied_back(versioned: Any) -> None:
    first, _ = upload(versioned, "name", "first", "second")
    old = versioned.get_blob("name", generation=first)
    versioned.copy_blob(old, versioned, "name", source_generation=first)
    assert versioned.blob("name").download_as_bytes() == b"first"
    assert len(versions(versioned)) == 3


def test_a_generation_that_is_named_goes_for_good(versioned: Any) -> None:
    first, second, third = upload(versioned, "name", "first", "second", "third")
    versioned.delete_blob("name", generation=second)
    assert versions(versioned) == [("name", first, True), ("name", third, False)]
    versioned.delete_blob("name", generation=third)
    assert versions(versioned) == [("name", first, True)]
    with pytest.raises(Conflict, match="versions"):
        versioned.delete()
    versioned.delete_blob("name", generation=first)
    versioned.delete()


def test_metadata_of_a_noncurrent_version(versioned: Any) -> None:
    first, second = upload(versioned, "name", "first", "second")
    old = versioned.get_blob("name", generation=first)
    old.metadata = {"kept": "yes"}
    old.patch()
    assert versioned.get_blob("name", generation=first).metadata == {"kept": "yes"}
    assert versioned.get_blob("name", generation=first).metageneration == 2
    assert versioned.get_blob("name", generation=second).metadata is None
    with pytest.raises(PreconditionFailed):
        old.delete(if_metageneration_match=1)


def test_conditions_are_about_the_live_version(versioned: Any) -> None:
    [first] = upload(versioned, "name", "first")
    versioned.delete_blob("name", if_generation_match=first)
    versioned.blob("name").upload_from_string(b"again", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        versioned.blob("name").upload_from_string(b"never", if_generation_match=first)


def test_moving_composing_and_copying_keep_versions(versioned: Any) -> None:
    [old] = upload(versioned, "target", "old")
    [source] = upload(versioned, "source", "source")
    moved = versioned.move_blob(versioned.blob("source"), "target")
    assert versions(versioned) == [
        ("source", source, True),
        ("target", old, True),
        ("target", moved.generation, False),
    ]
    for generation, name in ((source, "source"), (old, "target")):
        blob = versioned.blob(name, generation=generation)
        assert blob.download_as_bytes() == name.replace("target", "old").encode()
    versioned.blob("target").compose([versioned.blob("target"), versioned.blob("target")])
    assert versioned.blob("target").download_as_bytes() == b"sourcesource"
    kept = versioned.blob("target", generation=moved.generation)
    assert kept.download_as_bytes() == b"source"


def test_lists_by_the_page_end_between_versions(versioned: Any) -> None:
    expected: list[tuple[str, int, bool]] = []
    for name in ("a", "b", "d/e", "d/f"):
        expected += [(name, each, True) for each in upload(versioned, name, "1", "2", "3")]
        expected[-1] = (*expected[-1][:2], False)
    for size in (1, 2, 5, 12):
        assert versions(versioned, page_size=size) == expected
    folded = versioned.list_blobs(versions=True, delimiter="/", page_size=2)
    assert len(list(folded)) == 6
    assert folded.prefixes == {"d/"}
    url = f"{versioned.client._connection.API_BASE_URL}/storage/v1/b/{versioned.name}/o"
    for token in ("YQ==.x", "YQ==.", ".5.5", "."):
        query = {"versions": "true", "pageToken": token}
        assert requests.get(url, params=query, timeout=30).status_code == 400


def test_a_bucket_that_no_longer_keeps_versions(versioned: Any) -> None:
    first, second = upload(versioned, "name", "first", "second")
    versioned.versioning_enabled = False
    versioned.patch()
    [third] = upload(versioned, "name", "third")
    assert second < third
    assert versions(versioned) == [("name", first, True), ("name", third, False)]
    versioned.delete_blob("name")
    assert versions(versioned) == [("name", first, True)]


def test_what_is_soft_deleted_is_restored(soft: Any) -> None:
    first, second = upload(soft, "name", "first", "second")
    assert soft_deleted(soft) == [("name", first)]
    assert [blob.generation for blob in soft.list_blobs()] == [second]
    soft.delete_blob("name")
    assert soft_deleted(soft) == [("name", first), ("name", second)]
    assert not versions(soft)
    assert soft.get_blob("name", generation=first) is None
    kept = soft.get_blob("name", generation=first, soft_deleted=True)
    assert (kept.hard_delete_time - kept.soft_delete_time).days == 7
    restored = soft.restore_blob("name", generation=first)
    assert restored.generation > second
    assert restored.download_as_bytes() == b"first"
    with pytest.raises(PreconditionFailed):
        soft.restore_blob("name", generation=second, if_generation_match=0)
    with pytest.raises(NotFound):
        soft.restore_blob("name", generation=restored.generation)
    with pytest.raises(BadRequest):
        soft.get_blob("name", soft_deleted=True)


def test_soft_delete_keeps_versions_too(soft: Any) -> None:
    soft.versioning_enabled = True
    soft.patch()
    first, second = upload(soft, "name", "first", "second")
    assert not soft_deleted(soft)
    soft.delete_blob("name", generation=first)
    assert soft_deleted(soft) == [("name", first)]
    assert versions(soft) == [("name", second, False)]
    soft.delete_blob("name", generation=second)
    soft.delete()
    assert not soft.exists()


def test_what_was_soft_deleted_long_enough_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = open_objects(tmp_path)
    policy = {"softDeletePolicy": {"retentionDurationSeconds": str(7 * DAY)}}
    objects.buckets.create("bucket", "project", policy)
    with running(storage_app(tmp_path)) as url:
        client = client_of(url)
        bucket = client.bucket("bucket")
        upload(bucket, "name", "first", "second")
        assert len(soft_deleted(bucket)) == 1
        later = microseconds() + 8 * DAY * 1_000_000
        monkeypatch.setattr(object_rows, "microseconds", lambda: later)
        assert not soft_deleted(bucket)
        client.close()
    assert len(blobs(tmp_path)) == 2
    with running(storage_app(tmp_path)):
        assert len(blobs(tmp_path)) == 1


def blobs(folder: Path) -> list[Path]:
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]


def test_versions_survive_a_restart(tmp_path: Path) -> None:
    for number in range(2):
        with running(storage_app(tmp_path)) as url:
            client = client_of(url)
            bucket = client.bucket("bucket")
            if not number:
                bucket.versioning_enabled = True
                bucket.create()
            upload(bucket, "name", f"content {number}")
            found = [blob.download_as_bytes() for blob in bucket.list_blobs(versions=True)]
            assert found == [f"content {each}".encode() for each in range(number + 1)]
            client.close()


def test_an_older_data_folder_is_opened(tmp_path: Path) -> None:
    objects = open_objects(tmp_path)
    objects.buckets.create("bucket", "project", {})
    objects.database.connection().execute("DROP TABLE past_objects")
    objects.database.close()
    again: Objects = open_objects(tmp_path)
    assert again.buckets.exists("bucket")
    again.delete_bucket("bucket")
