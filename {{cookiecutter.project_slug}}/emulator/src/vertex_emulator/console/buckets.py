"""Buckets: folders, and objects as tables, text, pictures or pages in a sandbox."""

import csv
import gzip
import io
import mimetypes
import zlib
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console.console import Console
from vertex_emulator.console.rendering import HEADERS, path_of, render
from vertex_emulator.console.texts import printable
from vertex_emulator.errors import too_large
from vertex_emulator.object_store.listing import Listing
from vertex_emulator.object_store.object_rows import StoredObject
from vertex_emulator.object_store.objects import Ref
from vertex_emulator.uris import split_uri

A_PAGE = 200
HEAD_BYTES = 256 * 1024  # of an object, to show its beginning
ROWS, COLUMNS, CELL = 100, 60, 200  # of a table
PAGE_BYTES = 32 * 1024 * 1024
PAGE_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:;"
    " frame-ancestors 'self'"
)
LONGEST = 100_000  # characters of a text
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")


def show_list(console: Console, request: Request) -> Response:
    """The buckets of the project."""
    project = request.path_params["location"].split("/")[1]
    found = console.objects.buckets.in_project(project)
    return render(console, request, "buckets.html", buckets=found)


def show(console: Console, request: Request) -> Response:
    """A folder of a bucket, or one object."""
    name = request.query_params.get("object", "")
    return _object(console, request, name) if name else _folder(console, request)


def show_page(console: Console, request: Request) -> Response:
    """The HTML of an object, for a frame: without an origin, without scripts, asking nobody."""
    ref = Ref(request.path_params["bucket"], request.query_params.get("object", ""))
    if console.objects.stat(ref).size > PAGE_BYTES:
        raise too_large(f"{ref.name} is larger than {PAGE_BYTES} bytes; download it to see it.")
    _stored, file = console.objects.open(ref)
    with file:
        content = file.read()
    headers = {**HEADERS, "content-security-policy": PAGE_POLICY}
    return Response(content, headers=headers, media_type="text/html; charset=utf-8")


def page_path(resource: str, bucket: str, name: str) -> str:
    """Returns the address of an object's HTML, for a frame of a page of a location."""
    location = "/".join(resource.split("/")[:4])
    return path_of(f"{location}/buckets/{bucket}/page", object=name)


def folder_path(resource: str, uri: str) -> str:
    """Returns the address of the page of a gs:// folder.

    Args:
        resource: a resource of the same location.
        uri: of the folder.
    """
    bucket, prefix = split_uri(uri.rstrip("/"))
    location = "/".join(resource.split("/")[:4])
    return path_of(f"{location}/buckets/{bucket}", prefix=f"{prefix}/" if prefix else "")


def _folder(console: Console, request: Request) -> Response:
    bucket = request.path_params["bucket"]
    prefix = request.query_params.get("prefix", "")
    listing = Listing(
        prefix=prefix,
        delimiter="/",
        page_size=A_PAGE,
        page_token=request.query_params.get("pageToken", ""),
    )
    found = console.objects.list_page(bucket, listing)
    return render(
        console,
        request,
        "bucket.html",
        bucket=bucket,
        prefix=prefix,
        crumbs=_crumbs(prefix),
        folders=[(name, name[len(prefix) :]) for name in found.prefixes],
        objects=[(each, each.name[len(prefix) :]) for each in found.items],
        next=found.next_page_token,
        path=path_of(f"{request.path_params['location']}/buckets/{bucket}"),
    )


def _object(console: Console, request: Request, name: str) -> Response:
    bucket = request.path_params["bucket"]
    stored = console.objects.stat(Ref(bucket, name))
    folder, _slash, last = name.rpartition("/")
    kind = kind_of(stored)
    return render(
        console,
        request,
        "object.html",
        bucket=bucket,
        stored=stored,
        last=last or name,
        crumbs=_crumbs(f"{folder}/" if folder else ""),
        kind=kind,
        view=_view(console, stored, kind),
        media=media_path(bucket, name),
        path=path_of(f"{request.path_params['location']}/buckets/{bucket}"),
    )


def media_path(bucket: str, name: str) -> str:
    """Returns the address of an object's bytes, which are served without the page's origin."""
    return f"/storage/v1/b/{quote(bucket)}/o/{quote(name, safe='')}?alt=media"


def kind_of(stored: StoredObject) -> str:
    """Returns an object's media type: by its name, where its own says nothing."""
    own: str = stored.attributes.get("contentType", "")
    guessed = mimetypes.guess_type(stored.name.removesuffix(".gz"))[0] or ""
    if stored.name.removesuffix(".gz").endswith(".jsonl"):
        guessed = "application/jsonl"
    return guessed or own or "application/octet-stream"


def _view(console: Console, stored: StoredObject, kind: str) -> dict[str, Any]:
    """Returns how an object is shown: `as` is picture, page, table, text or nothing."""
    if kind in PICTURES:
        return {"as": "picture"}
    if kind == "text/html":
        return {"as": "page"}
    head, is_whole = _head(console, stored)
    try:
        text = head.decode() if is_whole else head.decode(errors="ignore")
    except UnicodeDecodeError:
        return {"as": "nothing"}
    if "\0" in text:
        return {"as": "nothing"}
    if kind in ("text/csv", "text/tab-separated-values"):
        return _table(text, "\t" if "tab" in kind else ",", is_whole=is_whole)
    if kind == "application/json" and is_whole:
        with suppress(orjson.JSONDecodeError):
            text = orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2).decode()
    shown, left = printable(text, LONGEST)
    return {"as": "text", "text": shown, "is_whole": is_whole and not left}


def _head(console: Console, stored: StoredObject) -> tuple[bytes, bool]:
    """Returns an object's first bytes, unpacked where they are gzip, and whether that is all."""
    ref = Ref(stored.bucket, stored.name, stored.generation)
    _stored, file = console.objects.open(ref)
    with file:
        head = file.read(HEAD_BYTES)
        if not head.startswith(b"\x1f\x8b"):
            return head, len(head) == stored.size
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                head = unpacked.read(HEAD_BYTES)
                return head, not unpacked.read(1)
        except (OSError, EOFError, zlib.error):
            return head, False


def _table(text: str, delimiter: str, *, is_whole: bool) -> dict[str, Any]:
    lines = io.StringIO(text if is_whole else text.rpartition("\n")[0])
    rows = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            rows.append([printable(cell, CELL)[0] for cell in row[:COLUMNS]])
            if len(rows) > ROWS:
                break
    except csv.Error:  # a field of more than 128 KiB
        rows = rows or [[]]
    has_more = not is_whole or len(rows) > ROWS
    return {"as": "table", "heads": rows[0] if rows else [], "rows": rows[1:], "more": has_more}


def _crumbs(prefix: str) -> list[tuple[str, str]]:
    """Returns the folders above, each with its prefix."""
    parts = prefix.split("/")[:-1]
    return [(part or "(empty)", "/".join(parts[: i + 1]) + "/") for i, part in enumerate(parts)]
