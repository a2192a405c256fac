"""Requests that no client would send: none breaks the server, none leaves the data folder."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = 2_000
BUCKETS = ["fuzzed", "fuzzed-too"]
NAMES = ["name", "other", "a/b", "../../escaped", "..", "%2e%2e", "", "ü", "\ud800", "\0"]

_document = json.loads(
    (files("googleapiclient.discovery_cache.documents") / "storage.v1.json").read_text()
)


def _methods(resource: dict[str, Any]) -> list[tuple[str, str, list[str], str]]:
    """Lists HTTP method, path, parameters of the query and schema of the body."""
    found = []
    for method in resource.get("methods", {}).values():
        query = [
            name for name, each in method["parameters"].items() if each["location"] == "query"
        ] + ["fields", "alt", "uploadType", "upload_id", "uploads", "uploadId", "partNumber"]
        body = method.get("request", {}).get("$ref", "Object")
        uploads = method.get("mediaUpload", {}).get("protocols", {}).values()
        paths = [f"/storage/v1/{method['path']}", *(each["path"] for each in uploads)]
        found += [(method["httpMethod"], path, query, body) for path in paths]
    for below in resource.get("resources", {}).values():
        found += _methods(below)
    return found


_UPLOAD, _PARTS = ["upload_id", "name"], ["uploads", "uploadId", "partNumber"]
_METHODS = [
    *_methods(_document),
    ("PUT", "/upload/storage/v1/b/{bucket}/o", _UPLOAD, "Object"),
    ("DELETE", "/upload/storage/v1/b/{bucket}/o", _UPLOAD, "Object"),
    ("GET", "/download/storage/v1/b/{bucket}/o/{object}", ["alt", "generation"], "Object"),
    ("GET", "/{bucket}/{object}", _PARTS, "Object"),
    ("PUT", "/{bucket}/{object}", _PARTS, "Object"),
    ("POST", "/{bucket}/{object}", _PARTS, "Object"),
    ("DELETE", "/{bucket}/{object}", _PARTS, "Object"),
]

# Tried more often than their number would have it, for they do more than refuse.
_EMULATED = [
    method
    for method in _METHODS
    if re.fullmatch(r".*?/(b|\{\w*ucket\}|o|\{\w*bject\}|\w+To)", method[1])
]

texts = st.sampled_from(NAMES) | st.text(max_size=20)
buckets = st.sampled_from(BUCKETS * 5 + NAMES)
numbers = st.sampled_from(["0", "1", "-1", "9" * 25, "true", "media", "multipart", "resumable"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
headers = st.dictionaries(
    st.sampled_from(
        [
            "range",
            "content-range",
            "content-type",
            "x-goog-hash",
            "content-md5",
            "if-match",
            "if-none-match",
            "x-upload-content-length",
            "accept-encoding",
        ]
    ),
    st.sampled_from(
        [
            "bytes=0-",
            "bytes=5-1",
            "bytes 0-3/4",
            "bytes */*",
            "bytes 9-3/*",
            "multipart/related; boundary=x",
            "multipart/mixed; boundary=x",
            "crc32c=AAAA,md5=",
            "*",
            "-1",
            "99",
            "gzip",
        ]
    ),
    max_size=3,
)


@st.composite
def fuzzed_requests(draw: st.DrawFn) -> dict[str, Any]:
    method, template, query, schema = draw(st.sampled_from(_EMULATED) | st.sampled_from(_METHODS))

    def fill(parameter: re.Match[str]) -> str:
        text = draw(buckets if "ucket" in parameter[0] else texts)
        return quote(text.encode("utf-8", "surrogatepass"), safe="")

    path = re.sub(r"\{[^}]*\}", fill, template)
    fields = list(_document["schemas"][schema].get("properties", {})) or ["name"]
    body = draw(
        st.dictionaries(st.sampled_from(fields) | texts, values, max_size=4).map(
            lambda document: json.dumps(document).encode()
        )
        | st.just(b"")
        | st.just(b'{"name": "name", "metadata": {"a": "b"}}')
        | st.binary(max_size=40)
        | st.just(b"--x\r\n\r\n{}\r\n--x\r\n\r\nmedia\r\n--x--")
    )
    chosen = draw(st.dictionaries(st.sampled_from(query), numbers | texts, max_size=4))
    pairs = {name: text.encode("utf-8", "surrogatepass") for name, text in chosen.items()}
    return {
        "method": method,
        "path": path,
        "params": pairs,
        "data": body,
        "headers": draw(headers),
    }


@pytest.fixture(scope="module")
def fuzzed_buckets(storage_app_and_url: tuple[Any, str]) -> None:
    for name in BUCKETS:
        url = f"{storage_app_and_url[1]}/storage/v1/b"
        requests.post(url, params={"project": "p"}, json={"name": name}, timeout=30)
        upload = f"{storage_app_and_url[1]}/upload/storage/v1/b/{name}/o"
        for each in ("name", "other"):
            query = {"uploadType": "media", "name": each}
            requests.post(upload, params=query, data=b"content", timeout=30)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(fuzzed_request=fuzzed_requests())
def test_no_request_breaks_the_server(
    storage_url: str, fuzzed_buckets: None, fuzzed_request: dict[str, Any]
) -> None:
    sent = dict(fuzzed_request)
    response = requests.request(url=storage_url + sent.pop("path"), timeout=30, **sent)
    assert response.status_code != 500, response.text
    assert response.status_code < 600


def test_no_request_left_the_data_folder(storage_data_dir: Path) -> None:
    assert not list(storage_data_dir.parent.rglob("*escaped*"))
    names = {path.name for path in storage_data_dir.iterdir()}
    assert names <= {"blobs", "emulator.sqlite", "emulator.sqlite-wal", "emulator.sqlite-shm"}
    blobs = storage_data_dir / "blobs"
    inside = [path.relative_to(blobs).as_posix() for path in blobs.rglob("*")]
    assert all(re.fullmatch("[0-9a-f]{2}(/[0-9a-f]{32})?", path) for path in inside)
