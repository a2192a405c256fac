"""Uploads in numbered parts, through the XML API."""

from pathlib import Path
from typing import Any

import requests
from google.cloud.storage import transfer_manager
from storage_uploading import LARGE, crc32c


def test_chunks_uploaded_concurrently(bucket: Any, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    blob = bucket.blob("a folder/näme+%25")
    transfer_manager.upload_chunks_concurrently(
        str(path), blob, chunk_size=1 << 20, worker_type=transfer_manager.THREAD, max_workers=4
    )
    blob.reload()
    assert blob.crc32c == crc32c(LARGE)
    assert blob.md5_hash is None
    assert blob.component_count == 11
    assert blob.download_as_bytes() == LARGE


def test_what_the_first_request_says_is_kept(bucket: Any) -> None:
    url = f"{bucket.client._connection.API_BASE_URL}/{bucket.name}/parts"
    said = {
        "content-type": "text/plain",
        "x-goog-custom-time": "2024-05-01T12:00:00Z",
        "x-goog-meta-a": "b",
    }
    opened = requests.post(url, params={"uploads": ""}, headers=said, timeout=30)
    upload = opened.text.partition("<UploadId>")[2].partition("</UploadId>")[0]
    where = {"partNumber": "1", "uploadId": upload}
    tag = requests.put(url, params=where, data=b"one", timeout=30).headers["etag"]
    body = f"<C><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></C>"
    requests.post(url, params={"uploadId": upload}, data=body, timeout=30).raise_for_status()
    blob = bucket.get_blob("parts")
    assert (blob.content_type, blob.metadata) == ("text/plain", {"a": "b"})
    assert blob.custom_time.year == 2024
    wrong = {"x-goog-storage-class": "HOT"}
    refused = requests.post(url, params={"uploads": ""}, headers=wrong, timeout=30)
    assert refused.status_code == 400


def test_parts_are_checked(bucket: Any) -> None:
    url = f"{bucket.client._connection.API_BASE_URL}/{bucket.name}/parts"
    opened = requests.post(url, params={"uploads": ""}, timeout=30)
    upload = opened.text.partition("<UploadId>")[2].partition("</UploadId>")[0]

    def put(number: str, data: bytes, **headers: str) -> requests.Response:
        return requests.put(
            url,
            params={"partNumber": number, "uploadId": upload},
            data=data,
            headers=headers,
            timeout=30,
        )

    def complete(*parts: tuple[int, str]) -> requests.Response:
        named = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in parts
        )
        body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>"
        return requests.post(url, params={"uploadId": upload}, data=body, timeout=30)

    assert put("0", b"zero").status_code == 400
    assert put("ten", b"ten").status_code == 400
    corrupt = put("1", b"one", **{"x-goog-hash": f"crc32c={crc32c(b'two')}"})
    assert corrupt.status_code == 400
    assert "<Code>BadDigest</Code>" in corrupt.text
    first, second = put("1", b"one").headers["etag"], put("2", b"two").headers["etag"]
    assert complete((2, second), (1, first)).status_code == 400
    assert complete((1, first), (3, second)).status_code == 400
    assert complete((1, second)).status_code == 400
    assert complete().status_code == 400
    doctype = requests.post(
        url, params={"uploadId": upload}, data="<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", timeout=30
    )
    assert doctype.status_code == 400
    first = put("1", b"ONE").headers["etag"]
    assert complete((1, first), (2, second)).status_code == 200
    assert bucket.blob("parts").download_as_bytes() == b"ONEtwo"
    assert complete((1, first)).status_code == 404


def test_a_cancelled_upload_in_parts_is_gone(bucket: Any) -> None:
    url = f"{bucket.client._connection.API_BASE_URL}/{bucket.name}/parts"
    opened = requests.post(url, params={"uploads": ""}, timeout=30)
    upload = opened.text.partition("<UploadId>")[2].partition("</UploadId>")[0]
    where = {"partNumber": "1", "uploadId": upload}
    assert requests.put(url, params=where, data=b"one", timeout=30).status_code == 200
    assert requests.delete(url, params={"uploadId": upload}, timeout=30).status_code == 204
    late = requests.put(url, params=where, data=b"one", timeout=30)
    assert late.status_code == 404
    assert "<Code>NoSuchUpload</Code>" in late.text
