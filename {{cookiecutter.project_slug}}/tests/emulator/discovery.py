"""Checks answers against Google's own description of its APIs.

google-api-python-client ships the discovery documents; their schemas become JSON Schema here:
no field that Google does not name, 64-bit integers as strings, times in RFC 3339, enums by name.
"""

import functools
import json
import re
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

import jsonschema

_INT64 = {"type": "string", "pattern": "^-?[0-9]+$"}
_TIME = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$",
}
_FORMATS: dict[str, dict[str, Any]] = {
    "int64": _INT64,
    "uint64": {"type": "string", "pattern": "^[0-9]+$"},
    "date-time": _TIME,
    "google-datetime": _TIME,
    "google-duration": {"type": "string", "pattern": r"^-?\d+(\.\d{1,9})?s$"},
    "google-fieldmask": {"type": "string"},
    "byte": {"type": "string", "pattern": "^[A-Za-z0-9+/_-]*={0,2}$"},
    # JSON has no NaN or infinity, so proto3 writes these as text.
    "double": {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
    "float": {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
}


class Validator:
    """The schemas and methods of one API.

    Args:
        document: a discovery document.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._definitions = {
            name: _translated(schema) for name, schema in document["schemas"].items()
        }
        self._methods: list[tuple[str, re.Pattern[str], str | None, str | None]] = list(
            _methods(document, document["servicePath"])
        )
        self._compiled: dict[str, jsonschema.Draft202012Validator] = {}

    def check(self, schema_name: str, payload: Any) -> None:
        """Checks a payload against a schema of the API.

        Raises:
            AssertionError: it does not fit; the message tells where and why.
        """
        if schema_name not in self._compiled:
            self._compiled[schema_name] = jsonschema.Draft202012Validator(
                {"$ref": f"#/$defs/{schema_name}", "$defs": self._definitions}
            )
        problems = [
            f"{schema_name} at {error.json_path}: {error.message}"
            for error in self._compiled[schema_name].iter_errors(payload)
        ]
        assert not problems, "\n".join(problems)

    def response_schema(self, method: str, path: str) -> str | None:
        """Returns the schema that the answer to a request has; None when it has no body.

        Args:
            method: of HTTP.
            path: as sent, without the query.

        Raises:
            KeyError: the API has no such method.
        """
        return self._schemas(method, path)[1]

    def request_schema(self, method: str, path: str) -> str | None:
        """Returns the schema that the body of a request has; None when it has no body.

        Args:
            method: of HTTP.
            path: as sent, without the query.

        Raises:
            KeyError: the API has no such method.
        """
        return self._schemas(method, path)[0]

    def _schemas(self, method: str, path: str) -> tuple[str | None, str | None]:
        found = [
            (len(pattern.pattern), (request, response))
            for http_method, pattern, request, response in self._methods
            if http_method == method and pattern.fullmatch(path)
        ]
        if not found:
            raise KeyError(f"{method} {unquote(path)}")
        # "models/{id}:listVersions" says more than "models/{id}", which matches it too.
        return max(found, key=lambda each: each[0])[1]


@functools.cache
def validator(document_name: str) -> Validator:
    """Returns the validator of an API.

    Args:
        document_name: such as `storage.v1` or `aiplatform.v1`.
    """
    folder = files("googleapiclient.discovery_cache.documents")
    return Validator(json.loads((folder / f"{document_name}.json").read_text()))


def _translated(schema: dict[str, Any]) -> dict[str, Any]:
    """Turns one discovery schema (an early draft of JSON Schema) into today's JSON Schema."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    kind = schema.get("type")
    if kind == "object":
        translated: dict[str, Any] = {
            "type": "object",
            "properties": {
                name: _translated(field) for name, field in schema.get("properties", {}).items()
            },
            "additionalProperties": False,
        }
        if "additionalProperties" in schema:
            translated["additionalProperties"] = _translated(schema["additionalProperties"])
        return translated
    if kind == "array":
        return {"type": "array", "items": _translated(schema["items"])}
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    typed = {} if kind in {None, "any"} else {"type": kind}
    return typed | ({"enum": schema["enum"]} if "enum" in schema else {})


def _methods(resource: dict[str, Any], base: str) -> Any:
    """Yields HTTP method, pattern of the path, request and response schemas of each method."""
    for method in resource.get("methods", {}).values():
        schemas = method.get("request", {}).get("$ref"), method.get("response", {}).get("$ref")
        path = method.get("flatPath") or method["path"]
        yield method["httpMethod"], _pattern(f"/{base}{path}"), *schemas
        if method.get("supportsMediaDownload"):
            yield method["httpMethod"], _pattern(f"/download/{base}{path}"), *schemas
        for protocol in method.get("mediaUpload", {}).get("protocols", {}).values():
            upload = protocol["path"].removeprefix("/resumable")
            yield method["httpMethod"], _pattern(upload), *schemas
            yield "PUT", _pattern(upload), *schemas  # the chunks of a resumable upload
    for below in resource.get("resources", {}).values():
        yield from _methods(below, base)


def _pattern(path: str) -> re.Pattern[str]:
    pieces = re.split(r"(\{[^}]*\})", path)
    return re.compile(
        "".join("[^/]+" if piece.startswith("{") else re.escape(piece) for piece in pieces)
    )
