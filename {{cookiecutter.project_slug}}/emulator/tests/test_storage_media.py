"""Downloads on the wire: ranges, headers, and what is stored gzipped."""

import gzip
import os
from typing import Any

import pytest
import requests
from google.api_core.exceptions import RequestRangeNotSatisfiable
from storage_uploading import crc32c, md5

DATA = os.urandom((3 << 20) + 7)


@pytest.fixture
def blob(bucket: Any) -> Any:
    blob = bucket.blob("folder/näme")
    blob.upload_from_string(DATA, content_type="image/png")
    return blob


def addresses(blob: Any, url: str) -> list[str]:
    """All ways to one object's bytes."""
    name = "folder%2Fn%C3%A4me"
    return [
        f"{url}/storage/v1/b/{blob.bucket.name}/o/{name}?alt=media",
        f"{url}/download/storage/v1/b/{blob.bucket.name}/o/{name}?alt=media",
        f"{url}/{blob.bucket.name}/folder/n%C3%A4me",
        f"{url}/{blob.bucket.name}/{name}",
        blob.media_link,
    ]


def test_every_address_gives_the_same(blob: Any, storage_url: str) -> None:
    for address in addresses(blob, storage_url):
        response = requests.get(address, timeout=30)
        assert response.content == DATA, address
        assert response.headers["content-type"] == "image/png"
        assert response.headers["content-length"] == str(len(DATA))
        assert response.headers["accept-ranges"] == "bytes"
        assert response.headers["x-goog-generation"] == str(blob.generation)
        assert response.headers["x-goog-metageneration"] == "1"
        assert response.headers["x-goog-hash"] == f"crc32c={crc32c(DATA)},md5={md5(DATA)}"
        assert response.headers["x-goog-stored-content-length"] == str(len(DATA))
        head = requests.head(address, timeout=30)
        assert head.status_code == 200
        assert not head.content
        assert {**head.headers, "date": ""} == {**response.headers, "date": ""}


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=5-", 5, len(DATA)),
        ("bytes=-5", len(DATA) - 5, len(DATA)),
        (f"bytes=-{len(DATA) + 9}", 0, len(DATA)),
        (f"bytes=1-{len(DATA) + 9}", 1, len(DATA)),
        (f"bytes={len(DATA) - 1}-", len(DATA) - 1, len(DATA)),
        ("bytes=1000-2999999", 1000, 3_000_000),
    ],
)
def test_ranges(blob: Any, storage_url: str, header: str, start: int, end: int) -> None:
    for address in addresses(blob, storage_url):
        response = requests.get(address, headers={"range": header}, timeout=30)
        assert response.status_code == 206
        assert response.content == DATA[start:end]
        assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"


@pytest.mark.parametrize(
    "header", ["bytes=9-5", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,3-4"]
)
def test_a_range_that_makes_no_sense_is_ignored(blob: Any, storage_url: str, header: str) -> None:
    for address in addresses(blob, storage_url):
        response = requests.get(address, headers={"range": header}, timeout=30)
        assert (response.status_code, response.content) == (200, DATA)


@pytest.mark.parametrize("header", [f"bytes={len(DATA)}-", "bytes=9999999999-", "bytes=-0"])
def test_a_range_past_the_end_is_refused(blob: Any, storage_url: str, header: str) -> None:
    for address in addresses(blob, storage_url):
        response = requests.get(address, headers={"range": header}, timeout=30)
        assert response.status_code == 416
        assert response.headers["content-range"] == f"bytes */{len(DATA)}"


def test_the_client_reads_ranges(blob: Any) -> None:
    assert blob.download_as_bytes(start=10, end=19) == DATA[10:20]
    assert blob.download_as_bytes(start=len(DATA) - 3) == DATA[-3:]
    with pytest.raises(RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=len(DATA))
    with blob.open("rb", chunk_size=1 << 20) as file:
        file.seek(100)
        assert file.read(50) == DATA[100:150]
        assert file.read() == DATA[150:]


def test_an_empty_object(bucket: Any, storage_url: str) -> None:
    bucket.blob("empty").upload_from_string(b"")
    url = f"{storage_url}/{bucket.name}/empty"
    assert requests.get(url, timeout=30).headers["content-length"] == "0"
    refused = requests.get(url, headers={"range": "bytes=0-"}, timeout=30)
    assert refused.status_code == 416
    assert refused.headers["content-range"] == "bytes */0"
    in_chunks = bucket.blob("empty", chunk_size=256 * 1024)
    assert in_chunks.download_as_bytes() == b""
    with bucket.blob("empty", chunk_size=256 * 1024).open("rb") as file:
        assert file.read() == b""


def test_what_is_stored_gzipped(bucket: Any, storage_url: str) -> None:
    plain = b"the same line\n" * 300_000
    packed = gzip.compress(plain)
    blob = bucket.blob("lines")
    blob.content_encoding = "gzip"
    blob.upload_from_string(packed, content_type="text/plain")
    assert blob.download_as_bytes() == plain
    assert blob.download_as_bytes(raw_download=True) == packed
    url = f"{storage_url}/{bucket.name}/lines"
    for_curl = requests.get(url, headers={"accept-encoding": "identity"}, timeout=30)
    assert for_curl.content == plain
    assert "content-encoding" not in for_curl.headers
    assert for_curl.headers["x-goog-stored-content-encoding"] == "gzip"
    blob.cache_control = "no-transform"
    blob.patch()
    untouched = requests.get(url, headers={"accept-encoding": "identity"}, stream=True, timeout=30)
    assert untouched.raw.read() == packed
    assert untouched.headers["content-encoding"] == "gzip"


def test_what_only_says_that_it_is_gzipped(bucket: Any, storage_url: str) -> None:
    blob = bucket.blob("lines")
    blob.content_encoding = "gzip"
    blob.upload_from_string(b"plain text")
    url = f"{storage_url}/{bucket.name}/lines"
    response = requests.get(url, headers={"accept-encoding": "identity"}, stream=True, timeout=30)
    assert response.raw.read() == b"plain text"


def test_attributes_become_headers(bucket: Any, storage_url: str) -> None:
    blob = bucket.blob("name")
    blob.metadata = {"color": "grün", "not a header": "x"}
    blob.cache_control = "max-age=60"
    blob.content_disposition = "attachment"
    blob.content_language = "de"
    blob.upload_from_string(b"content")
    blob.content_type = "text/plain\r\nx-injected: yes"
    blob.patch()
    response = requests.get(f"{storage_url}/{bucket.name}/name", timeout=30)
    assert response.headers["cache-control"] == "max-age=60"
    assert response.headers["content-disposition"] == "attachment"
    assert response.headers["content-language"] == "de"
    assert response.headers["x-goog-meta-color"] == "gr%C3%BCn"
    assert response.headers["content-type"] == "text/plain%0D%0Ax-injected: yes"
    assert "x-injected" not in response.headers


def test_errors_have_the_form_of_their_api(bucket: Any, storage_url: str) -> None:
    xml = requests.get(f"{storage_url}/{bucket.name}/absent", timeout=30)
    assert xml.status_code == 404
    assert xml.headers["content-type"].startswith("application/xml")
    assert "<Code>NoSuchKey</Code>" in xml.text
    json = requests.get(
        f"{storage_url}/download/storage/v1/b/{bucket.name}/o/absent?alt=media", timeout=30
    )
    assert json.json()["error"]["errors"][0]["reason"] == "notFound"
