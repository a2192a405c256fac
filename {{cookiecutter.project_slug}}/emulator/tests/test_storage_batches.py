"""Several calls in one request."""

from typing import Any

import pytest
import requests
from google.api_core.exceptions import NotFound


def test_batches(bucket: Any, storage_client: Any) -> None:
    names = ["plain", "with space/ü%2F", "a//b"]
    for name in names:
        bucket.blob(name).upload_from_string(b"content")
    with storage_client.batch():
        found = [bucket.get_blob(name) for name in names]
        patched = bucket.blob("plain")
        patched.metadata = {"ü": "ä"}
        patched.patch()
    assert [blob.size for blob in found] == [7, 7, 7]
    assert bucket.get_blob("plain").metadata == {"ü": "ä"}
    with pytest.raises(NotFound):
        delete_together(bucket, "plain", "absent", "a//b")
    assert [blob.name for blob in bucket.list_blobs()] == ["with space/ü%2F"]
    with storage_client.batch(raise_exception=False) as batch:
        bucket.delete_blob("absent")
        bucket.delete_blob("with space/ü%2F")
    assert [response.status_code for response in batch._responses] == [404, 204]


def delete_together(bucket: Any, *names: str) -> None:
    with bucket.client.batch():
        for name in names:
            bucket.delete_blob(name)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("", "multipart/mixed; boundary=b"),
        ("nothing", "multipart/mixed"),
        ("{}", "application/json"),
        ("--b\r\n\r\n\r\n--b--", "multipart/mixed; boundary=b"),
        ("--b\r\n\r\nnonsense\r\n--b--", "multipart/mixed; boundary=b"),
        (
            "".join(
                f"--b{n}\r\nContent-Type: multipart/mixed; boundary=b{n + 1}\r\n\r\n"
                for n in range(20_000)
            ),
            "multipart/mixed; boundary=b0",
        ),
    ],
)
def test_a_malformed_batch_is_refused(storage_url: str, body: str, content_type: str) -> None:
    response = requests.post(
        f"{storage_url}/batch/storage/v1",
        data=body,
        headers={"content-type": content_type},
        timeout=30,
    )
    assert response.status_code == 400
