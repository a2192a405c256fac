"""What lies below a TensorBoard: experiments, their runs, and the runs' time series.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.tensorboards.experiments
and the collections below it.
"""

import re
from dataclasses import dataclass
from typing import Any

from vertex_emulator.errors import already_exists, invalid_argument
from vertex_emulator.filters.language import Language
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
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

CHILD_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
ID_RULE = "1 to 128 of a-z, 0-9 and -, the first no -"
MAX_PLUGIN_CHARACTERS = 65 * 1024 * 4 // 3  # 65 KB in Base64
MAX_A_BATCH = 1_000
OUTPUT_ONLY = ("name", "createTime", "updateTime")
LANGUAGE = Language(
    fields=frozenset({"name", "displayName", "labels", "createTime", "updateTime"}),
    times=frozenset({"createTime", "updateTime"}),
)


@dataclass(frozen=True)
class Level:
    """One of the collections below a TensorBoard.

    Attributes:
        message: its name in `google.cloud.aiplatform.v1`, which documents are kept under too.
        parent: message of what its resources are in.
        segment: its part of resource names.
        id_is_given: whether a request must give the id.
        unique: whether two resources of one parent may not have the same display name, which
            each must have.
        output_only: fields that Google's reference says so of.
        immutable: fields that keep their first value.
        changeable: fields that a PATCH may change.
    """

    message: str
    parent: str
    segment: str
    id_is_given: bool
    unique: bool
    output_only: tuple[str, ...] = OUTPUT_ONLY
    immutable: tuple[str, ...] = ()
    changeable: tuple[str, ...] = ("displayName", "description", "labels")

    @property
    def field(self) -> str:
        """What requests call one of its resources: `tensorboardRun`."""
        return self.message[0].lower() + self.message[1:]

    @property
    def items(self) -> str:
        """The field of an answer that holds several: `tensorboardRuns`."""
        return self.field if self.field.endswith("s") else f"{self.field}s"

    @property
    def id_parameter(self) -> str:
        """What requests call the id: `tensorboardRunId`."""
        return f"{self.field}Id"


TENSORBOARD = "Tensorboard"
EXPERIMENT = Level(
    "TensorboardExperiment",
    TENSORBOARD,
    "experiments",
    id_is_given=True,
    unique=False,
    immutable=("source",),
)
RUN = Level("TensorboardRun", EXPERIMENT.message, "runs", id_is_given=True, unique=True)
TIME_SERIES = Level(
    "TensorboardTimeSeries",
    RUN.message,
    "timeSeries",
    id_is_given=False,
    unique=True,
    output_only=(*OUTPUT_ONLY, "metadata"),
    immutable=("valueType", "pluginName"),
    changeable=("displayName", "description", "pluginData"),
)
MESSAGES = (EXPERIMENT.message, RUN.message, TIME_SERIES.message)


class Collection:
    """The resources of one level."""

    def __init__(
        self,
        level: Level,
        database: Database,
        documents: Documents,
        operations: Operations,
        points: Points,
    ) -> None:
        self.level = level
        self._database = database
        self._documents = documents
        self._operations = operations
        self._points = points

    def create(self, parent: str, query: dict[str, str], body: Any) -> Document:
        """Makes a resource in `parent`.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed resource or id; 404 NOT_FOUND for an
                unknown parent; 409 ALREADY_EXISTS for a name that is in use.
        """
        resource = normalise(self.level.message, body)
        with self._database.transaction():
            return self._create(parent, query.get(self.level.id_parameter, ""), resource, "")

    def create_batch(self, parent: str, body: Any) -> Document:
        """Makes resources, all or none, in `parent` or in what it holds.

        Raises:
            ApiError: as `create`; 400 INVALID_ARGUMENT too for a resource elsewhere.
        """
        level = self.level
        batch = level.message + ("" if level.message.endswith("s") else "s")
        requests = normalise(f"BatchCreate{batch}Request", body).get("requests", [])
        if not 1 <= len(requests) <= MAX_A_BATCH:
            raise invalid_argument(f"requests: expected 1 to {MAX_A_BATCH}, got {len(requests)}.")
        made = []
        with self._database.transaction():
            for index, request in enumerate(requests):
                path = f"requests[{index}]"
                within = request.get("parent", "")
                if within != parent and not within.startswith(f"{parent}/"):
                    raise invalid_argument(
                        f"{path}.parent: expected {parent} or what is in it, got {within!r}."
                    )
                resource = request.get(level.field, {})
                given = request.get(level.id_parameter, "")
                made.append(self._create(within, given, resource, f"{path}."))
        return {level.items: made}

    def create_batch_below(self, name: str, body: Any) -> Document:
        """As `create_batch`, where the path ends with what the resources are below."""
        return self.create_batch(name, body)

    def get(self, name: str) -> Document:
        """Returns a resource. Raises ApiError 404 NOT_FOUND."""
        return require(self._documents, self.level.message, name)

    def list_page(self, parent: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of what is in `parent`, newest first where the query names no order.

        Raises:
            ApiError: 400 for a bad query; 404 NOT_FOUND for an unknown parent.
        """
        level = self.level
        require(self._documents, level.parent, parent)
        scan = ordered(self._documents, level.message, parent, query.get("orderBy"))
        return listing(level.items, scan, query, LANGUAGE)

    def patch(self, name: str, mask: str | None, body: Any) -> Document:
        """Changes the fields of `updateMask`; without a mask, those that the request gives.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed resource or another field; 404 NOT_FOUND;
                409 for another's display name, or an etag that is not that of the resource.
        """
        given = taken(normalise(self.level.message, body), self.level.output_only, {})
        fields = revisions.fields_to_change(mask, given, self.level.changeable)
        with self._database.transaction():
            stored = self.get(name)
            revisions.check_etag(self.level.message, given, stored)
            revisions.check_immutable(given, stored, self.level.immutable)
            self._documents.update(name, lambda each: revisions.replace(each, given, fields))
            changed = self.get(name)
            self._check(changed, name.rsplit("/", 2)[0], "")
            return changed

    def delete(self, name: str) -> Document:
        """Deletes a resource with all below it; returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        with self._database.transaction():
            self.get(name)
            self._documents.delete_below(name, MESSAGES)
            self._points.delete_below(name)
            self._documents.delete(name)
        return self._operations.finished(name, "DeleteOperationMetadata")

    def _create(self, parent: str, given: str, resource: Document, path: str) -> Document:
        level = self.level
        require(self._documents, level.parent, parent)
        if (given or level.id_is_given) and not CHILD_ID.fullmatch(given):
            raise invalid_argument(
                f"{path}{level.id_parameter}: expected {ID_RULE}, got {given!r}."
            )
        document = revisions.first(taken(resource, level.output_only, {}))
        document["name"] = name = f"{parent}/{level.segment}/{given or new_id()}"
        self._check(document, parent, path)
        if not self._documents.create(level.message, parent, document):
            raise already_exists(f"{level.message} with name {name} already exists.")
        return document

    def _check(self, resource: Document, parent: str, path: str) -> None:
        """Refuses what no resource may be.

        Args:
            resource: the document as it is to be.
            parent: what it is in.
            path: of the resource in the request, with a dot behind it, or "".

        Raises:
            ApiError: 400 INVALID_ARGUMENT; 409 ALREADY_EXISTS.
        """
        level = self.level
        if level.unique or resource.get("displayName"):
            check_display_name(resource)
        check_labels(resource)
        if level is TIME_SERIES:
            _check_series(resource, path)
        if level.unique:
            for other in self._documents.list(level.message, parent):
                same = other["displayName"] == resource["displayName"]
                if same and other["name"] != resource["name"]:
                    raise already_exists(
                        f"{path}displayName: {other['name']} has {resource['displayName']!r}"
                        " already."
                    )


def _check_series(series: Document, path: str) -> None:
    kind = series.get("valueType", "VALUE_TYPE_UNSPECIFIED")
    if kind == "VALUE_TYPE_UNSPECIFIED":
        raise invalid_argument(f"{path}valueType: expected SCALAR, for one, got none.")
    size = len(series.get("pluginData", ""))
    if size > MAX_PLUGIN_CHARACTERS:
        raise invalid_argument(
            f"{path}pluginData: expected at most 65 KB, got {size * 3 // 4} bytes."
        )
