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

from emulator import errors
from emulator.storage import batch, buckets, media, objects, uploads, xml
from emulator.storage.responses import json_error, xml_error
from emulator.store.objects import Objects
from emulator.store.uploads import Uploads

_BUCKET = "/storage/v1/b/{bucket}"
_OBJECT = _BUCKET + "/o/{object}"
_ANY = ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"]
_UPLOAD = "/upload/storage/v1/b/{bucket}/o"

Handler = Callable[[Request], Any]  # returns a Response, or a coroutine that does


def routes(store: Objects) -> list[BaseRoute]:
    """Returns the routes of Cloud Storage, after clearing away what a killed process left.

    The last takes any path of two segments or more, as the XML API does: routes of other services
    come before these.

    Args:
        store: buckets and objects, served by nothing else yet.
    """
    open_uploads = Uploads(store)
    api = [
        *_methods(
            store,
            ("GET", "/storage/v1/b", buckets.list_all),
            ("POST", "/storage/v1/b", buckets.insert),
            ("GET", _BUCKET, buckets.get),
            ("PATCH", _BUCKET, buckets.patch),
            ("PUT", _BUCKET, buckets.update),
            ("DELETE", _BUCKET, buckets.delete),
            ("GET", _BUCKET + "/storageLayout", buckets.storage_layout),
            ("GET", _BUCKET + "/managedFolders", buckets.managed_folders),
            ("GET", _BUCKET + "/o", objects.list_page),
            ("GET", _OBJECT, objects.get),
            ("PATCH", _OBJECT, objects.patch),
            ("PUT", _OBJECT, objects.update),
            ("DELETE", _OBJECT, objects.delete),
            ("POST", _OBJECT + "/compose", objects.compose),
            ("POST", _OBJECT + "/rewriteTo/b/{target_bucket}/o/{target}", objects.rewrite),
            ("POST", _OBJECT + "/copyTo/b/{target_bucket}/o/{target}", objects.copy),
            ("POST", _OBJECT + "/moveTo/o/{target}", objects.move),
            ("GET", "/download" + _OBJECT, media.download),
        ),
        RawPathRoute("/storage/{rest:path}", _served(_not_emulated, json_error), methods=_ANY),
    ]
    return [
        *api,
        *_methods(
            open_uploads,
            ("POST", _UPLOAD, partial(uploads.insert, store)),
            ("POST", "/resumable" + _UPLOAD, partial(uploads.insert, store)),  # gcloud
            ("PUT", _UPLOAD, partial(uploads.resume, store)),
            ("DELETE", _UPLOAD, uploads.cancel),
        ),
        *_methods(Router(api), ("POST", "/batch/storage/v1", batch.batch)),
        *(
            RawPathRoute(path, _served(_not_emulated, json_error), methods=_ANY)
            for path in ("/upload/{rest:path}", "/download/{rest:path}", "/batch/{rest:path}")
        ),
        RawPathRoute(
            "/{bucket}/{object:path}",
            _served(partial(xml.serve, store, open_uploads), xml_error),
            methods=_ANY,
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
    raise errors.unimplemented(f"The emulator has no {request.method} {request.url.path}.")
