"""What contexts, executions and artifacts of a metadata store have in common.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.metadataStores.
Each is one document. What connects nodes is kept in them, under names that answers leave out or
show as Google does: `contexts` of an artifact or execution, `parentContexts` and `childContexts` of
a context, `events` of an execution.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from vertex_emulator.errors import already_exists, failed_precondition, invalid_argument
from vertex_emulator.filters.conditions import Condition
from vertex_emulator.filters.language import Function, Language, Predicate
from vertex_emulator.filters.tokens import Token
from vertex_emulator.metadata.schemas import VERSION, check_schema
from vertex_emulator.names import camel
from vertex_emulator.pages import Position
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.vertex import revisions
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.resources import (
    MAX_NAME_CHARACTERS,
    ORDERS,
    Items,
    check_labels,
    listing,
    new_id,
    ordered,
    require,
    taken,
)

NODE_ID = re.compile(r"[a-z0-9-]{4,128}")
ID_RULE = "4 to 128 of a-z, 0-9 and -"
MAX_METADATA_BYTES = 200 * 1024
HIDDEN = ("contexts", "childContexts", "events", "earlier")
CHANGEABLE = ("displayName", "description", "labels", "metadata")
IMMUTABLE = ("schemaTitle", "schemaVersion")
NODE_ORDERS = ORDERS | {"schema_title": "schemaTitle", "name": "name"}
NAMED = "name", "displayName", "schemaTitle", "createTime", "updateTime", "metadata"


@dataclass(frozen=True)
class Kind:
    """One of the three kinds of nodes.

    Attributes:
        message: its name in `google.cloud.aiplatform.v1`, which documents are kept under too.
        collection: part of resource names, and the field of a list that holds the items.
        output_only: fields that Google's reference says so of.
        changeable: what `patch` may change.
        language: of the filter of lists.
    """

    message: str
    collection: str
    output_only: tuple[str, ...]
    changeable: tuple[str, ...]
    language: Language


def _language(*fields: str, functions: dict[str, Function] | None = None) -> Any:
    return Language(
        fields=frozenset({*NAMED, *fields}),
        times=frozenset({"createTime", "updateTime"}),
        functions=functions or {},
    )


def _in_context(arguments: list[Token]) -> Predicate:
    """`in_context("…/contexts/ID")`: whether an artifact or execution is associated with it."""
    if len(arguments) != 1:
        raise ValueError(f"expected the resource name of one context, got {len(arguments)}")
    wanted = arguments[0].value
    return lambda node: wanted in node.get("contexts", ())


TIMES = ("createTime", "updateTime")
CONTEXT = Kind(
    "Context",
    "contexts",
    ("name", *TIMES, "parentContexts"),
    CHANGEABLE,
    _language("parentContexts", "childContexts"),
)
EXECUTION = Kind(
    "Execution",
    "executions",
    ("name", *TIMES),
    (*CHANGEABLE, "state"),
    _language("state", functions={"in_context": _in_context}),
)
ARTIFACT = Kind(
    "Artifact",
    "artifacts",
    ("name", *TIMES),
    (*CHANGEABLE, "state", "uri"),
    _language("state", "uri", functions={"in_context": _in_context}),
)


class Nodes:
    """One of the collections `contexts`, `executions` and `artifacts` of metadata stores."""

    def __init__(
        self, kind: Kind, database: Database, documents: Documents, operations: Operations
    ) -> None:
        self._kind = kind
        self._database = database
        self._documents = documents
        self._operations = operations
        self.id_parameter = camel(f"{kind.message.lower()}_id")

    def create(self, parent: str, query: dict[str, str], body: Any) -> Document:
        """Makes a node in the metadata store `parent`.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed node; 404 NOT_FOUND for an unknown store
                or schema; 409 ALREADY_EXISTS.
        """
        given = query.get(self.id_parameter)
        if given and not NODE_ID.fullmatch(given):
            raise invalid_argument(f"{self.id_parameter}: expected {ID_RULE}, got {given!r}.")
        return self._create(parent, given or new_id(), self._read(body))

    def get(self, name: str) -> Document:
        """Returns a node. Raises ApiError 404 NOT_FOUND."""
        return shown(self.stored(name))

    def stored(self, name: str) -> Document:
        """Returns the document of a node of this kind. Raises ApiError 404 NOT_FOUND."""
        return require(self._documents, self._kind.message, name)

    def list_page(self, parent: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of a store's nodes, newest first where the query names no order.

        Raises:
            ApiError: 400 for a bad query; 404 NOT_FOUND for an unknown store.
        """
        return self.list_of_schema(None, parent, query)

    def list_of_schema(
        self, title: str | None, parent: str, query: dict[str, str]
    ) -> dict[str, Any]:
        """Returns a page of a store's nodes of one `schemaTitle`; None takes all."""
        require(self._documents, "MetadataStore", parent)
        kind = self._kind
        order = query.get("orderBy")
        everything = ordered(
            self._documents, kind.message, parent, order, NODE_ORDERS, derived=("metadata",)
        )

        def scan(after: Position | None, needed: Sequence[Condition]) -> Items:
            found = everything(after, needed)
            return (each for each in found if title in (None, each[1]["schemaTitle"]))

        return listing(kind.collection, scan, query, kind.language, shown=shown, seen=_seen)

    def patch(self, name: str, query: dict[str, str], mask: str | None, body: Any) -> Document:
        """Changes the fields of `updateMask`; without a mask, those that the request gives.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed node or another field; 404 NOT_FOUND;
                409 ABORTED where the request's etag is not that of the node.
        """
        given = self._read(body)
        fields = revisions.fields_to_change(mask, given, self._kind.changeable)
        with self._database.transaction():
            if query.get("allowMissing") == "true" and self._documents.get(name) is None:
                store, _, node_id = name.rsplit("/", 2)
                return self._create(store, node_id, given)
            stored = self.stored(name)
            given = self._reconcile(given, stored)
            revisions.check_immutable(given, stored, IMMUTABLE)

            def change(node: Document) -> None:
                self._remember(node)
                revisions.replace(node, given, fields)

            self._documents.update(name, change)
            return self.get(name)

    def delete(self, name: str, query: dict[str, str]) -> Document:
        """Deletes a node, and what connects it; returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND; 400 FAILED_PRECONDITION where the request's etag is not that
                of the node.
        """
        with self._database.transaction():
            stored = self.stored(name)
            if query.get("etag", stored["etag"]) != stored["etag"]:
                raise failed_precondition(
                    f"etag: {name} has {stored['etag']!r}, the request {query['etag']!r}; read it"
                    " again."
                )
            self._documents.delete(name)
            self._disconnect(stored)
        return self._operations.finished(name, "DeleteOperationMetadata")

    def _create(self, parent: str, node_id: str, node: Document) -> Document:
        require(self._documents, "MetadataStore", parent)
        check_schema(self._kind.collection, node)
        name = f"{parent}/{self._kind.collection}/{node_id}"
        document = revisions.first({"schemaVersion": VERSION, "metadata": {}} | node)
        document["name"] = name
        if not self._documents.create(self._kind.message, parent, document):
            raise already_exists(f"{self._kind.message} with name {name} already exists.")
        return document

    def _read(self, body: Any) -> Document:
        node = taken(normalise(self._kind.message, body), self._kind.output_only, {})
        if len(node.get("displayName", "")) > MAX_NAME_CHARACTERS:
            raise invalid_argument(
                f"displayName: expected at most {MAX_NAME_CHARACTERS} characters, got"
                f" {len(node['displayName'])}."
            )
        check_labels(node)
        if "metadata" in node:
            node["metadata"] = {key.strip(): value for key, value in node["metadata"].items()}
        size = len(orjson.dumps(node.get("metadata", {})))
        if size > MAX_METADATA_BYTES:
            raise invalid_argument(
                f"metadata: expected at most {MAX_METADATA_BYTES} bytes, got {size}."
            )
        return node

    def _reconcile(self, given: Document, stored: Document) -> Document:
        """Returns what a request is to write that may have read an earlier state of the node.

        Raises:
            ApiError: 409 ABORTED where it may not.
        """
        revisions.check_etag(self._kind.message, given, stored)
        return given

    def _remember(self, node: Document) -> None:
        """Keeps a state of a node that is about to change, where `_reconcile` needs it."""

    def _disconnect(self, node: Document) -> None:
        """Takes a deleted node out of those that name it."""


def shown(node: Document) -> Document:
    """Returns what an answer shows of a node's document."""
    return {key: value for key, value in node.items() if key not in HIDDEN}


def _seen(node: Document) -> Document:
    """Returns what a filter sees: metadata as `metadata.FIELD.number_value` and the like."""
    metadata = node.get("metadata", {})
    return node | {"metadata": {key: _typed(each) for key, each in metadata.items()}}


def _typed(value: Any) -> Document:
    """A JSON value as the message `google.protobuf.Value`."""
    if isinstance(value, dict):
        return {"struct_value": {"fields": {key: _typed(each) for key, each in value.items()}}}
    if isinstance(value, list):
        return {"list_value": {"values": [_typed(each) for each in value]}}
    kinds = {bool: "bool_value", str: "string_value", type(None): "null_value"}
    return {kinds.get(type(value), "number_value"): value}
