"""The shapes that settable fields have, and the check of what a client sent against them.

Source: the schemas Bucket and Object of
https://storage.googleapis.com/$discovery/rest?version=v1
"""

import difflib
import re
from typing import Any

from vertex_emulator import errors
from vertex_emulator.storage_api.locations import LOCATIONS

# A shape is a type, a list with the shape of its items, a dict with the shapes of its fields, a
# dict whose one key `...` stands for any name, or one of the two classes here.
Shape = Any

_FEW = 10  # values that a message can list


class Int64(str):
    """The shape of a 64-bit integer, which JSON carries as a string."""


class OneOf(frozenset[str]):
    """The shape of a text that has one of these values."""


STORAGE_CLASS = OneOf(
    {
        "STANDARD",
        "NEARLINE",
        "COLDLINE",
        "ARCHIVE",
        "RAPID",
        # Older names, which Google still takes.
        "DURABLE_REDUCED_AVAILABILITY",
        "MULTI_REGIONAL",
        "REGIONAL",
    }
)

# Fields that only Google sets. Clients send them back with the rest of a resource.
OBJECT_OUTPUT = {
    "bucket",
    "componentCount",
    "crc32c",
    "etag",
    "generation",
    "hardDeleteTime",
    "id",
    "kind",
    "md5Hash",
    "mediaLink",
    "metageneration",
    "name",
    "owner",
    "restoreToken",
    "retentionExpirationTime",
    "selfLink",
    "size",
    "softDeleteTime",
    "timeCreated",
    "timeDeleted",
    "timeFinalized",
    "timeStorageClassUpdated",
    "updated",
}
BUCKET_OUTPUT = {
    "etag",
    "generation",
    "hardDeleteTime",
    "id",
    "kind",
    "locationType",
    "metageneration",
    "name",
    "owner",
    "projectNumber",
    "satisfiesPZI",
    "satisfiesPZS",
    "selfLink",
    "softDeleteTime",
    "timeCreated",
    "updated",
}

OBJECT: Shape = {
    "cacheControl": str,
    "contentDisposition": str,
    "contentEncoding": str,
    "contentLanguage": str,
    "contentType": str,
    "customTime": str,
    "metadata": {...: str},
    "storageClass": STORAGE_CLASS,
}

_SWITCH: Shape = {"enabled": bool, "lockedTime": str}

BUCKET: Shape = {
    "billing": {"requesterPays": bool},
    "cors": [{"maxAgeSeconds": int, "method": [str], "origin": [str], "responseHeader": [str]}],
    "iamConfiguration": {
        "bucketPolicyOnly": _SWITCH,
        "publicAccessPrevention": OneOf({"enforced", "inherited", "unspecified"}),
        "uniformBucketLevelAccess": _SWITCH,
    },
    "labels": {...: str},
    "lifecycle": {
        "rule": [
            {
                "action": {
                    "type": OneOf({"AbortIncompleteMultipartUpload", "Delete", "SetStorageClass"}),
                    "storageClass": STORAGE_CLASS,
                },
                "condition": {
                    "age": int,
                    "createdBefore": str,
                    "customTimeBefore": str,
                    "daysSinceCustomTime": int,
                    "daysSinceNoncurrentTime": int,
                    "isLive": bool,
                    "matchesPattern": str,
                    "matchesPrefix": [str],
                    "matchesStorageClass": [STORAGE_CLASS],
                    "matchesSuffix": [str],
                    "noncurrentTimeBefore": str,
                    "numNewerVersions": int,
                },
            }
        ]
    },
    "location": OneOf(LOCATIONS),
    "logging": {"logBucket": str, "logObjectPrefix": str},
    "rpo": OneOf({"ASYNC_TURBO", "DEFAULT"}),
    "softDeletePolicy": {
        "effectiveTime": str,
        "hardDeletePause": bool,
        "retentionDurationSeconds": Int64,
    },
    "storageClass": STORAGE_CLASS,
    "versioning": {"enabled": bool},
    "website": {"mainPageSuffix": str, "notFoundPage": str},
}


def settable(document: dict[str, Any], shape: dict[str, Shape]) -> dict[str, Any]:
    """Picks the fields that the shape names; null, which removes one, fits where that can be.

    Raises:
        ApiError: 400 for a field that does not fit; the message names its path.
    """
    fields = {name: document[name] for name in shape if name in document}
    for name, value in fields.items():
        if value is not None:
            _check(name, value, shape[name])
    return fields


def _check(path: str, value: Any, shape: Shape) -> None:
    if isinstance(shape, list) and isinstance(value, list):
        for index, item in enumerate(value):
            _check(f"{path}[{index}]", item, shape[0])
    elif isinstance(shape, dict) and isinstance(value, dict):
        for name, item in value.items():
            if name not in shape and ... not in shape:
                raise errors.invalid_argument(f"Unknown field {path}.{name}; remove it.")
            if item is not None:  # which removes the field, or sets none
                _check(f"{path}.{name}", item, shape.get(name, shape.get(...)))
    elif isinstance(shape, OneOf):
        if not isinstance(value, str):
            raise _unfit(path, "a string", value)
        if value not in shape:
            raise _unfit(path, _suggestion(value, shape), value)
    elif shape is Int64:
        if not re.fullmatch(r"-?[0-9]{1,19}", str(value)):
            raise _unfit(path, "an integer", value)
    elif not isinstance(shape, type) or type(value) is not shape:
        raise _unfit(path, _SAID.get(shape if isinstance(shape, type) else type(shape), ""), value)


def _suggestion(value: str, known: OneOf) -> str:
    if len(known) <= _FEW:
        return f"one of {', '.join(sorted(known))}"
    near = difflib.get_close_matches(value, known, n=1)
    return f"a known one such as {near[0] if near else min(known)}"


_SAID = {
    bool: "true or false",
    dict: "an object",
    int: "an integer",
    list: "an array",
    str: "a string",
}


def _unfit(path: str, expected: str, value: Any) -> errors.ApiError:
    return errors.invalid_argument(
        f"Invalid value for {path}: expected {expected}, got {str(value)[:80]!r}."
    )
