"""Resumable uploads: their steps, their interruptions, and restarts of the server between."""

import io
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from google.cloud.storage.exceptions import InvalidResponse
from storage_server import client_of, running, storage_app
from storage_uploading import LARGE, upload_multipart, upload_url


def test_a_condition_that_fails_only_at_the_end_of_a_resumable_upload(bucket: Any) -> None:
    blob = bucket.blob("name", chunk_size=256 * 1024)
    upload, transport = initiated(blob, LARGE, if_generation_match=0)
    upload.transmit_next_chunk(transport)
    upload_multipart(bucket, "name", b"another was faster")
    with pytest.raises(InvalidResponse) as caught:
        send_the_rest(upload, transport)
    assert caught.value.response.status_code == 412
    assert bucket.blob("name").download_as_bytes() == b"another was faster"


def initiated(
    blob: Any, data: bytes, checksum: str | None = "crc32c", **conditions: int
) -> tuple[Any, Any]:
    """Starts a resumable upload whose chunks the test sends itself."""
    transport = blob.client._http
    upload, _ = blob._initiate_resumable_upload(
        blob.client,
        io.BytesIO(data),
        "application/octet-stream",
        len(data),
        None,
        chunk_size=256 * 1024,
        checksum=checksum,
        **conditions,
    )
    return upload, transport


def test_an_interrupted_resumable_upload_goes_on(bucket: Any) -> None:
    blob = bucket.blob("name", chunk_size=256 * 1024)
    upload, transport = initiated(blob, LARGE, checksum=None)  # it does not see all that is sent
    upload.transmit_next_chunk(transport)
    cut_off(upload.resumable_url, LARGE, start=256 * 1024, sent=700_000)
    upload._make_invalid()
    upload.recover(transport)
    assert 256 * 1024 < upload.bytes_uploaded <= 256 * 1024 + 700_000
    send_the_rest(upload, transport)
    assert bucket.blob("name").download_as_bytes() == LARGE


def send_the_rest(upload: Any, transport: Any) -> None:
    while not upload.finished:
        upload.transmit_next_chunk(transport)


def cut_off(url: str, data: bytes, start: int, sent: int) -> None:
    """Promises the rest of the data, sends a part of it, and breaks the connection."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = (
            f"PUT {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Content-Length: {len(data) - start}\r\n"
            f"Content-Range: bytes {start}-{len(data) - 1}/{len(data)}\r\n\r\n"
        )
        connection.sendall(head.encode() + data[start : start + sent])
    # The server notices in its own time; it refuses a second request of the upload until then.
    for _ in range(1000):
        response = requests.put(url, headers={"content-range": "bytes */*"}, timeout=30)
        if response.status_code != 503 and f"0-{start - 1}" not in response.headers["range"]:
            return
    raise AssertionError("the server has kept nothing of what was sent")


def test_a_resumable_upload_goes_on_after_a_restart(tmp_path: Path) -> None:
    with running(storage_app(tmp_path)) as url:
        client = client_of(url)
        blob = client.create_bucket("restarted").blob("name")
        upload, transport = initiated(blob, LARGE, if_generation_match=0)
        upload.transmit_next_chunk(transport)
        client.close()
    with running(storage_app(tmp_path)) as url:
        client = client_of(url)
        upload._resumable_url = url + upload.resumable_url.removeprefix(
            "{0.scheme}://{0.netloc}".format(urlsplit(upload.resumable_url))
        )
        upload._make_invalid()
        upload.recover(client._http)
        assert upload.bytes_uploaded == 256 * 1024
        send_the_rest(upload, client._http)
        assert client.bucket("restarted").blob("name").download_as_bytes() == LARGE
        client.close()


def test_the_steps_of_a_resumable_upload(bucket: Any) -> None:
    start = requests.post(
        upload_url(bucket),
        params={"uploadType": "resumable", "name": "name"},
        headers={"x-upload-content-type": "text/plain", "x-upload-content-length": "10"},
        timeout=30,
    )
    url = start.headers["location"]

    def put(content_range: str, data: bytes = b"") -> requests.Response:
        return requests.put(url, data=data, headers={"content-range": content_range}, timeout=30)

    nothing = put("bytes */10")
    assert nothing.status_code == 308
    assert "range" not in nothing.headers
    assert put("bytes 0-3/*", b"0123").headers["range"] == "bytes=0-3"
    assert put("bytes 2-5/10", b"2345").headers["range"] == "bytes=0-5"  # overlaps
    assert put("bytes 8-9/10", b"89").status_code == 400  # leaves a gap
    assert put("bytes 6-9/12", b"6789").status_code == 400  # not the announced size
    assert put("bytes 6-7/10", b"6789").status_code == 400  # more than the range says
    assert put("bytes six-9/10", b"6789").status_code == 400
    done = put("bytes 6-9/10", b"6789")
    assert done.status_code == 200
    assert done.json()["contentType"] == "text/plain"
    assert put("bytes */10").json() == done.json()  # the answer may have been lost
    assert bucket.blob("name").download_as_bytes() == b"0123456789"


def test_a_cancelled_resumable_upload_is_gone(bucket: Any) -> None:
    start = requests.post(
        upload_url(bucket), params={"uploadType": "resumable", "name": "name"}, timeout=30
    )
    url = start.headers["location"]
    assert requests.delete(url, timeout=30).status_code == 499
    assert requests.put(url, data=b"late", timeout=30).status_code == 404


def test_a_stream_of_unknown_length(bucket: Any) -> None:
    with bucket.blob("name", chunk_size=256 * 1024).open("wb") as file:
        for start in range(0, len(LARGE), 100_000):
            file.write(LARGE[start : start + 100_000])
    assert bucket.blob("name").download_as_bytes() == LARGE


@pytest.mark.parametrize("total", ["*", "10"])
@pytest.mark.parametrize("announced", [{}, {"x-upload-content-length": "10"}])
def test_a_range_without_an_end_goes_to_the_end_of_the_body(
    bucket: Any, total: str, announced: dict[str, str]
) -> None:
    where = {"uploadType": "resumable", "name": "name"}
    start = requests.post(upload_url(bucket), params=where, headers=announced, timeout=30)
    url = start.headers["location"]
    first = {"content-range": "bytes 0-3/*"}
    assert requests.put(url, data=b"0123", headers=first, timeout=30).status_code == 308
    rest = {"content-range": f"bytes 4-*/{total}"}
    assert requests.put(url, data=b"456789", headers=rest, timeout=30).status_code == 200
    assert bucket.blob("name").download_as_bytes() == b"0123456789"


def test_a_range_without_an_end_may_come_short(bucket: Any) -> None:
    where = {"uploadType": "resumable", "name": "name"}
    url = requests.post(upload_url(bucket), params=where, timeout=30).headers["location"]
    short = requests.put(url, data=b"012", headers={"content-range": "bytes 0-*/10"}, timeout=30)
    assert (short.status_code, short.headers["range"]) == (308, "bytes=0-2")
