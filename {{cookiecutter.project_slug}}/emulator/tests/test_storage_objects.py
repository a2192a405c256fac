"""Objects: their names, copies, changes and ends, through google-cloud-storage."""

from typing import Any

import pytest
import requests
from google.api_core.exceptions import (
    BadRequest,
    NotFound,
    NotModified,
    PreconditionFailed,
)
from google.cloud.storage import transfer_manager
from storage_uploading import crc32c

NAMES = [
    "a//b",
    "/leading",
    "trailing/",
    "//",
    "with space",
    "per%25cent and %2F",
    "+&?#=;,:@$!'()*[]{}\\^`|~\"<>",
    "Ünïcödé/日本語/🎉",
    "..hidden/../../etc/passwd",
    "C:\\con",
    "tab\tand\0null",
    "n" * 1024,
    "acl/compose/rewriteTo/b/x/o/y",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_only_a_name(bucket: Any, name: str) -> None:
    blob = bucket.blob(name)
    blob.upload_from_string(b"content")
    assert [found.name for found in bucket.list_blobs()] == [name]
    assert bucket.get_blob(name).name == name
    assert bucket.blob(name).download_as_bytes() == b"content"
    assert bucket.copy_blob(blob, bucket, name[:-1] + "2").name == name[:-1] + "2"
    by_link = requests.get(blob.media_link, timeout=30)
    assert by_link.content == b"content"
    blob.delete()
    assert bucket.get_blob(name) is None


def test_names_that_begin_alike_are_apart(bucket: Any) -> None:
    for name in ("d", "d/e", "d/", "d//", "D"):
        bucket.blob(name).upload_from_string(name)
    assert {blob.name: blob.download_as_text() for blob in bucket.list_blobs()} == {
        name: name for name in ("D", "d", "d/", "d//", "d/e")
    }
    bucket.delete_blob("d/")
    assert [blob.name for blob in bucket.list_blobs()] == ["D", "d", "d//", "d/e"]


@pytest.mark.parametrize("name", ["", ".", "..", "line\nend", "n" * 1025, "ü" * 513])
def test_a_name_against_the_rules_is_refused(bucket: Any, storage_url: str, name: str) -> None:
    response = requests.post(
        f"{storage_url}/upload/storage/v1/b/{bucket.name}/o",
        params={"uploadType": "media", "name": name},
        data=b"content",
        timeout=30,
    )
    assert response.status_code == 400
    assert "name" in response.json()["error"]["message"]
    assert not list(bucket.list_blobs())


def test_names_that_are_not_utf8_are_refused(bucket: Any, storage_url: str) -> None:
    url = f"{storage_url}/storage/v1/b/{bucket.name}/o/%ff"
    assert requests.get(url, timeout=30).status_code == 400
    assert (
        requests.post(f"{url}/compose", json={"sourceObjects": []}, timeout=30).status_code == 400
    )


def test_generations_only_grow(bucket: Any) -> None:
    generations = []
    for _ in range(20):
        blob = bucket.blob("name")
        blob.upload_from_string(b"content")
        generations.append(blob.generation)
        blob.delete()
    assert generations == sorted(set(generations))


def test_an_older_generation_is_not_there(bucket: Any) -> None:
    blob = bucket.blob("name")
    blob.upload_from_string(b"first")
    first = blob.generation
    blob.upload_from_string(b"second")
    assert bucket.get_blob("name", generation=first) is None
    assert bucket.get_blob("name", generation=blob.generation) is not None
    with pytest.raises(NotFound):
        bucket.blob("name", generation=first).download_as_bytes()
    with pytest.raises(NotFound):
        bucket.delete_blob("name", generation=first)
    assert bucket.blob("name").download_as_bytes() == b"second"


def test_conditions_of_reads(bucket: Any) -> None:
    blob = bucket.blob("name")
    blob.upload_from_string(b"content")
    now = blob.generation
    assert bucket.get_blob("name", if_generation_match=now, if_metageneration_match=1)
    assert bucket.blob("name").download_as_bytes(if_generation_match=now) == b"content"
    for read in (blob.reload, blob.download_as_bytes):
        for condition in (
            {"if_generation_match": now + 1},
            {"if_generation_match": 0},
            {"if_metageneration_match": 2},
            {"if_etag_match": "another"},
        ):
            with pytest.raises(PreconditionFailed):
                read(**condition)
        for condition in (
            {"if_generation_not_match": now},
            {"if_metageneration_not_match": 1},
            {"if_etag_not_match": blob.etag},
        ):
            with pytest.raises(NotModified):
                read(**condition)


def test_conditions_of_deletes(bucket: Any) -> None:
    blob = bucket.blob("name")
    blob.upload_from_string(b"content")
    for condition in (
        {"if_generation_match": blob.generation + 1},
        {"if_generation_not_match": blob.generation},
        {"if_metageneration_match": 2},
        {"if_metageneration_not_match": 1},
    ):
        with pytest.raises(PreconditionFailed):
            blob.delete(**condition)
    assert blob.exists()
    blob.delete(if_generation_match=blob.generation, if_metageneration_match=1)
    assert not blob.exists()
    with pytest.raises(NotFound):
        blob.delete()


def test_patches_and_updates(bucket: Any) -> None:
    blob = bucket.blob("name")
    blob.metadata = {"kept": "1", "dropped": "2"}
    blob.cache_control = "no-store"
    blob.upload_from_string(b"content", content_type="text/plain")
    generation, updated = blob.generation, blob.updated
    blob.metadata = {"kept": "1", "dropped": None, "added": "3"}
    blob.content_language = "en"
    blob.patch(if_metageneration_match=1)
    found = bucket.get_blob("name")
    assert found.metadata == {"kept": "1", "added": "3"}
    assert (found.content_language, found.cache_control) == ("en", "no-store")
    assert (found.generation, found.metageneration) == (generation, 2)
    assert found.updated > updated
    for condition in (
        {"if_generation_match": generation + 1},
        {"if_metageneration_match": 1},
        {"if_metageneration_not_match": 2},
    ):
        blob.content_language = "fr"
        with pytest.raises(PreconditionFailed):
            blob.patch(**condition)
    fresh = bucket.blob("name")
    fresh.content_type = "text/html"
    fresh.update()
    found = bucket.get_blob("name")
    assert (found.content_type, found.metadata, found.cache_control) == ("text/html", None, None)
    assert found.metageneration == 3
    assert found.storage_class == "STANDARD"
    with pytest.raises(NotFound):
        bucket.blob("absent").patch()


@pytest.mark.parametrize(
    "document",
    [
        {"contentType": 5},
        {"metadata": ["a"]},
        {"metadata": {"a": 1}},
        {"customTime": "yesterday"},
        {"customTime": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_a_field_of_the_wrong_type_is_refused(
    bucket: Any, storage_url: str, document: dict[str, Any]
) -> None:
    bucket.blob("name").upload_from_string(b"content")
    url = f"{storage_url}/storage/v1/b/{bucket.name}/o/name"
    response = requests.patch(url, json=document, timeout=30)
    assert response.status_code == 400
    assert next(iter(document)) in response.json()["error"]["message"]
    assert bucket.get_blob("name").metageneration == 1


def test_copies(bucket: Any, storage_client: Any) -> None:
    other = storage_client.create_bucket(f"{bucket.name}-other")
    blob = bucket.blob("name")
    blob.metadata = {"a": "b"}
    blob.upload_from_string(b"content", content_type="text/plain")
    copy = bucket.copy_blob(blob, other, "copy", if_generation_match=0)
    blob.upload_from_string(b"changed")
    assert other.blob("copy").download_as_bytes() == b"content"
    assert (copy.metadata, copy.content_type) == ({"a": "b"}, "text/plain")
    with pytest.raises(PreconditionFailed):
        bucket.copy_blob(blob, other, "copy", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.copy_blob(blob, other, "copy", if_source_generation_match=1)
    with pytest.raises(PreconditionFailed):
        bucket.copy_blob(blob, other, "copy", if_source_metageneration_not_match=1)
    with pytest.raises(NotFound):
        bucket.copy_blob(bucket.blob("absent"), other, "copy")
    with pytest.raises(NotFound):
        bucket.copy_blob(blob, storage_client.bucket("no-such-bucket"), "copy")
    bucket.copy_blob(blob, bucket, "name")  # onto itself
    assert bucket.blob("name").download_as_bytes() == b"changed"


def test_rewrites(bucket: Any) -> None:
    source = bucket.blob("name")
    source.metadata = {"a": "b"}
    source.upload_from_string(b"content", content_type="text/plain")
    copy = bucket.blob("copy")
    token, rewritten, total = copy.rewrite(source)
    assert (token, rewritten, total) == (None, 7, 7)
    assert copy.metadata == {"a": "b"}
    described = bucket.blob("described")
    described.content_type = "text/html"
    described.rewrite(source)
    assert bucket.get_blob("described").content_type == "text/html"
    assert bucket.get_blob("described").metadata is None
    with pytest.raises(PreconditionFailed):
        copy.rewrite(source, if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        copy.rewrite(source, if_source_generation_match=1)
    source.update_storage_class("COLDLINE")
    assert bucket.get_blob("name").storage_class == "COLDLINE"
    assert bucket.get_blob("name").download_as_bytes() == b"content"


def test_moves(bucket: Any) -> None:
    blob = bucket.blob("name")
    blob.metadata = {"a": "b"}
    blob.upload_from_string(b"content")
    generation = blob.generation
    bucket.blob("target/x").upload_from_string(b"overwritten")
    with pytest.raises(PreconditionFailed):
        bucket.move_blob(blob, "target/x", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.move_blob(blob, "target/x", if_source_generation_match=generation + 1)
    moved = bucket.move_blob(blob, "target/x", if_source_generation_match=generation)
    assert (moved.name, moved.metadata) == ("target/x", {"a": "b"})
    assert moved.generation > generation
    assert [found.name for found in bucket.list_blobs()] == ["target/x"]
    assert moved.download_as_bytes() == b"content"
    with pytest.raises(NotFound):
        bucket.move_blob(blob, "again")
    with pytest.raises(BadRequest):
        bucket.move_blob(moved, "target/x")


def test_compositions(bucket: Any) -> None:
    pieces = []
    for number in range(3):
        piece = bucket.blob(f"piece-{number}")
        piece.upload_from_string(bytes([65 + number]) * 1000)
        pieces.append(piece)
    whole = bucket.blob("whole")
    whole.content_type = "text/plain"
    whole.compose(pieces, if_generation_match=0)
    expected = b"A" * 1000 + b"B" * 1000 + b"C" * 1000
    found = bucket.get_blob("whole")
    assert found.download_as_bytes() == expected
    assert (found.component_count, found.md5_hash, found.content_type) == (3, None, "text/plain")
    assert found.crc32c == crc32c(expected)
    with pytest.raises(PreconditionFailed):
        whole.compose(pieces, if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        whole.compose(pieces[:2], if_source_generation_match=[pieces[0].generation, 1])
    whole.compose([whole, pieces[0]], if_source_generation_match=[None, pieces[0].generation])
    assert bucket.get_blob("whole").component_count == 4
    assert whole.download_as_bytes() == expected + b"A" * 1000
    with pytest.raises(NotFound, match="absent"):
        whole.compose([bucket.blob("absent")])
    with pytest.raises(BadRequest):
        whole.compose(pieces * 11)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"sourceObjects": "name"},
        {"sourceObjects": [{}]},
        {"sourceObjects": ["name"]},
        {"sourceObjects": [{"name": "name", "generation": "new"}]},
        {"sourceObjects": [{"name": "name", "objectPreconditions": 1}]},
        {"sourceObjects": [{"name": "name"}], "destination": "other"},
    ],
)
def test_a_malformed_composition_is_refused(
    bucket: Any, storage_url: str, document: dict[str, Any]
) -> None:
    url = f"{storage_url}/storage/v1/b/{bucket.name}/o/whole/compose"
    assert requests.post(url, json=document, timeout=30).status_code == 400


def test_many_transfers_at_once(bucket: Any, tmp_path: Any) -> None:
    names = [f"folder {number % 3}/file-{number}" for number in range(40)]
    for name in names:
        (tmp_path / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / name).write_bytes(name.encode() * 1000)
    uploads = transfer_manager.upload_many_from_filenames(
        bucket, names, str(tmp_path / "up"), worker_type="thread", max_workers=8
    )
    assert uploads == [None] * 40
    downloads = transfer_manager.download_many_to_path(
        bucket, names, str(tmp_path / "down"), worker_type="thread", max_workers=8
    )
    assert downloads == [None] * 40
    for name in names:
        assert (tmp_path / "down" / name).read_bytes() == name.encode() * 1000


def test_compose_may_delete_its_sources(bucket: Any, storage_url: str) -> None:
    for name in ("a", "b", "kept", "whole"):
        bucket.blob(name).upload_from_string(name)
    url = f"{storage_url}/storage/v1/b/{bucket.name}/o/whole/compose"
    sources = [{"name": name} for name in ("whole", "a", "b", "a")]
    body = {"sourceObjects": sources, "deleteSourceObjects": True}
    assert requests.post(url, json=body, timeout=30).status_code == 200
    assert [blob.name for blob in bucket.list_blobs()] == ["kept", "whole"]
    assert bucket.blob("whole").download_as_bytes() == b"wholeaba"
    for wrong in ({"deleteSourceObjects": "yes"}, {"deleteSources": True}):
        body = {"sourceObjects": [{"name": "kept"}], **wrong}
        assert requests.post(url, json=body, timeout=30).status_code == 400


def test_a_custom_time_never_goes_back(bucket: Any, storage_url: str) -> None:
    blob = bucket.blob("name")
    blob.upload_from_string(b"content")
    url = f"{storage_url}/storage/v1/b/{bucket.name}/o/name"

    def patch(value: str | None) -> tuple[int, str | None]:
        response = requests.patch(url, json={"customTime": value}, timeout=30)
        kept = requests.get(url, timeout=30).json().get("customTime")
        return response.status_code, kept

    assert patch("2024-05-01T12:00:00Z") == (200, "2024-05-01T12:00:00Z")
    assert patch("2024-05-01T14:00:00.25+02:00") == (200, "2024-05-01T12:00:00.250Z")
    assert patch("2024-05-01T12:00:00Z") == (400, "2024-05-01T12:00:00.250Z")
    assert patch(None) == (400, "2024-05-01T12:00:00.250Z")
    assert requests.put(url, json={}, timeout=30).status_code == 400
    rewritten = f"{url}/rewriteTo/b/{bucket.name}/o/name"
    earlier = {"customTime": "2020-01-01T00:00:00Z"}
    assert requests.post(rewritten, json=earlier, timeout=30).status_code == 200
    assert bucket.get_blob("name").custom_time.year == 2020


def test_a_number_that_no_object_has_matches_nothing(bucket: Any, storage_url: str) -> None:
    bucket.blob("name").upload_from_string(b"content")
    url = f"{storage_url}/storage/v1/b/{bucket.name}/o/name"
    for number in ("-1", "9223372036854775807"):
        for name in ("ifGenerationMatch", "ifMetagenerationMatch"):
            assert requests.get(url, params={name: number}, timeout=30).status_code == 412
        passed = requests.get(url, params={"ifGenerationNotMatch": number}, timeout=30)
        assert passed.status_code == 200
    for number in ("9223372036854775808", "1.0", "one"):
        wrong = requests.get(url, params={"ifGenerationMatch": number}, timeout=30)
        assert wrong.status_code == 400


@pytest.mark.parametrize("document", [{"contentTyp": "a/b"}, {"storageClass": "HOT"}])
def test_a_field_that_is_wrong_is_refused(
    bucket: Any, storage_url: str, document: dict[str, str]
) -> None:
    bucket.blob("name").upload_from_string(b"content")
    url = f"{storage_url}/storage/v1/b/{bucket.name}/o/name"
    response = requests.patch(url, json=document, timeout=30)
    assert response.status_code == 400
    assert next(iter(document)) in response.json()["error"]["message"]
