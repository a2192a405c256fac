"""Buckets and objects as the JSON API writes them, and the fields that clients may set.

Source: https://cloud.google.com/storage/docs/json_api/v1/objects#resource and
https://cloud.google.com/storage/docs/json_api/v1/buckets#resource
"""

import base64
import hashlib
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from vertex_emulator import errors
from vertex_emulator.object_store.buckets import Bucket, microseconds, without_nulls
from vertex_emulator.object_store.object_rows import StoredObject
from vertex_emulator.storage_api.locations import location_type
from vertex_emulator.storage_api.shapes import (
    BUCKET,
    BUCKET_OUTPUT,
    OBJECT,
    OBJECT_OUTPUT,
    settable,
)

_DAY = 24 * 3600  # seconds

OBJECT_NOT_EMULATED = (
    "acl",
    "contexts",
    "customerEncryption",
    "eventBasedHold",
    "kmsKeyName",
    "retention",
    "temporaryHold",
)
BUCKET_NOT_EMULATED = (
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
)


def object_attributes(document: dict[str, Any]) -> dict[str, Any]:
    """Picks the fields of an Object resource that a client may set; None removes one.

    Raises:
        ApiError: 400 for a field that is unknown, not emulated or of another form.
    """
    _refuse(document, OBJECT_NOT_EMULATED, {*OBJECT, *OBJECT_OUTPUT})
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
    attributes: dict[str, Any] = without_nulls(object_attributes(document))
    return attributes


def changed_object_attributes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Returns the attributes after a change, which may set `customTime` later but not back.

    Source: https://cloud.google.com/storage/docs/metadata#custom-time

    Raises:
        ApiError: 400.
    """
    was, now = before.get("customTime"), after.get("customTime")
    if was and (not now or datetime.fromisoformat(now) < datetime.fromisoformat(was)):
        raise errors.invalid_argument(
            f"Invalid value for customTime: once set it is not removed and never goes back; it is "
            f"{was}. Rewriting the object sets it anew."
        )
    return after


def bucket_attributes(document: dict[str, Any]) -> dict[str, Any]:
    """Picks the fields of a Bucket resource that a client may set; None removes one.

    Raises:
        ApiError: 400 for a field that is unknown, not emulated or of another form.
    """
    _refuse(document, BUCKET_NOT_EMULATED, {*BUCKET, *BUCKET_OUTPUT})
    place = document.get("location")
    if isinstance(place, str):
        document = {**document, "location": place.upper()}
    attributes = settable(document, BUCKET)
    if attributes.get("softDeletePolicy"):
        attributes["softDeletePolicy"] = _soft_delete_policy(attributes["softDeletePolicy"])
    return attributes


def _soft_delete_policy(policy: dict[str, Any]) -> dict[str, Any]:
    """Returns what a client may set of it; Google sets `effectiveTime` itself.

    Source: https://cloud.google.com/storage/docs/soft-delete#retention-duration

    Raises:
        ApiError: 400.
    """
    kept = {name: value for name, value in policy.items() if name != "effectiveTime"}
    duration = kept.get("retentionDurationSeconds")
    if duration is not None:
        if int(duration) != 0 and not 7 * _DAY <= int(duration) <= 90 * _DAY:
            raise errors.invalid_argument(
                "Invalid value for softDeletePolicy.retentionDurationSeconds: expected 0, or 7 to "
                f"90 days ({7 * _DAY} to {90 * _DAY}), got {duration}."
            )
        kept["retentionDurationSeconds"] = str(int(duration))
        kept["effectiveTime"] = moment(microseconds())
    return kept


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
    for field, when in (
        ("timeDeleted", stored.deleted),
        ("softDeleteTime", stored.soft_deleted),
        ("hardDeleteTime", stored.hard_delete),
    ):
        if when is not None:
            resource[field] = moment(when)
    if stored.components:
        resource["componentCount"] = stored.components
    return resource


def bucket_resource(request: Request, bucket: Bucket) -> dict[str, Any]:
    """Writes a bucket as the JSON API's Bucket resource."""
    place = location(bucket.attributes)
    return {
        "kind": "storage#bucket",
        "id": bucket.name,
        "selfLink": f"{base_url(request)}/storage/v1/b/{bucket.name}",
        "name": bucket.name,
        "projectNumber": project_number(bucket.project),
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
        **({} if place["locationType"] == "region" else {"rpo": "DEFAULT"}),
        **bucket.attributes,
        **place,
    }


def project_number(project: str) -> str:
    """Returns a number that stands for a project: the same one always, and not Google's."""
    if project.isascii() and project.isdigit():
        return project
    return str(int.from_bytes(hashlib.sha256(project.encode()).digest()[:5]) + 10**11)


def location(attributes: dict[str, Any]) -> dict[str, str]:
    """Where a bucket says that it is; Google's default is the multi-region US."""
    place = attributes.get("location", "US")
    return {"location": place, "locationType": location_type(place)}


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


def refuse_unknown(document: dict[str, Any], known: Collection[str]) -> None:
    """Refuses a field that Google's schema does not have, which may be a slip of the pen.

    Raises:
        ApiError: 400.
    """
    for name in document.keys() - known:
        raise errors.invalid_argument(f"Unknown field {name[:80]!r}; remove it.")


def _refuse(document: dict[str, Any], not_emulated: tuple[str, ...], known: set[str]) -> None:
    refuse_unknown(document, known.union(not_emulated))
    for name in not_emulated:
        if _asks_for_something(document.get(name)):
            raise errors.not_emulated(f"The emulator has no {name}; omit the field.")


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
    # As many digits as the moment has: 0, 3 or 6.
    precision = "microseconds" if when.microsecond % 1000 else "auto"
    if when.microsecond and not when.microsecond % 1000:
        precision = "milliseconds"
    return when.isoformat(timespec=precision).replace("+00:00", "Z")
