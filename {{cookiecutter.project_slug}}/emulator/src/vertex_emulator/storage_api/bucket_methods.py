"""Methods of the JSON API on buckets."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator import errors
from vertex_emulator.object_store.buckets import Change, merged, without_nulls
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.storage_api.requests import (
    conditions,
    flag,
    integer,
    read_json,
    refuse_not_emulated,
)
from vertex_emulator.storage_api.resources import bucket_attributes, bucket_resource, location
from vertex_emulator.storage_api.responses import json_response

_PAGE = 1000
_FOR_LIFE = ("location", "storageClass")


async def insert(objects: Objects, request: Request) -> Response:
    """Serves `POST /storage/v1/b`."""
    refuse_not_emulated(request)
    document = await read_json(request)
    name = document.get("name")
    if not isinstance(name, str):
        raise errors.invalid_argument(f"Expected the bucket's name, got {name!r}.")
    attributes = without_nulls(bucket_attributes(document))
    bucket = await run_in_threadpool(
        objects.buckets.create, name, request.query_params.get("project", ""), attributes
    )
    return json_response(request, bucket_resource(request, bucket))


def get(objects: Objects, request: Request) -> Response:
    """Serves `GET /storage/v1/b/{bucket}`."""
    refuse_not_emulated(request)
    _refuse_soft_deleted(request)
    bucket = objects.buckets.get(request.path_params["bucket"], conditions(request))
    return json_response(request, bucket_resource(request, bucket))


def _refuse_soft_deleted(request: Request) -> None:
    if flag(request, "softDeleted"):
        raise errors.not_emulated(
            "The emulator soft-deletes objects, not buckets; leave softDeleted away."
        )


def list_all(objects: Objects, request: Request) -> Response:
    """Serves `GET /storage/v1/b?project=…`; the page token is the last name of the page before."""
    refuse_not_emulated(request)
    _refuse_soft_deleted(request)
    parameters = request.query_params
    buckets = objects.buckets.in_project(
        parameters.get("project", ""), parameters.get("prefix", "")
    )
    after = parameters.get("pageToken", "")
    buckets = [bucket for bucket in buckets if bucket.name > after]
    size = min(integer(request, "maxResults") or _PAGE, _PAGE)
    document = {
        "kind": "storage#buckets",
        "items": [bucket_resource(request, bucket) for bucket in buckets[:size]],
    }
    if len(buckets) > size:
        document["nextPageToken"] = buckets[size - 1].name
    return json_response(request, document)


async def patch(objects: Objects, request: Request) -> Response:
    """Serves `PATCH /storage/v1/b/{bucket}`."""
    refuse_not_emulated(request)
    changes = bucket_attributes(await read_json(request))
    return await _change(objects, request, lambda attributes: merged(attributes, changes))


async def update(objects: Objects, request: Request) -> Response:
    """Serves `PUT /storage/v1/b/{bucket}`: what the body leaves out is removed."""
    refuse_not_emulated(request)
    given = without_nulls(bucket_attributes(await read_json(request)))
    return await _change(
        objects,
        request,
        lambda attributes: (
            {name: attributes[name] for name in _FOR_LIFE if name in attributes} | given
        ),
    )


async def _change(objects: Objects, request: Request, change: Change) -> Response:
    name = request.path_params["bucket"]

    def checked_change(attributes: dict[str, Any]) -> dict[str, Any]:
        changed = change(attributes)
        if location(changed) != location(attributes):
            raise errors.invalid_argument(f"The location of the bucket {name} cannot be changed.")
        return changed

    bucket = await run_in_threadpool(
        objects.buckets.update, name, checked_change, conditions(request)
    )
    return json_response(request, bucket_resource(request, bucket))


def delete(objects: Objects, request: Request) -> Response:
    """Serves `DELETE /storage/v1/b/{bucket}`."""
    objects.delete_bucket(request.path_params["bucket"], conditions(request))
    return Response(status_code=204)


def storage_layout(objects: Objects, request: Request) -> Response:
    """Serves `GET /storage/v1/b/{bucket}/storageLayout`: a flat namespace, always."""
    bucket = objects.buckets.get(request.path_params["bucket"])
    return json_response(
        request,
        {
            "kind": "storage#storageLayout",
            "bucket": bucket.name,
            "hierarchicalNamespace": {"enabled": False},
            **location(bucket.attributes),
        },
    )


def managed_folders(objects: Objects, request: Request) -> Response:
    """Serves `GET /storage/v1/b/{bucket}/managedFolders`, for gcloud to see that there are none."""
    objects.buckets.get(request.path_params["bucket"])
    return json_response(request, {"kind": "storage#managedFolders"})
