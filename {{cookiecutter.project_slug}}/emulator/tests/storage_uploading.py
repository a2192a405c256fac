"""Ways of uploading, and the hashes of what was uploaded, as Cloud Storage writes them."""

import base64
import hashlib
import io
import os
from typing import Any

import google_crc32c
import requests
from google.api_core.exceptions import PreconditionFailed

LARGE = os.urandom((10 << 20) + 12_345)  # past what the client sends in one multipart request


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def upload_multipart(bucket: Any, name: str, data: bytes, **conditions: int) -> None:
    bucket.blob(name).upload_from_string(data, **conditions)


def upload_resumable(bucket: Any, name: str, data: bytes, **conditions: int) -> None:
    blob = bucket.blob(name, chunk_size=256 * 1024)
    blob.upload_from_file(io.BytesIO(data), size=len(data), **conditions)


def upload_simple(bucket: Any, name: str, data: bytes, **conditions: int) -> None:
    spelled: dict[str, str | int] = {
        "".join(word.title() if index else word for index, word in enumerate(key.split("_"))): value
        for key, value in conditions.items()
    }
    response = requests.post(
        upload_url(bucket),
        params=spelled | {"uploadType": "media", "name": name},
        data=data,
        timeout=30,
    )
    if response.status_code == 412:
        raise PreconditionFailed(response.json()["error"]["message"])
    response.raise_for_status()


def upload_url(bucket: Any) -> str:
    return f"{bucket.client._connection.API_BASE_URL}/upload/storage/v1/b/{bucket.name}/o"
