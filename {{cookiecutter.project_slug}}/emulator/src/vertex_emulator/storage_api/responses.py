"""How Cloud Storage writes its answers: JSON with partial responses, and errors in JSON or XML."""

import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.errors import ApiError, invalid_argument
from vertex_emulator.field_masks import select

JSON = "application/json; charset=UTF-8"
XML = "application/xml; charset=UTF-8"

# Names of elements, each with its text or with what it holds.
Tree = Sequence[tuple[str, "str | Tree"]]
# What no document can hold, escaped or not: https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Source: https://cloud.google.com/storage/docs/json_api/v1/status-codes
_REASONS: dict[int | str, str] = {
    "NotImplemented": "notImplemented",
    304: "notModified",
    400: "invalid",
    404: "notFound",
    409: "conflict",
    412: "conditionNotMet",
    413: "uploadTooLarge",
    416: "requestedRangeNotSatisfiable",
    503: "backendError",
    507: "insufficientStorage",
}
# Source: https://cloud.google.com/storage/docs/xml-api/reference-status
_TOLD = ("Message", "Details")
_XML_CODES = {
    400: "InvalidArgument",
    404: "NoSuchKey",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "EntityTooLarge",
    416: "InvalidRange",
    503: "ServiceUnavailable",
}


def json_response(
    request: Request, document: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    """Answers with a resource, cut down to what the `fields` parameter asks for."""
    wanted = request.query_params.get("fields")
    body = select(document, wanted) if wanted else document
    return Response(orjson.dumps(body), media_type=JSON, headers=headers)


def json_error(error: ApiError) -> Response:
    """Answers in the JSON API's form, which names a reason beside the code."""
    if error.code == 304:
        return Response(status_code=304)
    document = error.body()
    reason = {
        "message": error.message,
        "domain": "global",
        "reason": _REASONS.get(error.reason) or _REASONS.get(error.code, "internalError"),
    }
    document["error"]["errors"] = [reason]
    body = orjson.dumps(document)
    return Response(body, status_code=error.code, media_type=JSON, headers=error.headers)


def xml_error(error: ApiError) -> Response:
    """Answers in the XML API's form."""
    if error.code == 304:
        return Response(status_code=304)
    code = error.reason or _XML_CODES.get(error.code, "InternalError")
    response = xml_response(
        "Error",
        [("Code", code), *((name, _NOT_XML.sub("?", error.message)) for name in _TOLD)],
        error.code,
    )
    response.headers.update(error.headers)
    return response


def xml_response(root: str, tree: Tree, status: int = 200, namespace: str = "") -> Response:
    """Answers with one element that holds the tree as child elements.

    Raises:
        ApiError: 400 for a text that XML has no characters for.
    """
    element = ElementTree.Element(root, {"xmlns": namespace} if namespace else {})
    _fill(element, tree)
    body = ElementTree.tostring(element, encoding="utf-8", xml_declaration=True)
    return Response(body, status_code=status, media_type=XML)


def _fill(element: ElementTree.Element, tree: Tree) -> None:
    for name, value in tree:
        child = ElementTree.SubElement(element, name)
        if not isinstance(value, str):
            _fill(child, value)
        elif _NOT_XML.search(value):
            raise invalid_argument(
                f"XML cannot hold the characters of {value[:80]!r}; ask with encoding-type=url."
            )
        else:
            child.text = value
