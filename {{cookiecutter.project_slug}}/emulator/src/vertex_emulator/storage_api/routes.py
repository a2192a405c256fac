"""Cloud Storage's addresses, each with the method that serves it."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import Scope

from vertex_emulator import errors
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.object_store.uploads import Uploads
from vertex_emulator.storage_api import (
    batch,
    bucket_methods,
    media,
    object_methods,
    upload_methods,
    xml,
)
from vertex_emulator.storage_api.responses import json_error, xml_error

_BUCKET = "/storage/v1/b/{bucket}"
_OBJECT = _BUCKET + "/o/{object}"
_ANY = ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"]
_UPLOAD = "/upload/storage/v1/b/{bucket}/o"

Handler = Callable[[Request], Any]  # returns a Response, or a coroutine that does


def routes(store: Objects) -> list[BaseRoute]:
    """Returns the routes of Cloud Storage, after clearing away what a killed process left.

    The last take any path, as the XML API does: routes of other services come before these.

    Args:
        store: buckets and objects, served by nothing else yet.
    """
    open_uploads = Uploads(store)
    api = [
        *_methods(
            store,
            ("GET", "/storage/v1/b", bucket_methods.list_all),
            ("POST", "/storage/v1/b", bucket_methods.insert),
            ("GET", _BUCKET, bucket_methods.get),
            ("PATCH", _BUCKET, bucket_methods.patch),
            ("PUT", _BUCKET, bucket_methods.update),
            ("DELETE", _BUCKET, bucket_methods.delete),
            ("GET", _BUCKET + "/storageLayout", bucket_methods.storage_layout),
            ("GET", _BUCKET + "/managedFolders", bucket_methods.managed_folders),
            ("GET", _BUCKET + "/o", object_methods.list_page),
            ("GET", _OBJECT, object_methods.get),
            ("PATCH", _OBJECT, object_methods.patch),
            ("PUT", _OBJECT, object_methods.update),
            ("DELETE", _OBJECT, object_methods.delete),
            ("POST", _OBJECT + "/compose", object_methods.compose),
            ("POST", _OBJECT + "/restore", object_methods.restore),
            ("POST", _OBJECT + "/rewriteTo/b/{target_bucket}/o/{target}", object_methods.rewrite),
            ("POST", _OBJECT + "/copyTo/b/{target_bucket}/o/{target}", object_methods.copy),
            ("POST", _OBJECT + "/moveTo/o/{target}", object_methods.move),
            ("GET", "/download" + _OBJECT, media.download),
        ),
        RawPathRoute("/storage/{rest:path}", _served(_not_emulated, json_error), methods=_ANY),
    ]
    return [
        *api,
        *_methods(
            open_uploads,
            ("POST", _UPLOAD, partial(upload_methods.insert, store)),
            ("POST", "/resumable" + _UPLOAD, partial(upload_methods.insert, store)),  # gcloud
            ("PUT", _UPLOAD, partial(upload_methods.resume, store)),
            ("DELETE", _UPLOAD, upload_methods.cancel),
        ),
        *_methods(Router(api), ("POST", "/batch/storage/v1", batch.batch)),
        *(
            RawPathRoute(path, _served(_not_emulated, json_error), methods=_ANY)
            for path in ("/upload/{rest:path}", "/download/{rest:path}", "/batch/{rest:path}")
        ),
        *(
            RawPathRoute(
                path, _served(partial(handler, store, open_uploads), xml_error), methods=_ANY
            )
            for path, handler in (
                ("/{bucket}", xml.serve_bucket),
                ("/{bucket}/", xml.serve_bucket),
                ("/{bucket}/{object:path}", xml.serve_object),
            )
        ),
    ]


class RawPathRoute(Route):
    """A route that tells a slash from an encoded one: object names hold both.

    Starlette matches the decoded path; this one matches what the client sent, then decodes.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Matches the path as sent; a method that is not this route's is no match."""
        if scope["type"] != "http":
            return Match.NONE, {}
        raw = scope["raw_path"].decode("latin-1")
        match, child = super().matches({**scope, "path": raw, "root_path": ""})
        if match is not Match.FULL:
            return Match.NONE, {}
        child["path_params"] = {
            name: unquote(value, errors="surrogateescape")
            for name, value in child["path_params"].items()
        }
        return match, child


def _methods(resources: Any, *table: tuple[str, str, Callable[..., Any]]) -> list[BaseRoute]:
    return [
        RawPathRoute(path, _served(partial(handler, resources), json_error), methods=[method])
        for method, path, handler in table
    ]


def _served(
    handler: Handler, write_error: Callable[[errors.ApiError], Response]
) -> Callable[[Request], Awaitable[Response]]:
    """Answers an ApiError in the form of the API at hand; plain functions run in a thread."""
    is_async = inspect.iscoroutinefunction(handler)

    async def endpoint(request: Request) -> Response:
        try:
            if is_async:
                response: Response = await handler(request)
            else:
                response = await run_in_threadpool(handler, request)
        except errors.ApiError as error:
            return write_error(error)
        except UnicodeEncodeError:
            return write_error(errors.invalid_argument("Expected names that are UTF-8."))
        except ClientDisconnect:
            return Response(status_code=499)  # there is no one left to read it
        return response

    return endpoint


def _not_emulated(request: Request) -> Response:
    raise errors.not_emulated(f"The emulator has no {request.method} {request.url.path}.")
