"""Uploads of every kind, through google-cloud-storage and on the wire."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import BadRequest, NotFound, PreconditionFailed
from google.cloud.storage._media import _upload
from google.cloud.storage.exceptions import DataCorruption
from storage_server import client_of, open_objects, running, storage_app
from storage_uploading import (
    LARGE,
    crc32c,
    md5,
    upload_multipart,
    upload_resumable,
    upload_simple,
    upload_url,
)

from vertex_emulator.storage_api.routes import routes

Upload = Callable[..., None]
every_kind = pytest.mark.parametrize(
    "upload", [upload_simple, upload_multipart, upload_resumable], ids=lambda kind: kind.__name__
)


@every_kind
@pytest.mark.parametrize("data", [b"", b"few bytes", LARGE], ids=["empty", "small", "large"])
def test_what_was_uploaded_comes_back(bucket: Any, upload: Upload, data: bytes) -> None:
    upload(bucket, "name", data)
    blob = bucket.get_blob("name")
    assert blob.size == len(data)
    assert blob.md5_hash == md5(data)
    assert blob.crc32c == crc32c(data)
    assert blob.download_as_bytes() == data


@every_kind
def test_generation_conditions(bucket: Any, upload: Upload) -> None:
    upload(bucket, "name", b"first", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        upload(bucket, "name", b"second", if_generation_match=0)
    generation = bucket.get_blob("name").generation
    with pytest.raises(PreconditionFailed):
        upload(bucket, "name", b"second", if_generation_match=generation + 1)
    with pytest.raises(PreconditionFailed):
        upload(bucket, "name", b"second", if_generation_not_match=generation)
    with pytest.raises(PreconditionFailed):
        upload(bucket, "absent", b"second", if_generation_not_match=generation)
    assert bucket.blob("name").download_as_bytes() == b"first"
    upload(bucket, "name", b"second", if_generation_match=generation)
    again = bucket.get_blob("name")
    assert again.generation > generation
    assert again.download_as_bytes() == b"second"


@every_kind
def test_metageneration_conditions(bucket: Any, upload: Upload) -> None:
    upload(bucket, "name", b"first")
    blob = bucket.get_blob("name")
    blob.metadata = {"a": "b"}
    blob.patch()
    with pytest.raises(PreconditionFailed):
        upload(bucket, "name", b"second", if_metageneration_match=1)
    with pytest.raises(PreconditionFailed):
        upload(bucket, "name", b"second", if_metageneration_not_match=2)
    upload(bucket, "name", b"second", if_metageneration_match=2)
    assert bucket.get_blob("name").metageneration == 1


@pytest.mark.parametrize(
    ("field", "right"), [("md5Hash", md5(b"content")), ("crc32c", crc32c(b"content"))]
)
@pytest.mark.parametrize("kind", ["multipart", "resumable"])
def test_a_wrong_hash_in_the_metadata_is_refused(
    bucket: Any, field: str, right: str, kind: str
) -> None:
    wrong = md5(b"other") if field == "md5Hash" else crc32c(b"other")

    def upload(value: str) -> requests.Response:
        document = {"name": "name", field: value}
        if kind == "multipart":
            return multipart(bucket, document, b"content")
        start = requests.post(
            upload_url(bucket), params={"uploadType": "resumable"}, json=document, timeout=30
        )
        return requests.put(start.headers["location"], data=b"content", timeout=30)

    refused = upload(wrong)
    assert refused.status_code == 400
    assert wrong in refused.json()["error"]["message"]
    assert bucket.get_blob("name") is None
    assert upload(right).status_code == 200


def test_the_client_hears_of_a_wrong_md5(bucket: Any) -> None:
    blob = bucket.blob("name")
    blob.md5_hash = md5(b"other")
    with pytest.raises(BadRequest, match="doesn't match"):
        blob.upload_from_string(b"content", checksum=None)
    assert bucket.get_blob("name") is None


@pytest.mark.parametrize(
    "headers",
    [
        {"x-goog-hash": f"crc32c={crc32c(b'other')}"},
        {"x-goog-hash": f"crc32c={crc32c(b'content')},md5={md5(b'other')}"},
        {"content-md5": md5(b"other")},
    ],
)
def test_a_wrong_hash_in_the_headers_is_refused(bucket: Any, headers: dict[str, str]) -> None:
    response = requests.post(
        upload_url(bucket),
        params={"uploadType": "media", "name": "name"},
        data=b"content",
        headers=headers,
        timeout=30,
    )
    assert response.status_code == 400
    assert bucket.get_blob("name") is None


def multipart(
    bucket: Any, document: dict[str, Any], data: bytes, line_end: bytes = b"\r\n"
) -> requests.Response:
    body = line_end.join(
        [
            b"--frontier",
            b"Content-Type: application/json",
            b"",
            str(document).replace("'", '"').encode(),
            b"--frontier",
            b"Content-Type: text/plain",
            b"MIME-Version: 1.0",
            b"",
            data,
            b"--frontier--",
        ]
    )
    return requests.post(
        upload_url(bucket),
        params={"uploadType": "multipart"},
        data=body,
        headers={"content-type": 'multipart/related; boundary="frontier"'},
        timeout=30,
    )


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\r\n--frontie",
        b"ends with a line\r\n",
        b"--frontier inside a line --frontier--",
        b"\r\n--frontie" * 300_000,
    ],
    ids=["empty", "line-end", "almost", "trailing", "inside", "long"],
)
def test_media_that_looks_like_a_boundary(bucket: Any, data: bytes, line_end: bytes) -> None:
    response = multipart(bucket, {"name": "name"}, data, line_end)
    assert response.status_code == 200, response.text
    assert response.json()["contentType"] == "text/plain"
    assert bucket.blob("name").download_as_bytes() == data


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", 'multipart/related; boundary="frontier"'),
        (b"--f\r\n\r\n{}\r\n--f\r\n\r\nmedia without an end", "multipart/related; boundary=f"),
        (b"--f\r\n\r\n[]\r\n--f\r\n\r\n\r\n--f--", "multipart/related; boundary=f"),
        (b"--f\r\n\r\n{\r\n--f\r\n\r\n\r\n--f--", "multipart/related; boundary=f"),
        (b"{}", "application/json"),
        (b"{}", "multipart/related"),
    ],
)
def test_a_malformed_multipart_body_is_refused(bucket: Any, body: bytes, content_type: str) -> None:
    response = requests.post(
        upload_url(bucket),
        params={"uploadType": "multipart", "name": "name"},
        data=body,
        headers={"content-type": content_type},
        timeout=30,
    )
    assert response.status_code == 400
    assert bucket.get_blob("name") is None


def test_attributes_are_kept(bucket: Any) -> None:
    blob = bucket.blob("name")
    blob.metadata = {"Löwe": "Käfig", "empty": ""}
    blob.cache_control = "no-store"
    blob.content_disposition = 'attachment; filename="a b.txt"'
    blob.content_encoding = "identity"
    blob.content_language = "de"
    blob.custom_time = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    blob.storage_class = "NEARLINE"
    blob.upload_from_string(b"text", content_type="text/plain; charset=utf-8")
    found = bucket.get_blob("name")
    for name in (
        "metadata",
        "cache_control",
        "content_disposition",
        "content_encoding",
        "content_language",
        "content_type",
        "custom_time",
        "storage_class",
    ):
        assert getattr(found, name) == getattr(blob, name), name
    assert found.time_created == found.updated


def test_a_missing_bucket_is_reported_at_the_start(storage_client: Any, storage_url: str) -> None:
    missing = storage_client.bucket("no-such-bucket")
    for upload in (upload_multipart, upload_resumable):
        with pytest.raises(NotFound, match="no-such-bucket"):
            upload(missing, "name", b"content")
    opened = requests.post(f"{storage_url}/no-such-bucket/o", params={"uploads": ""}, timeout=30)
    assert opened.status_code == 404
    assert "<Code>NoSuchBucket</Code>" in opened.text


def test_the_client_sees_corruption_on_the_way(bucket: Any, monkeypatch: Any) -> None:
    """The server's own hash is of what it received, so the client notices a change on the way."""
    genuine = _upload.construct_multipart_request

    def flipped(data: bytes, *rest: Any) -> Any:
        return genuine(b"X" + data[1:], *rest)

    monkeypatch.setattr(_upload, "construct_multipart_request", flipped)
    with pytest.raises((BadRequest, DataCorruption)):
        bucket.blob("name").upload_from_string(b"content")


def test_nothing_but_objects_stays_on_disk(tmp_path: Path) -> None:
    with running(storage_app(tmp_path)) as url:
        client = client_of(url)
        bucket = client.create_bucket("tidy")
        for data in (b"first", b"second", LARGE):
            upload_multipart(bucket, "overwritten", data)
            upload_resumable(bucket, "resumed", data)
        with pytest.raises(PreconditionFailed):
            upload_simple(bucket, "resumed", b"refused", if_generation_match=0)
        bucket.delete_blob("overwritten")
        client.close()
    (tmp_path / "blobs" / "00" / "left-by-a-killed-process").touch()
    routes(open_objects(tmp_path))  # sweeps away what was replaced, too
    files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [LARGE]
    assert files[0].exists()


PLAIN = b"the same line\n" * 300_000
MEMBERS = gzip.compress(PLAIN[:1000]) + gzip.compress(PLAIN[1000:])


@pytest.mark.parametrize("packed", [gzip.compress(PLAIN), MEMBERS], ids=["one member", "two"])
@pytest.mark.parametrize("kind", ["media", "multipart", "resumable"])
def test_a_body_that_travels_in_gzip_is_unpacked(
    bucket: Any, storage_url: str, packed: bytes, kind: str
) -> None:
    where, in_gzip = {"uploadType": kind, "name": "name"}, {"content-encoding": "gzip"}
    if kind == "media":
        sent = requests.post(
            upload_url(bucket), params=where, data=packed, headers=in_gzip, timeout=30
        )
    elif kind == "multipart":
        whole = b"--x\r\n\r\n{}\r\n--x\r\n\r\n" + PLAIN + b"\r\n--x--"
        related = in_gzip | {"content-type": "multipart/related; boundary=x"}
        body = gzip.compress(whole)
        sent = requests.post(
            upload_url(bucket), params=where, data=body, headers=related, timeout=30
        )
    else:
        url = requests.post(upload_url(bucket), params=where, timeout=30).headers["location"]
        sent = requests.put(url, data=packed, headers=in_gzip, timeout=30)
    assert sent.status_code == 200
    blob = bucket.get_blob("name")
    assert (blob.size, blob.content_encoding) == (len(PLAIN), None)
    assert blob.download_as_bytes() == PLAIN
    document = gzip.compress(json.dumps({"metadata": {"a": "b"}}).encode())
    url = f"{storage_url}/storage/v1/b/{bucket.name}/o/name"
    requests.patch(url, data=document, headers=in_gzip, timeout=30).raise_for_status()
    assert bucket.get_blob("name").metadata == {"a": "b"}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"plain text"),
        ("gzip", gzip.compress(PLAIN)[:-1]),
        ("gzip", gzip.compress(PLAIN) + b"more"),
        ("br", b"anything"),
    ],
)
def test_a_body_that_is_not_packed_as_it_says(bucket: Any, encoding: str, body: bytes) -> None:
    response = requests.post(
        upload_url(bucket),
        params={"uploadType": "media", "name": "name"},
        data=body,
        headers={"content-encoding": encoding},
        timeout=30,
    )
    assert response.status_code == 400
    assert not bucket.blob("name").exists()
