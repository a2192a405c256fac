"""What requests of the XML API say in headers: attributes, conditions, and what is not emulated.

Source: https://cloud.google.com/storage/docs/xml-api/reference-headers
"""

import base64
from typing import Any

from starlette.requests import Request

from vertex_emulator import errors
from vertex_emulator.object_store.object_rows import StoredObject
from vertex_emulator.storage_api.resources import etag, new_object_attributes

METADATA = "x-goog-meta-"
_ATTRIBUTES = {
    "cache-control": "cacheControl",
    "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding",
    "content-language": "contentLanguage",
    "content-type": "contentType",
    "x-goog-custom-time": "customTime",
    "x-goog-storage-class": "storageClass",
}
_KNOWN = {
    *_ATTRIBUTES,
    "x-goog-acl",
    "x-goog-api-client",
    "x-goog-api-key",
    "x-goog-api-version",
    "x-goog-content-length-range",
    "x-goog-content-sha256",
    "x-goog-copy-source",
    "x-goog-copy-source-generation",
    "x-goog-copy-source-if-generation-match",
    "x-goog-copy-source-if-metageneration-match",
    "x-goog-date",
    "x-goog-gcs-idempotency-token",
    "x-goog-hash",
    "x-goog-if-generation-match",
    "x-goog-if-metageneration-match",
    "x-goog-metadata-directive",
    "x-goog-project-id",
    "x-goog-request-params",
    "x-goog-request-reason",
    "x-goog-resumable",
    "x-goog-user-project",
}
_PRIVATE_ACLS = {"bucket-owner-full-control", "bucket-owner-read", "private", "project-private"}


def refuse_headers(request: Request) -> None:
    """Refuses what would change the meaning of a request and is not emulated.

    Raises:
        ApiError: 400.
    """
    for name in request.headers:
        if name.startswith("x-amz-"):
            raise errors.not_emulated(f"The emulator has no headers of Amazon S3: {name}.")
        if name.startswith("x-goog-") and not name.startswith(METADATA) and name not in _KNOWN:
            raise errors.not_emulated(f"The emulator has no header {name}; leave it away.")
    if request.headers.get("x-goog-acl", "private") not in _PRIVATE_ACLS:
        raise errors.not_emulated("The emulator has no access control; leave x-goog-acl away.")


def attributes_of(request: Request) -> dict[str, Any]:
    """Returns the fields of the Object resource that the headers set.

    Raises:
        ApiError: 400 for a value that Google does not know.
    """
    document: dict[str, Any] = {"contentType": "application/octet-stream"}
    metadata = {}
    for name, value in request.headers.items():
        if name in _ATTRIBUTES:
            document[_ATTRIBUTES[name]] = value
        elif name.startswith(METADATA):
            metadata[name.removeprefix(METADATA)] = value
    if metadata:
        document["metadata"] = metadata
    return new_object_attributes(document)


def entity_tag(stored: StoredObject) -> str:
    """Returns an object's `ETag` in this API: MD5 in hexadecimal where there is one, in quotes."""
    if stored.blob.md5:
        return hex_tag(stored.blob.md5)
    return f'"{etag(stored.generation, stored.metageneration)}"'


def hex_tag(md5: str) -> str:
    """Returns the entity tag of content whose MD5 is given in base64."""
    return f'"{base64.b64decode(md5).hex()}"'
