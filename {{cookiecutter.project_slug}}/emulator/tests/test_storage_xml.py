"""The XML API: what Polars, obstore, signed URLs and curl use."""

import hashlib
import json
import urllib.parse
from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from xml.etree import ElementTree

import polars
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import service_account
from storage_uploading import LARGE, crc32c, md5


def tree(response: requests.Response) -> ElementTree.Element:
    """The document of an answer, its names without their namespace."""
    assert response.headers["content-type"].startswith("application/xml")
    root = ElementTree.fromstring(response.content)  # noqa: S314, our own server wrote it
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def texts(response: requests.Response, path: str) -> list[str | None]:
    return [element.text for element in tree(response).iterfind(path)]


def code_of(response: requests.Response) -> tuple[int, str | None]:
    return response.status_code, tree(response).findtext("Code")


def address(bucket: Any, name: str = "") -> str:
    base = f"{bucket.client._connection.API_BASE_URL}/{bucket.name}"
    return f"{base}/{urllib.parse.quote(name)}" if name else base


def test_polars_reads_and_writes_a_bucket(bucket: Any, storage_url: str) -> None:
    key = {
        "gcs_base_url": storage_url,
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    options = {"google_service_account_key": json.dumps(key), "allow_http": "true"}
    root = f"gs://{bucket.name}/a folder"
    for part in range(3):
        frame = polars.DataFrame({"row": range(part * 1000, part * 1000 + 1000)})
        frame.write_parquet(f"{root}/{part}.parquet", storage_options=options)
    assert [blob.name for blob in bucket.list_blobs()] == [
        f"a folder/{part}.parquet" for part in range(3)
    ]
    found = polars.scan_parquet(f"{root}/*.parquet", storage_options=options).collect()
    assert found["row"].sort().to_list() == list(range(3000))
    bucket.blob("a folder/table.csv").upload_from_string("a,b\n1,2\n")
    table = polars.scan_csv(f"{root}/table.csv", storage_options=options).collect()
    assert table.rows() == [(1, 2)]


def test_an_object_from_beginning_to_end(bucket: Any) -> None:
    url = address(bucket, "a/näme +%25")
    headers = {
        "content-type": "text/plain",
        "content-encoding": "of-mine",
        "cache-control": "max-age=5",
        "x-goog-meta-color": "red",
        "x-goog-custom-time": "2024-05-01T12:00:00Z",
        "x-goog-storage-class": "NEARLINE",
        "x-goog-if-generation-match": "0",
        "x-goog-hash": f"crc32c={crc32c(LARGE)}",
        "content-md5": md5(LARGE),
    }
    made = requests.put(url, data=LARGE, headers=headers, timeout=30)
    assert (made.status_code, made.content) == (200, b"")
    blob = bucket.get_blob("a/näme +%25")
    assert made.headers["x-goog-generation"] == str(blob.generation)
    assert blob.content_type == "text/plain"
    assert blob.content_encoding == "of-mine"
    assert blob.cache_control == "max-age=5"
    assert blob.metadata == {"color": "red"}
    assert blob.custom_time.year == 2024
    assert blob.storage_class == "NEARLINE"
    found = requests.get(url, stream=True, timeout=30)
    assert found.raw.read() == LARGE
    tag = f'"{hashlib.md5(LARGE, usedforsecurity=False).hexdigest()}"'
    assert found.headers["etag"] == made.headers["etag"] == tag
    assert found.headers["last-modified"] == format_datetime(blob.updated, usegmt=True)
    assert found.headers["x-goog-custom-time"] == "2024-05-01T12:00:00Z"
    again = requests.put(url, data=b"", headers=headers, timeout=30)
    assert code_of(again) == (412, "PreconditionFailed")
    assert requests.delete(url, timeout=30).status_code == 204
    assert code_of(requests.delete(url, timeout=30)) == (404, "NoSuchKey")


def test_what_a_write_refuses(bucket: Any) -> None:
    url = address(bucket, "name")

    def put(**headers: str) -> tuple[int, str | None]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return code_of(requests.put(url, data=b"content", headers=sent, timeout=30))

    assert put(content_md5=md5(b"other")) == (400, "BadDigest")
    assert put(x_goog_storage_class="HOT") == (400, "InvalidArgument")
    assert put(x_goog_if_generation_match="one") == (400, "InvalidArgument")
    assert put(x_goog_content_length_range="0,6") == (400, "EntityTooLarge")
    assert put(x_goog_content_length_range="8,9") == (400, "EntityTooSmall")
    assert put(x_goog_content_length_range="8") == (400, "InvalidArgument")
    assert put(x_goog_acl="public-read") == (400, "NotImplemented")
    assert put(x_goog_object_lock_mode="GOVERNANCE") == (400, "NotImplemented")
    assert put(x_amz_meta_a="b") == (400, "NotImplemented")
    assert not bucket.blob("name").exists()
    allowed = {"x-goog-content-length-range": "0,7", "x-goog-acl": "private"}
    assert requests.put(url, data=b"content", headers=allowed, timeout=30).status_code == 200
    missing = f"{bucket.client._connection.API_BASE_URL}/no-such-bucket/name"
    assert code_of(requests.put(missing, data=b"", timeout=30)) == (404, "NoSuchBucket")


def test_conditions_on_reads(bucket: Any) -> None:
    blob = bucket.blob("name")
    blob.upload_from_string(b"content")
    url = address(bucket, "name")
    tag = requests.head(url, timeout=30).headers["etag"]
    long_ago = format_datetime(blob.updated - timedelta(days=1), usegmt=True)
    later = format_datetime(blob.updated + timedelta(days=1), usegmt=True)
    for header, value, status in (
        ("x-goog-if-generation-match", str(blob.generation), 200),
        ("x-goog-if-generation-match", "1", 412),
        ("x-goog-if-metageneration-match", "2", 412),
        ("if-match", tag, 200),
        ("if-match", '"another"', 412),
        ("if-none-match", tag, 304),
        ("if-modified-since", later, 304),
        ("if-modified-since", long_ago, 200),
        ("if-modified-since", "yesterday", 200),
        ("if-unmodified-since", long_ago, 412),
        ("if-unmodified-since", later, 200),
    ):
        response = requests.get(url, headers={header: value}, timeout=30)
        assert response.status_code == status, (header, value)
    old = {"generation": str(blob.generation - 1)}
    assert requests.get(url, params=old, timeout=30).status_code == 404


def test_copies(bucket: Any) -> None:
    blob = bucket.blob("a source/ü")
    blob.metadata = {"a": "b"}
    blob.upload_from_string(b"content", content_type="text/plain")
    source = {"x-goog-copy-source": f"/{bucket.name}/a%20source/%C3%BC"}

    def copy(name: str, **headers: str) -> requests.Response:
        sent = source | {key.replace("_", "-"): value for key, value in headers.items()}
        return requests.put(address(bucket, name), headers=sent, timeout=30)

    assert tree(copy("same")).findtext("ETag")
    same = bucket.get_blob("same")
    assert (same.download_as_bytes(), same.metadata) == (b"content", {"a": "b"})
    assert copy("new", x_goog_metadata_directive="REPLACE", content_type="a/b").status_code == 200
    new = bucket.get_blob("new")
    assert (new.content_type, new.metadata) == ("a/b", None)
    assert copy("never", x_goog_copy_source_if_generation_match="1").status_code == 412
    assert copy("same", x_goog_if_generation_match="0").status_code == 412
    assert copy("never", x_goog_metadata_directive="KEEP").status_code == 400
    assert copy("never", x_goog_copy_source="no-slash").status_code == 400
    assert not bucket.blob("never").exists()


def test_a_bucket_is_there_or_not(bucket: Any) -> None:
    for url in (address(bucket), address(bucket) + "/"):
        assert requests.head(url, timeout=30).status_code == 200
        assert tree(requests.get(url, timeout=30)).findtext("Name") == bucket.name
    absent = f"{bucket.client._connection.API_BASE_URL}/no-such-bucket"
    assert requests.head(absent, timeout=30).status_code == 404
    for query in ("", "?list-type=2", "?max-keys=0"):
        found = requests.get(absent + query, timeout=30)
        assert code_of(found) == (404, "NoSuchBucket")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_lists_by_the_page(bucket: Any, version: int, delimiter: str) -> None:
    names = ["a", "b c+ü", "d/e", "d/f/g", "dd", "z/1", "z/2"]
    for name in names:
        bucket.blob(name).upload_from_string(name)
    listed: list[str | None] = []
    folded: list[str | None] = []
    query = {"max-keys": "2", "delimiter": delimiter}
    if version == 2:
        query["list-type"] = "2"
    for _ in names:
        page = requests.get(address(bucket), params=query, timeout=30)
        listed += texts(page, "Contents/Key")
        folded += texts(page, "CommonPrefixes/Prefix")
        if tree(page).findtext("IsTruncated") == "false":
            break
        if version == 2:
            query["continuation-token"] = tree(page).findtext("NextContinuationToken") or ""
        else:
            query["marker"] = tree(page).findtext("NextMarker") or ""
    if delimiter:
        assert (listed, folded) == (["a", "b c+ü", "dd"], ["d/", "z/"])
    else:
        assert (listed, folded) == (names, [])


def test_what_a_list_says_of_an_object(bucket: Any) -> None:
    blob = bucket.blob("folder/name &<ü>")
    blob.upload_from_string(b"content")
    bucket.blob("folder/a").upload_from_string(b"")
    query = {"list-type": "2", "prefix": "folder/", "start-after": "folder/a"}
    content = tree(requests.get(address(bucket), params=query, timeout=30)).find("Contents")
    assert content is not None
    assert {element.tag: element.text for element in content} == {
        "Key": "folder/name &<ü>",
        "Generation": str(blob.generation),
        "MetaGeneration": "1",
        "LastModified": blob.updated.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "ETag": f'"{hashlib.md5(b"content", usedforsecurity=False).hexdigest()}"',
        "Size": "7",
        "StorageClass": "STANDARD",
    }
    encoded = requests.get(address(bucket), params={"encoding-type": "url"}, timeout=30)
    assert texts(encoded, "Contents/Key") == ["folder/a", "folder/name%20%26%3C%C3%BC%3E"]


def test_names_that_xml_cannot_hold(bucket: Any) -> None:
    bucket.blob("bell\a").upload_from_string(b"")
    refused = requests.get(address(bucket), timeout=30)
    assert refused.status_code == 400
    assert "encoding-type=url" in (tree(refused).findtext("Message") or "")
    encoded = requests.get(address(bucket), params={"encoding-type": "url"}, timeout=30)
    assert texts(encoded, "Contents/Key") == ["bell%07"]


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "", "acl"),
        ("GET", "", "uploads"),
        ("GET", "", "versions"),
        ("PUT", "", ""),
        ("DELETE", "", ""),
        ("GET", "/name", "acl"),
        ("GET", "/name", "tagging"),
        ("GET", "/name", "response-expires=0"),
        ("PUT", "/name", "compose"),
        ("POST", "/name", ""),
        ("GET", "/name", "uploadId=x"),
    ],
)
def test_what_is_not_emulated_says_so(bucket: Any, method: str, path: str, query: str) -> None:
    bucket.blob("name").upload_from_string(b"content")
    url = f"{address(bucket)}{path}?{query}"
    assert code_of(requests.request(method, url, timeout=30)) == (400, "NotImplemented")
    assert bucket.blob("name").download_as_bytes() == b"content"


@pytest.mark.parametrize(
    "query",
    ["list-type=3", "encoding-type=base64", "max-keys=-1", "list-type=2&continuation-token=%C3"],
)
def test_lists_that_are_asked_for_wrongly(bucket: Any, query: str) -> None:
    response = requests.get(f"{address(bucket)}?{query}", timeout=30)
    assert code_of(response) == (400, "InvalidArgument")


@pytest.fixture(scope="module")
def signer() -> Any:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return service_account.Credentials.from_service_account_info(
        {
            "client_email": "signer@test-project.iam.gserviceaccount.com",
            "private_key": pem.decode(),
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_signed_urls(bucket: Any, storage_url: str, signer: Any, version: str) -> None:
    blob = bucket.blob("a folder/näme")

    def signed(method: str, **more: Any) -> str:
        url: str = blob.generate_signed_url(
            expiration=timedelta(minutes=5),
            version=version,
            api_access_endpoint=storage_url,
            credentials=signer,
            method=method,
            **more,
        )
        return url

    put = signed("PUT", content_type="text/plain")
    plain = {"content-type": "text/plain"}
    assert requests.put(put, data=b"content", headers=plain, timeout=30).status_code == 200
    named = signed("GET", response_disposition="attachment; filename=a.txt", response_type="a/b")
    found = requests.get(named, timeout=30)
    assert found.content == b"content"
    assert found.headers["content-disposition"] == "attachment; filename=a.txt"
    assert found.headers["content-type"] == "a/b"
    begun = requests.post(signed("RESUMABLE"), headers={"x-goog-resumable": "start"}, timeout=30)
    assert begun.status_code == 201
    sent = requests.put(begun.headers["location"], data=b"again", timeout=30)
    assert sent.status_code == 200
    assert blob.download_as_bytes() == b"again"
    assert requests.delete(signed("DELETE"), timeout=30).status_code == 204


def test_an_html_object_has_no_origin(bucket: Any, storage_url: str) -> None:
    blob = bucket.blob("page.html")
    blob.upload_from_string("<script>fetch('/v1/…')</script>", content_type="text/html")
    for url in (
        address(bucket, "page.html"),
        f"{storage_url}/storage/v1/b/{bucket.name}/o/page.html?alt=media",
        blob.media_link,
    ):
        for method in ("GET", "HEAD"):
            headers = requests.request(method, url, timeout=30).headers
            assert headers["content-security-policy"] == "sandbox"
            assert headers["x-content-type-options"] == "nosniff"
