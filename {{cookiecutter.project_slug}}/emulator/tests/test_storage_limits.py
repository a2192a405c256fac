"""What is not emulated says so, and is not served in part."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from vertex_emulator import storage_api
from vertex_emulator.storage_api.resources import BUCKET_NOT_EMULATED, OBJECT_NOT_EMULATED
from vertex_emulator.storage_api.shapes import BUCKET, BUCKET_OUTPUT, OBJECT, OBJECT_OUTPUT

DESCRIBED = json.loads(
    (files("googleapiclient.discovery_cache.documents") / "storage.v1.json").read_text()
)
SERVED = {
    "buckets": {"delete", "get", "getStorageLayout", "insert", "list", "patch", "update"},
    "objects": {
        *("compose", "copy", "delete", "get", "insert", "list", "move", "patch", "rewrite"),
        *("restore", "update"),
    },
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/o/name/acl"),
        ("POST", "/o/bulkRestore"),
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
    error = refusal(response)
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
    refusal(requests.patch(url, json={field: value}, timeout=30))
    refusal(requests.get(url, params={"restoreToken": "token"}, timeout=30))
    public = {"uploadType": "media", "name": "name", "predefinedAcl": "publicRead"}
    upload = f"{storage_url}/upload/storage/v1/b/{bucket.name}/o"
    refusal(requests.post(upload, params=public, timeout=30))


def test_every_parameter_that_google_describes_is_served_or_refused() -> None:
    folder = Path(storage_api.__file__).parent
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    unknown = {
        f"{kind}.{name}: {parameter}"
        for kind in ("buckets", "objects")
        for name, method in DESCRIBED["resources"][kind]["methods"].items()
        if name in SERVED[kind]
        for parameter, described in method["parameters"].items()
        if described["location"] == "query"
        and not parameter.startswith(("ifGeneration", "ifMetageneration", "ifSource"))
        and f'"{parameter}"' not in code
    }
    assert not unknown


def test_every_field_that_google_describes_is_kept_refused_or_googles_own() -> None:
    for schema, kept, output, refused in (
        ("Bucket", BUCKET, BUCKET_OUTPUT, BUCKET_NOT_EMULATED),
        ("Object", OBJECT, OBJECT_OUTPUT, OBJECT_NOT_EMULATED),
    ):
        described = set(DESCRIBED["schemas"][schema]["properties"])
        assert described == {*kept, *output, *refused}
        assert len(described) == len(kept) + len(output) + len(refused)


@pytest.mark.parametrize("field", ["acl", "customerEncryption", "metadata", "zzz"])
@pytest.mark.parametrize("depth", [60, 900, 1010, 100_000])
def test_a_body_that_nests_too_deep_is_refused(
    bucket: Any, storage_url: str, field: str, depth: int
) -> None:
    bucket.blob("name").upload_from_string(b"content")
    body = b'{"%s":' % field.encode() + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    for path in ("", "/o/name"):
        url = f"{storage_url}/storage/v1/b/{bucket.name}{path}"
        assert requests.patch(url, data=body, timeout=30).status_code == 400


def refusal(response: requests.Response) -> dict[str, Any]:
    """The error of what is not emulated: clients send a 501 again for half a minute."""
    error: dict[str, Any] = response.json()["error"]
    assert response.status_code == 400
    assert error["status"] == "UNIMPLEMENTED"
    assert error["errors"][0]["reason"] == "notImplemented"
    return error
