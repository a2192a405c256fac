"""Buckets, through google-cloud-storage."""

from typing import Any

import pytest
import requests
from google.api_core.exceptions import BadRequest, Conflict, NotFound, PreconditionFailed


def test_a_bucket_from_beginning_to_end(storage_client: Any) -> None:
    bucket = storage_client.create_bucket("from-beginning-to-end", location="europe-west4")
    assert storage_client.get_bucket("from-beginning-to-end").location == "EUROPE-WEST4"
    assert bucket.location_type == "region"
    assert bucket.storage_class == "STANDARD"
    assert bucket.exists()
    with pytest.raises(Conflict):
        storage_client.create_bucket("from-beginning-to-end")
    bucket.blob("name").upload_from_string(b"content")
    with pytest.raises(Conflict, match="not empty"):
        bucket.delete()
    bucket.delete(force=True)
    assert not bucket.exists()
    with pytest.raises(NotFound):
        bucket.delete()


def test_settings_are_kept_as_given(storage_client: Any) -> None:
    bucket = storage_client.bucket("with-settings")
    bucket.storage_class = "NEARLINE"
    bucket.labels = {"team": "flights", "stage": "test"}
    bucket.add_lifecycle_delete_rule(age=3, matches_prefix=["logs/"])
    bucket.cors = [{"origin": ["*"], "method": ["GET"], "maxAgeSeconds": 60}]
    bucket.create(location="EU")
    found = storage_client.get_bucket("with-settings")
    assert found.storage_class == "NEARLINE"
    assert found.labels == {"team": "flights", "stage": "test"}
    assert list(found.lifecycle_rules) == list(bucket.lifecycle_rules)
    assert found.cors == bucket.cors
    assert found.location_type == "multi-region"
    found.blob("name").upload_from_string(b"")
    assert found.get_blob("name").storage_class == "NEARLINE"


def test_patches_and_updates(bucket: Any, storage_client: Any) -> None:
    bucket.labels = {"kept": "1", "dropped": "2"}
    bucket.patch(if_metageneration_match=1)
    labels = bucket.labels
    del labels["dropped"]
    labels["added"] = "3"
    bucket.labels = labels
    bucket.patch()
    found = storage_client.get_bucket(bucket.name)
    assert found.labels == {"kept": "1", "added": "3"}
    assert found.metageneration == 3
    assert found.updated > found.time_created
    found.labels = {"late": "4"}
    with pytest.raises(PreconditionFailed):
        found.patch(if_metageneration_match=2)
    with pytest.raises(PreconditionFailed):
        found.delete(if_metageneration_match=2)
    fresh = storage_client.bucket(bucket.name)
    fresh.storage_class = "COLDLINE"
    fresh.update()
    found = storage_client.get_bucket(bucket.name)
    assert (found.labels, found.storage_class) == ({}, "COLDLINE")
    found._properties["location"] = "ASIA"
    with pytest.raises(BadRequest, match="location"):
        found.update()


def test_lists_are_of_one_project(storage_url: str, storage_client: Any) -> None:
    names = [f"in-a-list-{number}" for number in range(5)]
    for name in names:
        storage_client.create_bucket(name, project="another-project")
    found = storage_client.list_buckets(project="another-project", page_size=2)
    assert [bucket.name for bucket in found] == names
    assert not [each for each in storage_client.list_buckets() if each.name in names]
    chosen = storage_client.list_buckets(project="another-project", prefix="in-a-list-3")
    assert [bucket.name for bucket in chosen] == ["in-a-list-3"]


@pytest.mark.parametrize(
    "name",
    ["", "ab", "UPPER", "a b", "-dash", "dash-", "google", "192.168.1.1", "a..b", "x" * 64, "ü-ü"],
)
def test_a_name_against_the_rules_is_refused(storage_url: str, name: str) -> None:
    response = requests.post(
        f"{storage_url}/storage/v1/b", params={"project": "p"}, json={"name": name}, timeout=30
    )
    assert response.status_code == 400
    assert repr(name) in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"name": 5}, 400),
        ({}, 400),
        ({"name": "valid-name", "labels": {"a": 1}}, 400),
        ({"name": "valid-name", "lifecycle": "delete"}, 400),
        ({"name": "valid-name", "lifecycle": {"rule": [{"condition": {"age": "old"}}]}}, 400),
        ({"name": "valid-name", "lifecycle": {"rule": [{"when": {}}]}}, 400),
        ({"name": "valid-name", "cors": [{"maxAgeSeconds": True}]}, 400),
        ({"name": "valid-name", "softDeletePolicy": {"retentionDurationSeconds": "x"}}, 400),
        ({"name": "valid-name", "softDeletePolicy": {"retentionDurationSeconds": 60}}, 400),
        ({"name": "valid-name", "storageClass": "STANDRD"}, 400),
        ({"name": "valid-name", "storageClass": "standard"}, 400),
        ({"name": "valid-name", "location": "us-centrl1"}, 400),
        ({"name": "valid-name", "location": 5}, 400),
        ({"name": "valid-name", "rpo": "TURBO"}, 400),
        ({"name": "valid-name", "iamConfiguration": {"publicAccessPrevention": "enforce"}}, 400),
        ({"name": "valid-name", "lifecycle": {"rule": [{"action": {"type": "Remove"}}]}}, 400),
        ({"name": "valid-name", "storageclass": "STANDARD"}, 400),
        ({"name": "valid-name", "versioning": {"enabled": "yes"}}, 400),
        ({"name": "valid-name", "hierarchicalNamespace": {"enabled": True}}, 400),
        ({"name": "valid-name", "retentionPolicy": {"retentionPeriod": "9"}}, 400),
    ],
)
def test_settings_that_are_wrong_or_not_emulated(
    storage_url: str, document: dict[str, Any], code: int
) -> None:
    response = requests.post(
        f"{storage_url}/storage/v1/b", params={"project": "p"}, json=document, timeout=30
    )
    assert response.status_code == code
    assert requests.get(f"{storage_url}/storage/v1/b/valid-name", timeout=30).status_code == 404


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"5", b'{"name": "\\ud800"}', b"\xff", b"[" * 100_000]
)
def test_a_malformed_body_is_refused(storage_url: str, body: bytes) -> None:
    response = requests.post(f"{storage_url}/storage/v1/b", data=body, timeout=30)
    assert response.status_code == 400


def test_a_body_without_end_is_refused(storage_url: str) -> None:
    response = requests.post(f"{storage_url}/storage/v1/b", data=b" " * (2 << 20), timeout=30)
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("query", "document"),
    [("enableObjectRetention=true", {}), ("projection=all", {}), ("predefinedAcl=publicRead", {})],
)
def test_parameters_that_cannot_be_served(
    storage_url: str, query: str, document: dict[str, Any]
) -> None:
    url = f"{storage_url}/storage/v1/b?project=p&{query}"
    response = requests.post(url, json={"name": "valid-name", **document}, timeout=30)
    assert response.status_code == 400
    assert query.partition("=")[0] in response.json()["error"]["message"]


def test_a_typing_error_is_told_with_what_is_near(storage_url: str) -> None:
    url = f"{storage_url}/storage/v1/b?project=p"
    response = requests.post(url, json={"name": "valid-name", "location": "us-centrl1"}, timeout=30)
    assert "US-CENTRAL1" in response.json()["error"]["message"]


def test_a_patch_of_one_half_keeps_the_other(bucket: Any, storage_url: str) -> None:
    url = f"{storage_url}/storage/v1/b/{bucket.name}"
    for patch in (
        {"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": False}}},
        {"iamConfiguration": {"publicAccessPrevention": "enforced"}},
        {"website": {"mainPageSuffix": "index.html"}},
        {"website": {"notFoundPage": "404.html"}},
        {"logging": {"logBucket": "logs", "logObjectPrefix": "p"}},
        {"logging": {"logObjectPrefix": None}},
        {"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 1}}]}},
        {"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 2}}]}},
        {"billing": None},
    ):
        assert requests.patch(url, json=patch, timeout=30).status_code == 200
    found = requests.get(url, timeout=30).json()
    assert found["iamConfiguration"] == {
        "uniformBucketLevelAccess": {"enabled": False},
        "publicAccessPrevention": "enforced",
    }
    assert found["website"] == {"mainPageSuffix": "index.html", "notFoundPage": "404.html"}
    assert found["logging"] == {"logBucket": "logs"}
    assert [rule["condition"]["age"] for rule in found["lifecycle"]["rule"]] == [2]


@pytest.mark.parametrize("seconds", [0, 604_800])
def test_a_soft_delete_policy_at_creation(storage_client: Any, seconds: int) -> None:
    bucket = storage_client.bucket(f"soft-delete-{seconds}")
    bucket.soft_delete_policy.retention_duration_seconds = seconds
    bucket.create()
    found = storage_client.get_bucket(bucket.name)
    assert found.soft_delete_policy.retention_duration_seconds == seconds


def test_what_google_adds_to_a_bucket(storage_client: Any) -> None:
    for place, rpo in (("nam4", "DEFAULT"), ("US", "DEFAULT"), ("us-east1", None)):
        bucket = storage_client.create_bucket(f"in-{place.lower()}", location=place)
        assert bucket.rpo == rpo
        assert bucket.project_number > 0
    assert storage_client.get_bucket("in-nam4").location_type == "dual-region"
