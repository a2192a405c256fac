"""Managed data sets of tables: create, get, list, patch, delete.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.datasets; the
metadata: `gs://google-cloud-aiplatform/schema/dataset/metadata/tabular_1.0.0.yaml`.
"""

from typing import Any

from vertex_emulator.errors import invalid_argument, missing, not_emulated
from vertex_emulator.field_masks import keep
from vertex_emulator.filters.language import Language
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now
from vertex_emulator.vertex.messages import normalise, read_mask
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.resources import (
    check_display_name,
    check_labels,
    listing,
    mask_fields,
    new_id,
    ordered,
    require,
    taken,
)

KIND = "dataset"
SCHEMAS = "gs://google-cloud-aiplatform/schema/dataset/metadata/"
TABLES = (f"{SCHEMAS}tabular_1.0.0.yaml", f"{SCHEMAS}time_series_1.0.0.yaml")
OUTPUT_ONLY = (
    "name", "dataItemCount", "createTime", "updateTime", "metadataArtifact", "satisfiesPzs",
    "satisfiesPzi",
)  # fmt: skip
REFUSED = {
    "etag": "the emulator has none; leave it out",
    "savedQueries": "tables have none; leave it out",
}
CHANGEABLE = ("display_name", "description", "labels")
LANGUAGE = Language(
    fields=frozenset({"displayName", "metadataSchemaUri", "labels"}),
)


class Datasets:
    """The `datasets` collection."""

    def __init__(self, documents: Documents, operations: Operations) -> None:
        self._documents = documents
        self._operations = operations

    def create(self, location: str, body: Any) -> Document:
        """Makes a data set of files in Cloud Storage; returns the operation.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed data set; 400 UNIMPLEMENTED for one that
                is no table, or is in BigQuery.
        """
        dataset = taken(normalise("Dataset", body), OUTPUT_ONLY, REFUSED)
        check_display_name(dataset)
        check_labels(dataset)
        _check_schema(dataset.get("metadataSchemaUri", ""))
        source_uris(dataset)
        moment = now()
        document = dataset | {
            "name": f"{location}/datasets/{new_id()}",
            "createTime": moment,
            "updateTime": moment,
        }
        self._documents.create(KIND, location, document)
        return self._operations.finished(
            document["name"], "CreateDatasetOperationMetadata", "Dataset", document
        )

    def get(self, name: str, query: dict[str, str]) -> Document:
        """Returns a data set, or the fields of `readMask`.

        Raises:
            ApiError: 404 NOT_FOUND; 400 INVALID_ARGUMENT for a bad mask.
        """
        mask = query.get("readMask")
        paths = read_mask("Dataset", mask) if mask else [["*"]]
        return keep(require(self._documents, "Dataset", name), paths)

    def list_page(self, location: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of data sets, newest first. Raises ApiError 400 for a bad query."""
        scan = ordered(self._documents, KIND, location, query.get("orderBy"))
        return listing("datasets", scan, query, LANGUAGE)

    def patch(self, name: str, mask: str | None, body: Any) -> Document:
        """Changes the fields of `updateMask`.

        Raises:
            ApiError: 404 NOT_FOUND; 400 INVALID_ARGUMENT for a bad field.
        """
        given = taken(normalise("Dataset", body), OUTPUT_ONLY, REFUSED)
        fields = mask_fields(mask, CHANGEABLE)

        def change(dataset: Document) -> None:
            for field in fields:
                dataset.pop(field, None)
                if field in given:
                    dataset[field] = given[field]
            check_display_name(dataset)
            check_labels(dataset)
            dataset["updateTime"] = now()

        dataset = self._documents.update(name, change)
        if dataset is None:
            raise missing("Dataset", name)
        return dataset

    def delete(self, name: str) -> Document:
        """Forgets a data set; its files stay. Returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        require(self._documents, "Dataset", name)
        self._documents.delete(name)
        return self._operations.finished(name, "DeleteOperationMetadata")


def source_uris(dataset: Document) -> list[str]:
    """Returns the gs:// URIs of the files of a data set, in the order in which they are read.

    Raises:
        ApiError: 400 INVALID_ARGUMENT where there are none; 400 UNIMPLEMENTED for BigQuery.
    """
    metadata = dataset.get("metadata")
    config = metadata.get("inputConfig") if isinstance(metadata, dict) else None
    config = config if isinstance(config, dict) else {}
    if "bigquerySource" in config:
        raise not_emulated("metadata.inputConfig: BigQuery is not emulated; use gcsSource.")
    source = config.get("gcsSource")
    uris = source.get("uri") if isinstance(source, dict) else None
    if not isinstance(uris, list) or not uris:
        raise invalid_argument(
            "metadata.inputConfig.gcsSource.uri: expected a list of gs:// URIs of CSV files, got"
            f" {uris!r}."
        )
    for uri in uris:
        if not isinstance(uri, str) or not uri.startswith("gs://"):
            raise invalid_argument(
                f"metadata.inputConfig.gcsSource.uri: expected gs://BUCKET/FILE.csv, got {uri!r}."
            )
    return sorted(uris)


def _check_schema(uri: str) -> None:
    if not uri:
        raise invalid_argument(f"metadataSchemaUri: expected one, such as {TABLES[0]}, got none.")
    if uri not in TABLES:
        raise not_emulated(
            f"metadataSchemaUri: the emulator keeps data sets of tables only, {TABLES[0]}, got"
            f" {uri!r}."
        )
