"""Metadata stores; what they hold is in `nodes`.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.metadataStores.
"""

from typing import Any

from vertex_emulator.errors import already_exists, invalid_argument
from vertex_emulator.filters.language import Language
from vertex_emulator.metadata.nodes import ARTIFACT, CONTEXT, EXECUTION, ID_RULE, NODE_ID
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.resources import listing, new_id, newest, require, taken

KIND = "MetadataStore"
OUTPUT_ONLY = ("name", "createTime", "updateTime", "state")
REFUSED = {"dataplexConfig": "there is no Dataplex here; leave it out"}
NODES = tuple(kind.message for kind in (CONTEXT, EXECUTION, ARTIFACT))


class Stores:
    """The `metadataStores` collection."""

    def __init__(self, database: Database, documents: Documents, operations: Operations) -> None:
        self._database = database
        self._documents = documents
        self._operations = operations

    def create(self, location: str, query: dict[str, str], body: Any) -> Document:
        """Makes a metadata store; returns the operation.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed store or id; 409 ALREADY_EXISTS.
        """
        store = taken(normalise(KIND, body), OUTPUT_ONLY, REFUSED)
        given = query.get("metadataStoreId")
        if given and not NODE_ID.fullmatch(given):
            raise invalid_argument(f"metadataStoreId: expected {ID_RULE}, got {given!r}.")
        name = f"{location}/metadataStores/{given or new_id()}"
        moment = now()
        store |= {"name": name, "createTime": moment, "updateTime": moment}
        if not self._documents.create(KIND, location, store):
            raise already_exists(f"{KIND} with name {name} already exists.")
        return self._operations.finished(name, "CreateMetadataStoreOperationMetadata", KIND, store)

    def get(self, name: str) -> Document:
        """Returns a metadata store. Raises ApiError 404 NOT_FOUND."""
        return require(self._documents, KIND, name)

    def list_page(self, location: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of metadata stores, newest first. Raises ApiError 400 for a bad query."""
        scan = newest(self._documents, KIND, location)
        return listing("metadataStores", scan, query, Language())

    def delete(self, name: str) -> Document:
        """Deletes a metadata store with all in it; returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        with self._database.transaction():
            self.get(name)
            self._documents.delete_below(name, NODES)
            self._documents.delete(name)
        return self._operations.finished(name, "DeleteMetadataStoreOperationMetadata")
