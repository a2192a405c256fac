"""Checks answers and requests against Google's own description of its APIs.

google-api-python-client ships the discovery documents; their schemas become JSON Schema here:
no field that Google does not name, 64-bit integers as strings, times in RFC 3339, enums by name;
in a request also by number, as Google's clients send them (https://protobuf.dev/programming-guides/json).
"""

import functools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
            is_request: {
                name: _translated(schema, is_request=is_request)
                for name, schema in document["schemas"].items()
            }
            for is_request in (False, True)
        }
        self._methods = list(_methods(document, document["servicePath"]))
        self._common = {*document["parameters"], "$alt"}  # as the clients spell it
        self._compiled: dict[tuple[str, bool], jsonschema.Draft202012Validator] = {}

    def check(self, schema_name: str, payload: Any, *, is_request: bool = False) -> None:
        """Checks a payload against a schema of the API.

        Args:
            schema_name: of the API.
            payload: decoded JSON.
            is_request: whether a client sends it, who may give an enum by its number.

        Raises:
            AssertionError: it does not fit; the message tells where and why.
        """
        key = schema_name, is_request
        if key not in self._compiled:
            self._compiled[key] = jsonschema.Draft202012Validator(
                {"$ref": f"#/$defs/{schema_name}", "$defs": self._definitions[is_request]}
            )
        problems = [
            f"{schema_name} at {error.json_path}: {error.message}"
            for error in self._compiled[key].iter_errors(payload)
        ]
        assert not problems, "\n".join(problems)

    def method(self, http_method: str, path: str) -> "Method":
        """Returns the method that a request calls.

        Args:
            http_method: of HTTP.
            path: as sent, without the query.

        Raises:
            KeyError: the API has no such method.
        """
        found = [
            method
            for method in self._methods
            if method.http_method == http_method and method.pattern.fullmatch(path)
        ]
        if not found:
            raise KeyError(f"{http_method} {unquote(path)}")
        # "models/{id}:listVersions" says more than "models/{id}", which matches it too.
        return max(found, key=lambda method: len(method.pattern.pattern))

    def response_schema(self, http_method: str, path: str) -> str | None:
        """Returns the schema that the answer to a request has; None when it has no body.

        Raises:
            KeyError: the API has no such method.
        """
        return self.method(http_method, path).response

    def check_request(self, http_method: str, path: str, query: Iterable[str], body: Any) -> None:
        """Checks a request: its method, the names of its parameters, and its body.

        Args:
            http_method: of HTTP.
            path: as sent, without the query.
            query: names of the parameters.
            body: decoded JSON, or None.

        Raises:
            AssertionError: the API takes no such request.
            KeyError: the API has no such method.
        """
        method = self.method(http_method, path)
        unknown = set(query) - method.parameters - self._common
        assert not unknown, f"{http_method} {path} has no parameters {unknown}"
        if method.request is not None:
            self.check(method.request, {} if body is None else body, is_request=True)
        else:
            assert body is None, f"{http_method} {path} takes no body"


@functools.cache
def validator(document_name: str) -> Validator:
    """Returns the validator of an API.

    Args:
        document_name: such as `storage.v1` or `aiplatform.v1`.
    """
    folder = files("googleapiclient.discovery_cache.documents")
    return Validator(json.loads((folder / f"{document_name}.json").read_text()))


def _translated(schema: dict[str, Any], *, is_request: bool) -> dict[str, Any]:
    """Turns one discovery schema (an early draft of JSON Schema) into today's JSON Schema."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    kind = schema.get("type")
    if kind == "object":
        translated: dict[str, Any] = {
            "type": "object",
            "properties": {
                name: _translated(field, is_request=is_request)
                for name, field in schema.get("properties", {}).items()
            },
            "additionalProperties": False,
        }
        if "additionalProperties" in schema:
            translated["additionalProperties"] = _translated(
                schema["additionalProperties"], is_request=is_request
            )
        return translated
    if kind == "array":
        return {"type": "array", "items": _translated(schema["items"], is_request=is_request)}
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    typed = {} if kind in {None, "any"} else {"type": kind}
    if "enum" not in schema:
        return typed
    named = typed | {"enum": schema["enum"]}
    return {"anyOf": [named, {"type": "integer", "minimum": 0}]} if is_request else named


@dataclass(frozen=True)
class Method:
    """One method of an API.

    Attributes:
        http_method: of HTTP.
        pattern: of the path.
        request: schema of the body, or None.
        response: schema of the answer, or None.
        parameters: names that a query may have.
    """

    http_method: str
    pattern: re.Pattern[str]
    request: str | None
    response: str | None
    parameters: frozenset[str]


def _methods(resource: dict[str, Any], base: str) -> Iterator[Method]:
    """Yields the methods of a resource and of those below it."""
    for method in resource.get("methods", {}).values():

        def at(path: str, http_method: str, method: Any = method) -> Method:
            return Method(
                http_method,
                _pattern(path),
                method.get("request", {}).get("$ref"),
                method.get("response", {}).get("$ref"),
                frozenset(method.get("parameters", {})),
            )

        http_method = method["httpMethod"]
        path = method.get("flatPath") or method["path"]
        yield at(f"/{base}{path}", http_method)
        if method.get("supportsMediaDownload"):
            yield at(f"/download/{base}{path}", http_method)
        for protocol in method.get("mediaUpload", {}).get("protocols", {}).values():
            upload = protocol["path"].removeprefix("/resumable")
            yield at(upload, http_method)
            yield at(upload, "PUT")  # the chunks of a resumable upload
    for below in resource.get("resources", {}).values():
        yield from _methods(below, base)


def _pattern(path: str) -> re.Pattern[str]:
    pieces = re.split(r"(\{[^}]*\})", path)
    return re.compile(
        "".join("[^/]+" if piece.startswith("{") else re.escape(piece) for piece in pieces)
    )
