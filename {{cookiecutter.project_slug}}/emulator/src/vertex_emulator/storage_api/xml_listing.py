"""Lists of objects in the XML API, in both of its versions.

Source: https://cloud.google.com/storage/docs/xml-api/get-bucket-list
"""

from collections.abc import Callable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator import errors
from vertex_emulator.object_store.listing import Listing, Page, successor
from vertex_emulator.object_store.object_rows import StoredObject
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.storage_api.requests import integer
from vertex_emulator.storage_api.resources import moment
from vertex_emulator.storage_api.responses import Tree, xml_response
from vertex_emulator.storage_api.xml_headers import entity_tag

NAMESPACE = "http://doc.s3.amazonaws.com/2006-03-01"
_PAGE = 1000


def list_objects(objects: Objects, request: Request) -> Response:
    """Serves `GET /{bucket}`: with `list-type=2` by continuation token, without it by marker.

    Raises:
        ApiError: 404 for the bucket; 400 for parameters that are malformed.
    """
    parameters = request.query_params
    version = parameters.get("list-type", "1")
    if version not in {"1", "2"}:
        raise errors.invalid_argument(f"Expected list-type to be 2, got {version[:80]!r}.")
    encoding = parameters.get("encoding-type", "")
    if encoding not in {"", "url"}:
        raise errors.invalid_argument(f"Expected encoding-type to be url, got {encoding[:80]!r}.")
    text: Callable[[str], str] = quote if encoding else str
    most = integer(request, "max-keys")
    size = _PAGE if most is None else min(most, _PAGE)
    after = parameters.get("start-after" if version == "2" else "marker", "")
    listing = Listing(
        prefix=parameters.get("prefix", ""),
        delimiter=parameters.get("delimiter", ""),
        start_offset=_past(after, request) if after else "",
        page_size=size,
        page_token=parameters.get("continuation-token", "") if version == "2" else "",
    )
    bucket = request.path_params["bucket"]
    objects.buckets.get(bucket)
    found: Page[StoredObject] = objects.list_page(bucket, listing) if size else Page()
    head: list[tuple[str, str | Tree]] = [
        ("Name", bucket),
        ("Prefix", text(listing.prefix)),
        ("Delimiter", text(listing.delimiter)),
        ("MaxKeys", str(size)),
        ("IsTruncated", "true" if found.next_page_token else "false"),
    ]
    if encoding:
        head.append(("EncodingType", encoding))
    if version == "2":
        head += [
            ("KeyCount", str(len(found.items) + len(found.prefixes))),
            ("StartAfter", text(after)),
            ("ContinuationToken", listing.page_token),
            ("NextContinuationToken", found.next_page_token),
        ]
    else:
        head += [("Marker", text(after)), ("NextMarker", text(_last(found)))]
    head = [pair for pair in head if pair[1]]
    prefixes: Tree = [("CommonPrefixes", [("Prefix", text(prefix))]) for prefix in found.prefixes]
    contents: Tree = [("Contents", _content(stored, text)) for stored in found.items]
    return xml_response("ListBucketResult", [*head, *contents, *prefixes], namespace=NAMESPACE)


def _past(name: str, request: Request) -> str:
    """Returns the least name after one that a client has seen, an object's or a folded prefix."""
    delimiter = request.query_params.get("delimiter", "")
    if "marker" in request.query_params and delimiter:
        cut = name.find(delimiter, len(request.query_params.get("prefix", "")))
        if cut >= 0:
            return successor(name[: cut + len(delimiter)]) or name
    return name + "\0"


def _last(found: Page[StoredObject]) -> str:
    """The marker of the next page; nothing where there is none."""
    names = [each.name for each in found.items[-1:]] + found.prefixes[-1:]
    return max(names) if found.next_page_token else ""


def _content(stored: StoredObject, text: Callable[[str], str]) -> Tree:
    return [
        ("Key", text(stored.name)),
        ("Generation", str(stored.generation)),
        ("MetaGeneration", str(stored.metageneration)),
        ("LastModified", moment(stored.updated)),
        ("ETag", entity_tag(stored)),
        ("Size", str(stored.size)),
        ("StorageClass", stored.attributes.get("storageClass", "STANDARD")),
    ]
