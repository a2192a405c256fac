"""What the doctor finds in the bucket of an emulator; test_provision.py has Google Cloud's part."""

import shlex

import pytest
import requests

from cloud import config
from cloud.client import Client
from cloud.commands import doctor
from vertex_emulator.testing.running import RunningEmulator


def test_damaged_objects_are_found_and_the_fix_removes_them(
    emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.emulator.ensure", lambda _config: emulator.url)
    values = {
        "CLOUD_TARGET": "emulator",
        "CLOUD_BUCKET": "damaged-bucket",
        "CLOUD_REGION": "us-central1",
    }
    client = Client(config.load(environment=values))
    names = ("data/cut.csv", "jobs/a b/flipped.pb", "packages/lost.whl", "batch/whole", "mine.txt")
    for name in names:
        client.bucket.blob(name).upload_from_string(f"the bytes of {name}")
    files = {
        path.read_bytes(): path
        for path in (emulator.data_dir / "blobs").rglob("*")
        if path.is_file()
    }
    cut, flipped, lost, _whole, mine = (files[f"the bytes of {name}".encode()] for name in names)
    cut.write_bytes(b"")
    flipped.write_bytes(flipped.read_bytes().swapcase())
    lost.unlink()
    mine.write_bytes(b"")  # not the project's: its owner's to look after

    found = doctor.objects(client)
    bucket = "gs://damaged-bucket"
    assert found.what == (
        f"3 of 4 are damaged: {bucket}/data/cut.csv {bucket}/jobs/a b/flipped.pb"
        f" {bucket}/packages/lost.whl"
    )
    curl, again = found.fix.split(" && ")
    assert again == "nox -s data"
    program, flag, method, *urls = shlex.split(curl)
    assert (program, flag, method) == ("curl", "-X", "DELETE")
    for url in urls:
        assert requests.delete(url, timeout=60).status_code == 204
    assert doctor.objects(client) == doctor.Finding("1 whole, 0 MB")
