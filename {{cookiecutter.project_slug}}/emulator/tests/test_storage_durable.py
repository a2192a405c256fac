"""What holds when others read at the same moment, the process is killed, or the disk is full."""

import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from object_load import Expected, Worker, check
from storage_server import client_of, open_objects, process

from vertex_emulator.errors import ApiError
from vertex_emulator.object_store.objects import Ref

KILLS = 6
WORKERS = 6


def test_a_reader_never_sees_two_contents_mixed(bucket: Any) -> None:
    def content(number: int) -> bytes:
        return f"{number:06d}".encode() * (number * 7919 % 400_000 + 1)

    blob = bucket.blob("name")
    blob.upload_from_string(content(0))
    done = threading.Event()
    torn: list[str] = []

    def read() -> None:
        while not done.is_set():
            data = bucket.blob("name").download_as_bytes()  # the client checks the hash as well
            if data != content(int(data[:6])):
                torn.append(f"{len(data)} bytes that begin with {data[:12]!r}")

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(1, 60):
        blob.upload_from_string(content(number))
    done.set()
    for reader in readers:
        reader.join()
    assert not torn


def test_a_growing_object_is_overwritten_300_times(bucket: Any) -> None:
    data = b""
    for number in range(300):
        data += f"event {number}\n".encode() * 20
        bucket.blob("events").upload_from_string(data)
    assert bucket.blob("events").download_as_bytes() == data
    assert [blob.name for blob in bucket.list_blobs()] == ["events"]


def test_what_is_open_stays_whole(tmp_path: Path) -> None:
    objects = open_objects(tmp_path)
    objects.buckets.ensure("bucket", "project")
    source = tmp_path / "source"
    source.write_bytes(b"first")
    objects.write("bucket", "name", source)
    stored, file = objects.open(Ref("bucket", "name"))
    source.write_bytes(b"second")
    objects.write("bucket", "name", source)
    objects.delete(Ref("bucket", "name"))
    with file:
        assert file.read() == b"first"
    assert stored.size == 5


def test_objects_may_change_while_they_are_walked(tmp_path: Path) -> None:
    objects = open_objects(tmp_path)
    objects.buckets.ensure("bucket", "project")
    source = tmp_path / "source"
    source.write_bytes(b"content")
    names = [f"{number:05d}" for number in range(1500)]
    for name in names:
        objects.write("bucket", name, source)
    seen = []
    for stored in objects.walk("bucket"):
        seen.append(stored.name)
        objects.delete(Ref("bucket", stored.name))
    assert seen == names
    assert list(objects.walk("bucket")) == []


def test_lost_bytes_are_reported(tmp_path: Path) -> None:
    objects = open_objects(tmp_path)
    objects.buckets.ensure("bucket", "project")
    source = tmp_path / "source"
    source.write_bytes(b"content")
    stored = objects.write("bucket", "name", source)
    objects.blobs.path(stored.blob.id).unlink()
    with pytest.raises(ApiError, match="damaged in the emulator's data folder"):
        objects.open(Ref("bucket", "name"))


def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    expected = {
        f"worker {number}/{letter}": Expected() for number in range(WORKERS) for letter in "abc"
    }
    for kill in range(KILLS):
        with process(tmp_path) as (server, url):
            if kill == 0:
                client_of(url).create_bucket("load").client.close()
            check(url, expected)
            workers = [Worker(url, number, expected, kill) for number in range(WORKERS)]
            for worker in workers:
                worker.start()
            time.sleep(random.uniform(0.05, 0.6))  # noqa: S311, no secret
            server.kill()
            for worker in workers:
                worker.join()
                assert not worker.problems
    with process(tmp_path) as (_, url):
        check(url, expected)


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Any]:
    """A bucket on a server that cannot write a file past a few megabytes."""
    with process(tmp_path, largest_file=6 << 20) as (_, url):
        client = client_of(url)
        yield client.create_bucket("cramped")
        client.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_full_disk_is_an_answer_and_loses_nothing(cramped: Any, tmp_path: Path) -> None:
    url = cramped.client._connection.API_BASE_URL
    cramped.blob("name").upload_from_string(b"first")
    too_much = bytes(8 << 20)

    def upload(kind: str) -> requests.Response:
        where = f"{url}/upload/storage/v1/b/cramped/o?uploadType={kind}&name=name"
        if kind == "media":
            return requests.post(where, data=too_much, timeout=30)
        location = requests.post(where, timeout=30).headers["location"]
        return requests.put(location, data=too_much, timeout=30)

    for kind in ("media", "resumable"):
        refused = upload(kind)
        assert refused.status_code == 507, refused.text
        assert refused.json()["error"]["status"] == "RESOURCE_EXHAUSTED"
        assert "no room" in refused.json()["error"]["message"]
    assert cramped.blob("name").download_as_bytes() == b"first"
    cramped.blob("name").upload_from_string(b"second")
    assert cramped.blob("name").download_as_bytes() == b"second"
    large = [path for path in (tmp_path / "blobs").rglob("*") if path.stat().st_size > 5 << 20]
    assert len(large) == 1  # what the resumable upload could keep, for when there is room again


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_database_that_cannot_grow_is_an_answer_and_loses_nothing(tmp_path: Path) -> None:
    with process(tmp_path) as (_, url):
        client = client_of(url)
        bucket = client.create_bucket("cramped")
        bucket.blob("kept").upload_from_string(b"content")
        client.close()
    with process(tmp_path, largest_file=128 << 10) as (_, url):
        where = f"{url}/upload/storage/v1/b/cramped/o?uploadType=media&name="
        answers = [
            requests.post(where + "n" * 900 + str(number), data=b"x", timeout=30)
            for number in range(100)
        ]
        codes = [answer.status_code for answer in answers]
        assert set(codes) == {200, 507}, set(codes)
        stored = {answer.json()["name"] for answer in answers if answer.status_code == 200}
    with process(tmp_path) as (_, url):
        client = client_of(url)
        names = {blob.name for blob in client.list_blobs("cramped")}
        assert names == stored | {"kept"}
        assert client.bucket("cramped").blob("kept").download_as_bytes() == b"content"
        client.close()
