"""The shapes that settable fields have, and the check of what a client sent against them.

Source: the schemas Bucket and Object of
https://storage.googleapis.com/$discovery/rest?version=v1
"""

import re
from typing import Any

from vertex_emulator import errors

# A shape is a type, a list with the shape of its items, a dict with the shapes of its fields, or
# a dict whose one key `...` stands for any name.
Shape = Any


class Int64(str):
    """The shape of a 64-bit integer, which JSON carries as a string."""


OBJECT: Shape = {
    "cacheControl": str,
    "contentDisposition": str,
    "contentEncoding": str,
    "contentLanguage": str,
    "contentType": str,
    "customTime": str,
    "metadata": {...: str},
    "storageClass": str,
}

_SWITCH: Shape = {"enabled": bool, "lockedTime": str}

BUCKET: Shape = {
    "billing": {"requesterPays": bool},
    "cors": [{"maxAgeSeconds": int, "method": [str], "origin": [str], "responseHeader": [str]}],
    "iamConfiguration": {
        "bucketPolicyOnly": _SWITCH,
        "publicAccessPrevention": str,
        "uniformBucketLevelAccess": _SWITCH,
    },
    "labels": {...: str},
    "lifecycle": {
        "rule": [
            {
                "action": {"type": str, "storageClass": str},
                "condition": {
                    "age": int,
                    "createdBefore": str,
                    "customTimeBefore": str,
                    "daysSinceCustomTime": int,
                    "daysSinceNoncurrentTime": int,
                    "isLive": bool,
                    "matchesPattern": str,
                    "matchesPrefix": [str],
                    "matchesStorageClass": [str],
                    "matchesSuffix": [str],
                    "noncurrentTimeBefore": str,
                    "numNewerVersions": int,
                },
            }
        ]
    },
    "location": str,
    "logging": {"logBucket": str, "logObjectPrefix": str},
    "rpo": str,
    "softDeletePolicy": {"retentionDurationSeconds": Int64},
    "storageClass": str,
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
            if item is not None or name in shape:  # the patch of a map removes a key so
                _check(f"{path}.{name}", item, shape.get(name, shape.get(...)))
    elif shape is Int64:
        if not re.fullmatch(r"-?[0-9]{1,19}", str(value)):
            raise _unfit(path, "an integer", value)
    elif not isinstance(shape, type) or type(value) is not shape:
        raise _unfit(path, _SAID.get(shape if isinstance(shape, type) else type(shape), ""), value)


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
