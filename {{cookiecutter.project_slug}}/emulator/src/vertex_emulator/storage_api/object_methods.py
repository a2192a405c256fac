"""Methods of the JSON API on objects, but for uploads and downloads."""

from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator import errors
from vertex_emulator.object_store.buckets import merged
from vertex_emulator.object_store.conditions import Conditions
from vertex_emulator.object_store.listing import Listing
from vertex_emulator.object_store.object_rows import Shown, StoredObject
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.storage_api import media
from vertex_emulator.storage_api.requests import (
    conditions,
    flag,
    integer,
    object_ref,
    read_json,
    refuse_not_emulated,
)
from vertex_emulator.storage_api.resources import (
    changed_object_attributes,
    etag,
    new_object_attributes,
    object_attributes,
    object_resource,
    refuse_unknown,
)
from vertex_emulator.storage_api.responses import json_response

_PAGE = 1000
_MOST_SOURCES = 32


def get(objects: Objects, request: Request) -> Response:
    """Serves `GET /storage/v1/b/{bucket}/o/{object}`: the resource, or the bytes."""
    if request.query_params.get("alt") == "media":
        return media.download(objects, request)
    refuse_not_emulated(request)
    ref = object_ref(request)
    if flag(request, "softDeleted"):
        if ref.generation is None:
            raise errors.invalid_argument("Expected generation beside softDeleted=true.")
        ref = replace(ref, soft_deleted=True)
    stored = objects.stat(ref)
    media.check_etags(request, etag(stored.generation, stored.metageneration))
    return json_response(request, object_resource(request, stored))


def list_page(objects: Objects, request: Request) -> Response:
    """Serves `GET /storage/v1/b/{bucket}/o`."""
    refuse_not_emulated(request)
    parameters = request.query_params
    listing = Listing(
        prefix=parameters.get("prefix", ""),
        delimiter=parameters.get("delimiter", ""),
        start_offset=parameters.get("startOffset", ""),
        end_offset=parameters.get("endOffset", ""),
        match_glob=parameters.get("matchGlob", ""),
        include_trailing_delimiter=flag(request, "includeTrailingDelimiter"),
        page_size=min(integer(request, "maxResults") or _PAGE, _PAGE),
        page_token=parameters.get("pageToken", ""),
    )
    found = objects.list_page(request.path_params["bucket"], listing, _shown(request))
    document: dict[str, Any] = {"kind": "storage#objects"}
    if found.items:
        document["items"] = [object_resource(request, stored) for stored in found.items]
    if found.prefixes:
        document["prefixes"] = found.prefixes
    if found.next_page_token:
        document["nextPageToken"] = found.next_page_token
    return json_response(request, document)


def _shown(request: Request) -> Shown:
    if not flag(request, "softDeleted"):
        return Shown.VERSIONS if flag(request, "versions") else Shown.LIVE
    if flag(request, "versions"):
        raise errors.invalid_argument("Expected softDeleted or versions, got both.")
    return Shown.SOFT_DELETED


def restore(objects: Objects, request: Request) -> Response:
    """Serves `POST /storage/v1/b/{bucket}/o/{object}/restore?generation=…`."""
    refuse_not_emulated(request)
    ref = object_ref(request)
    if ref.generation is None:
        raise errors.invalid_argument("Expected the generation to restore.")
    if flag(request, "copySourceAcl"):
        raise errors.not_emulated("The emulator has no access control; leave copySourceAcl away.")
    return json_response(request, object_resource(request, objects.restore(ref)))


async def patch(objects: Objects, request: Request) -> Response:
    """Serves `PATCH /storage/v1/b/{bucket}/o/{object}`."""
    refuse_not_emulated(request)
    changes = object_attributes(await read_json(request))
    stored = await run_in_threadpool(
        objects.update,
        object_ref(request),
        lambda before: changed_object_attributes(before, merged(before, changes)),
    )
    return json_response(request, object_resource(request, stored))


async def update(objects: Objects, request: Request) -> Response:
    """Serves `PUT /storage/v1/b/{bucket}/o/{object}`: what the body leaves out is removed."""
    refuse_not_emulated(request)
    given = new_object_attributes(await read_json(request))
    stored = await run_in_threadpool(
        objects.update,
        object_ref(request),
        lambda before: changed_object_attributes(
            before, {"storageClass": before["storageClass"]} | given
        ),
    )
    return json_response(request, object_resource(request, stored))


def delete(objects: Objects, request: Request) -> Response:
    """Serves `DELETE /storage/v1/b/{bucket}/o/{object}`."""
    objects.delete(object_ref(request))
    return Response(status_code=204)


async def compose(objects: Objects, request: Request) -> Response:
    """Serves `POST /storage/v1/b/{bucket}/o/{object}/compose`."""
    refuse_not_emulated(request)
    document = await read_json(request)
    refuse_unknown(document, {"deleteSourceObjects", "destination", "kind", "sourceObjects"})
    target = object_ref(request)
    sources = _sources(target.bucket, document.get("sourceObjects"))
    destination = document.get("destination") or {}
    if not isinstance(destination, dict):
        raise errors.invalid_argument(f"Expected destination to be an object: {destination!r}.")
    attributes = new_object_attributes(destination)
    delete_sources = document.get("deleteSourceObjects") or False
    if not isinstance(delete_sources, bool):
        raise errors.invalid_argument(
            f"Expected deleteSourceObjects to be true or false, got {delete_sources!r}."
        )
    stored = await run_in_threadpool(
        lambda: objects.compose(sources, target, attributes, delete_sources=delete_sources)
    )
    return json_response(request, object_resource(request, stored))


def _sources(bucket: str, named: Any) -> list[Ref]:
    if not isinstance(named, list) or not 1 <= len(named) <= _MOST_SOURCES:
        raise errors.invalid_argument(f"Expected 1 to {_MOST_SOURCES} sourceObjects.")
    return [_source(bucket, source) for source in named]


def _source(bucket: str, source: Any) -> Ref:
    try:
        wanted = (source.get("objectPreconditions") or {}).get("ifGenerationMatch")
        generation = source.get("generation")
        return Ref(
            bucket,
            str(source["name"]),
            None if generation is None else int(generation),
            Conditions(generation_match=None if wanted is None else int(wanted)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise errors.invalid_argument(
            "Expected each of sourceObjects to hold a name, and generations as integers, "
            f"got {source!r}."
        ) from error


async def rewrite(objects: Objects, request: Request) -> Response:
    """Serves `POST …/o/{object}/rewriteTo/b/{target_bucket}/o/{target}`, done in one call."""
    stored = await _copy(objects, request)
    return json_response(
        request,
        {
            "kind": "storage#rewriteResponse",
            "done": True,
            "objectSize": str(stored.size),
            "totalBytesRewritten": str(stored.size),
            "resource": object_resource(request, stored),
        },
    )


async def copy(objects: Objects, request: Request) -> Response:
    """Serves `POST …/o/{object}/copyTo/b/{target_bucket}/o/{target}`."""
    stored = await _copy(objects, request)
    return json_response(request, object_resource(request, stored))


async def _copy(objects: Objects, request: Request) -> StoredObject:
    refuse_not_emulated(request)
    given = new_object_attributes(await read_json(request))
    parameters = request.path_params
    return await run_in_threadpool(
        objects.copy,
        Ref(
            parameters["bucket"],
            parameters["object"],
            integer(request, "sourceGeneration"),
            conditions(request, "ifSource"),
        ),
        Ref(
            parameters["target_bucket"],
            parameters["target"],
            conditions=conditions(request),
        ),
        given or None,
    )


def move(objects: Objects, request: Request) -> Response:
    """Serves `POST …/o/{object}/moveTo/o/{target}`."""
    refuse_not_emulated(request)
    parameters = request.path_params
    stored = objects.move(
        Ref(
            parameters["bucket"],
            parameters["object"],
            conditions=conditions(request, "ifSource"),
        ),
        Ref(parameters["bucket"], parameters["target"], conditions=conditions(request)),
    )
    return json_response(request, object_resource(request, stored))
