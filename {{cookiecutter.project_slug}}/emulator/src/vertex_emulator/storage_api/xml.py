"""The XML API: which request asks for what.

Source: https://cloud.google.com/storage/docs/xml-api/overview
"""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator import errors
from vertex_emulator.object_store.buckets import valid_bucket_name
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.object_store.uploads import Uploads
from vertex_emulator.storage_api import xml_listing, xml_objects, xml_parts
from vertex_emulator.storage_api.requests import refuse_not_emulated
from vertex_emulator.storage_api.xml_headers import refuse_headers

# Parameters that ask for something else than the object or the list of objects.
# Source: https://cloud.google.com/storage/docs/xml-api/reference-headers#query
_OTHER_RESOURCES = (
    "acl",
    "billing",
    "compose",
    "cors",
    "defaultObjectAcl",
    "encryption",
    "encryptionConfig",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "object-lock",
    "policy",
    "requestPayment",
    "response-cache-control",
    "response-content-encoding",
    "response-content-language",
    "response-expires",
    "restore",
    "retention",
    "storageClass",
    "tagging",
    "versioning",
    "versions",
    "website",
)


async def serve_bucket(objects: Objects, _uploads: Uploads, request: Request) -> Response:
    """Serves `/{bucket}`: whether it is there, and its objects.

    Raises:
        ApiError: 400 for what is not emulated, 404 for the bucket.
    """
    _refuse(request)
    if request.method == "HEAD":
        await run_in_threadpool(objects.buckets.get, request.path_params["bucket"])
        return Response()
    if request.method == "GET" and "uploads" not in request.query_params:
        return await run_in_threadpool(xml_listing.list_objects, objects, request)
    raise _not_emulated(request)


async def serve_object(objects: Objects, uploads: Uploads, request: Request) -> Response:
    """Serves `/{bucket}/{object}`: reading, writing, copying, removing, and uploads in parts.

    Raises:
        ApiError: 400 for what is not emulated, and as the method that serves it.
    """
    _refuse(request)
    if "uploadId" in request.query_params:
        return await xml_parts.serve(objects, uploads, request)
    match request.method:
        case "GET" | "HEAD":
            return await run_in_threadpool(xml_objects.get, objects, request)
        case "PUT" if "x-goog-copy-source" in request.headers:
            return await run_in_threadpool(xml_objects.copy, objects, request)
        case "PUT":
            return await xml_objects.put(objects, request)
        case "DELETE":
            return await run_in_threadpool(xml_objects.delete, objects, request)
        case "POST":
            return await run_in_threadpool(_start_upload, uploads, request)
    raise _not_emulated(request)


def _start_upload(uploads: Uploads, request: Request) -> Response:
    if "uploads" in request.query_params:
        return xml_parts.start(uploads, request)
    if request.headers.get("x-goog-resumable") == "start":
        return xml_objects.start_resumable(uploads, request)
    raise _not_emulated(request)


def _refuse(request: Request) -> None:
    refuse_not_emulated(request)
    refuse_headers(request)
    for name in _OTHER_RESOURCES:
        if name in request.query_params:
            raise errors.not_emulated(f"The emulator has no {name} in the XML API; leave it away.")
    if not valid_bucket_name(request.path_params["bucket"]):
        raise _not_emulated(request)


def _not_emulated(request: Request) -> errors.ApiError:
    return errors.not_emulated(f"The emulator has no {request.method} {request.url.path}.")
