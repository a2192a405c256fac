"""What is not emulated says so, and is not served in part."""

from typing import Any
from urllib.parse import quote

import pytest
import requests


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/o/name/acl"),
        ("POST", "/o/name/restore"),
        ("GET", "/iam"),
        ("GET", "/acl"),
        ("GET", "/notificationConfigs"),
        ("POST", "/lockRetentionPolicy"),
        ("PUT", "/o"),
    ],
)
def test_what_is_not_emulated_says_so(
    bucket: Any, storage_url: str, method: str, path: str
) -> None:
    url = f"{storage_url}/storage/v1/b/{bucket.name}{path}"
    response = requests.request(method, url, timeout=30)
    assert response.status_code == 501
    error = response.json()["error"]
    assert error["status"] == "UNIMPLEMENTED"
    assert f"{method} /storage/v1/b/{bucket.name}{path}" in error["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("temporaryHold", True), ("kmsKeyName", "key"), ("retention", {"mode": "Locked"})],
)
def test_a_setting_that_is_not_emulated_is_refused(
    bucket: Any, storage_url: str, field: str, value: Any
) -> None:
    bucket.blob("name").upload_from_string(b"content")
    url = f"{storage_url}/storage/v1/b/{bucket.name}/o/{quote('name')}"
    assert requests.patch(url, json={field: value}, timeout=30).status_code == 501
    assert requests.get(url, params={"softDeleted": "true"}, timeout=30).status_code == 501
    public = {"uploadType": "media", "name": "name", "predefinedAcl": "publicRead"}
    upload = f"{storage_url}/upload/storage/v1/b/{bucket.name}/o"
    assert requests.post(upload, params=public, timeout=30).status_code == 501
