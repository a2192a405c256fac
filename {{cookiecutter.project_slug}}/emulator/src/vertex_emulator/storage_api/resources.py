"""Buckets and objects as the JSON API writes them, and the fields that clients may set.

Source: https://cloud.google.com/storage/docs/json_api/v1/objects#resource and
https://cloud.google.com/storage/docs/json_api/v1/buckets#resource
"""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from vertex_emulator import errors
from vertex_emulator.object_store.buckets import Bucket, merged
from vertex_emulator.object_store.object_rows import StoredObject
from vertex_emulator.storage_api.shapes import BUCKET, OBJECT, settable

_OBJECT_NOT_EMULATED = (
    "acl",
    "contexts",
    "customerEncryption",
    "eventBasedHold",
    "kmsKeyName",
    "retention",
    "temporaryHold",
)
_BUCKET_NOT_EMULATED = (
    "acl",
    "autoclass",
    "customPlacementConfig",
    "defaultEventBasedHold",
    "defaultObjectAcl",
    "encryption",
    "hierarchicalNamespace",
    "ipFilter",
    "objectRetention",
    "retentionPolicy",
    "versioning",
)
_MULTI_REGIONS = {"ASIA", "EU", "US"}


def object_attributes(document: dict[str, Any]) -> dict[str, Any]:
    """Picks the fields of an Object resource that a client may set; None removes one.

    Raises:
        ApiError: 400 for a field of the wrong type; 501 for one that is not emulated.
    """
    _refuse(document, _OBJECT_NOT_EMULATED)
    attributes = settable(document, OBJECT)
    custom_time = attributes.get("customTime")
    if custom_time is not None:
        attributes["customTime"] = _moment("customTime", custom_time)
    return attributes


def new_object_attributes(document: dict[str, Any]) -> dict[str, Any]:
    """Picks the fields of an Object resource that a client gave for a new object.

    Raises:
        ApiError: as `object_attributes`.
    """
    return merged({}, object_attributes(document), by_key="metadata")


def bucket_attributes(document: dict[str, Any]) -> dict[str, Any]:
    """Picks the fields of a Bucket resource that a client may set; None removes one.

    Raises:
        ApiError: 400 for a field of the wrong type; 501 for one that is not emulated.
    """
    _refuse(document, _BUCKET_NOT_EMULATED)
    attributes = settable(document, BUCKET)
    if attributes.get("location"):
        attributes["location"] = attributes["location"].upper()
    return attributes


def object_resource(request: Request, stored: StoredObject) -> dict[str, Any]:
    """Writes an object as the JSON API's Object resource."""
    bucket, name = quote(stored.bucket, safe=""), quote(stored.name, safe="")
    base = base_url(request)
    created = moment(stored.generation)
    resource = {
        "kind": "storage#object",
        "id": f"{stored.bucket}/{stored.name}/{stored.generation}",
        "selfLink": f"{base}/storage/v1/b/{bucket}/o/{name}",
        "mediaLink": f"{base}/download/storage/v1/b/{bucket}/o/{name}"
        f"?generation={stored.generation}&alt=media",
        "name": stored.name,
        "bucket": stored.bucket,
        "generation": str(stored.generation),
        "metageneration": str(stored.metageneration),
        "size": str(stored.size),
        "crc32c": stored.blob.crc32c,
        "etag": etag(stored.generation, stored.metageneration),
        "timeCreated": created,
        "timeFinalized": created,
        "timeStorageClassUpdated": created,
        "updated": moment(stored.updated),
        **stored.attributes,
    }
    if stored.blob.md5:
        resource["md5Hash"] = stored.blob.md5
    if stored.components:
        resource["componentCount"] = stored.components
    return resource


def bucket_resource(request: Request, bucket: Bucket) -> dict[str, Any]:
    """Writes a bucket as the JSON API's Bucket resource."""
    return {
        "kind": "storage#bucket",
        "id": bucket.name,
        "selfLink": f"{base_url(request)}/storage/v1/b/{bucket.name}",
        "name": bucket.name,
        "metageneration": str(bucket.metageneration),
        "etag": etag(0, bucket.metageneration),
        "timeCreated": moment(bucket.created),
        "updated": moment(bucket.updated),
        "storageClass": "STANDARD",
        "iamConfiguration": {
            "publicAccessPrevention": "inherited",
            # No ACLs are emulated; so clients are told not to ask for them.
            "uniformBucketLevelAccess": {"enabled": True},
        },
        **bucket.attributes,
        **location(bucket.attributes),
    }


def location(attributes: dict[str, Any]) -> dict[str, str]:
    """Where a bucket says that it is; Google's default is the multi-region US."""
    place = attributes.get("location", "US")
    return {
        "location": place,
        "locationType": "multi-region" if place in _MULTI_REGIONS else "region",
    }


def base_url(request: Request) -> str:
    """The address that the client reached the emulator by."""
    return f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"


def etag(generation: int, metageneration: int) -> str:
    """A text that changes with the content and with the attributes."""
    return base64.b64encode(f"{generation}/{metageneration}".encode()).decode()


def moment(microseconds: int) -> str:
    """Writes microseconds since the epoch as RFC 3339."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _refuse(document: dict[str, Any], not_emulated: tuple[str, ...]) -> None:
    for name in not_emulated:
        if _asks_for_something(document.get(name)):
            raise errors.unimplemented(f"The emulator has no {name}; leave the field away.")


def _asks_for_something(value: Any) -> bool:
    """Whether a setting does more than say no: {"enabled": false} and [] do not."""
    if isinstance(value, dict):
        return any(_asks_for_something(item) for item in value.values())
    return bool(value)


def _moment(name: str, text: str) -> str:
    try:
        when = datetime.fromisoformat(text)
        when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise errors.invalid_argument(
            f"Invalid value for {name}: expected a time in RFC 3339, got {text!r}."
        ) from error
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")
