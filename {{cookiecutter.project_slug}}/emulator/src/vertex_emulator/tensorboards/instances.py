"""TensorBoards: where a location's experiments keep their curves.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.tensorboards.
"""

import uuid
from typing import Any

from vertex_emulator.filters.language import Language
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.tensorboards.levels import MESSAGES, RUN, TENSORBOARD
from vertex_emulator.tensorboards.points import Points
from vertex_emulator.vertex import revisions
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.resources import (
    check_display_name,
    check_labels,
    listing,
    new_id,
    ordered,
    require,
    taken,
)

OUTPUT_ONLY = (
    "name", "blobStoragePathPrefix", "runCount", "createTime", "updateTime", "satisfiesPzs",
    "satisfiesPzi",
)  # fmt: skip
CHANGEABLE = ("displayName", "description", "labels", "isDefault", "encryptionSpec")
LANGUAGE = Language(
    fields=frozenset({"name", "displayName", "labels", "isDefault", "createTime", "updateTime"}),
    times=frozenset({"createTime", "updateTime"}),
)


class Tensorboards:
    """The `tensorboards` collection."""

    def __init__(
        self,
        database: Database,
        documents: Documents,
        objects: Objects,
        operations: Operations,
        points: Points,
    ) -> None:
        self._database = database
        self._objects = objects
        self._documents = documents
        self._operations = operations
        self._points = points

    def create(self, location: str, body: Any) -> Document:
        """Makes a TensorBoard; returns the operation.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed one.
        """
        tensorboard = revisions.first(taken(normalise(TENSORBOARD, body), OUTPUT_ONLY, {}))
        check_display_name(tensorboard)
        check_labels(tensorboard)
        number = new_id()
        tensorboard["name"] = name = f"{location}/tensorboards/{number}"
        tensorboard["blobStoragePathPrefix"] = f"{self._bucket(location)}/tensorboard-{number}"
        with self._database.transaction():
            self._documents.create(TENSORBOARD, location, tensorboard)
            self._keep_one_default(tensorboard)
        return self._operations.finished(
            name, "CreateTensorboardOperationMetadata", TENSORBOARD, self.get(name)
        )

    def get(self, name: str) -> Document:
        """Returns a TensorBoard. Raises ApiError 404 NOT_FOUND."""
        return self._shown(require(self._documents, TENSORBOARD, name))

    def list_page(self, location: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of TensorBoards, newest first where the query names no order."""
        scan = ordered(self._documents, TENSORBOARD, location, query.get("orderBy"))
        return listing("tensorboards", scan, query, LANGUAGE, shown=self._shown, seen=_seen)

    def patch(self, name: str, mask: str | None, body: Any) -> Document:
        """Changes the fields of `updateMask`; without a mask, those that the request gives.

        Returns the operation.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed TensorBoard or another field; 404
                NOT_FOUND; 409 ABORTED where the request's etag is not that of the TensorBoard.
        """
        given = taken(normalise(TENSORBOARD, body), OUTPUT_ONLY, {})
        fields = revisions.fields_to_change(mask, given, CHANGEABLE)
        with self._database.transaction():
            revisions.check_etag(TENSORBOARD, given, self.get(name))
            self._documents.update(name, lambda each: revisions.replace(each, given, fields))
            changed = self.get(name)
            check_display_name(changed)
            check_labels(changed)
            self._keep_one_default(changed)
        return self._operations.finished(
            name, "UpdateTensorboardOperationMetadata", TENSORBOARD, changed
        )

    def delete(self, name: str) -> Document:
        """Deletes a TensorBoard with all in it; returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        with self._database.transaction():
            self.get(name)
            self._documents.delete_below(name, MESSAGES)
            self._points.delete_below(name)
            self._documents.delete(name)
        return self._operations.finished(name, "DeleteOperationMetadata")

    def _bucket(self, location: str) -> str:
        """Returns a location's bucket for blobs, made when missing: uploaders write them there."""
        name = f"cloud-ai-platform-{uuid.uuid5(uuid.NAMESPACE_URL, location)}"
        return self._objects.buckets.ensure(name, location.split("/")[1]).name

    def _keep_one_default(self, tensorboard: Document) -> None:
        """Makes all others of the location no default where this one is."""
        if not tensorboard.get("isDefault"):
            return
        location = tensorboard["name"].rpartition("/tensorboards/")[0]
        for other in self._documents.list(TENSORBOARD, location):
            if other.get("isDefault") and other["name"] != tensorboard["name"]:
                self._documents.update(
                    other["name"], lambda each: revisions.replace(each, {}, ["isDefault"])
                )

    def _shown(self, tensorboard: Document) -> Document:
        runs = self._documents.count_below(tensorboard["name"], RUN.message)
        return tensorboard | {"runCount": runs}


def _seen(tensorboard: Document) -> Document:
    return {"isDefault": False} | tensorboard
