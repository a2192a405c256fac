"""Batch prediction jobs: create, get, list, cancel, delete.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs
and https://cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions.
"""

import re
from dataclasses import asdict
from typing import Any

from vertex_emulator.batch.rows import FORMATS
from vertex_emulator.errors import ApiError, invalid_argument, not_emulated
from vertex_emulator.filters.language import Language
from vertex_emulator.object_store.listing import glob_pattern
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now
from vertex_emulator.uris import split_uri
from vertex_emulator.vertex import container, states
from vertex_emulator.vertex.batch_execution import KIND, BatchRunner, Source
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.models import Models
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.resources import (
    check_display_name,
    check_labels,
    listing,
    new_id,
    newest,
    require,
    taken,
)

WILDCARD = re.compile(r"[*?\[]")
OUTPUT_FORMATS = ("jsonl", "csv", "bigquery")
OUTPUT_ONLY = (
    "name", "modelVersionId", "outputInfo", "state", "error", "partialFailures",
    "resourcesConsumed", "completionStats", "createTime", "startTime", "endTime", "updateTime",
    "satisfiesPzs", "satisfiesPzi",
)  # fmt: skip
REFUSED = dict.fromkeys(
    ("unmanagedContainerModel", "generateExplanation", "explanationSpec"),
    "not emulated; leave it out",
)
OWN = ("sources", "modelDisplayName")  # what the emulator remembers beside Google's fields
LANGUAGE = Language(
    fields=frozenset({"displayName", "modelDisplayName", "state", "createTime", "labels"}),
    ranks={"state": states.RANKS},
    times=frozenset({"createTime"}),
)


class BatchJobs:
    """The `batchPredictionJobs` collection."""

    def __init__(
        self,
        documents: Documents,
        objects: Objects,
        models: Models,
        operations: Operations,
        runner: BatchRunner,
    ) -> None:
        self._documents = documents
        self._objects = objects
        self._models = models
        self._operations = operations
        self._runner = runner

    def create(self, location: str, body: Any) -> Document:
        """Queues a job; `location` is `projects/P/locations/L`.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed job, an input URI without objects or an
                output bucket that does not exist; 400 FAILED_PRECONDITION for a container that
                Vertex AI would not reach; 404 NOT_FOUND for the model; 400 UNIMPLEMENTED
                for what is not emulated.
        """
        job = taken(normalise("BatchPredictionJob", body), OUTPUT_ONLY, REFUSED)
        check_display_name(job)
        check_labels(job)
        _check_emulated(job)
        if not job.get("model", "").startswith(f"{location}/models/"):
            raise invalid_argument(
                f"model: expected {location}/models/MODEL[@VERSION], got {job.get('model', '')!r}."
            )
        version = self._models.version(job["model"])
        container.of(version)
        if not job.get("dedicatedResources", {}).get("machineSpec", {}).get("machineType"):
            raise invalid_argument(
                "dedicatedResources.machineSpec.machineType: expected one, such as n1-standard-4."
            )
        _check_instance_config(job)
        sources = self._sources(job.get("inputConfig", {}))
        output = self._output(job.get("outputConfig", {}), version["displayName"])
        moment = now()
        document = job | {
            "name": f"{location}/batchPredictionJobs/{new_id()}",
            "modelVersionId": version["versionId"],
            "modelDisplayName": version["displayName"],
            "outputInfo": {"gcsOutputDirectory": output},
            "sources": [asdict(each) for each in sources],
            "state": "JOB_STATE_QUEUED",
            "createTime": moment,
            "updateTime": moment,
        }
        self._documents.create(KIND, location, document)
        self._runner.submit(document["name"])
        return _public(document)

    def get(self, name: str) -> Document:
        """Returns a job. Raises ApiError 404 NOT_FOUND."""
        return _public(require(self._documents, "BatchPredictionJob", name))

    def list_page(self, location: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of jobs, newest first. Raises ApiError 400 for a bad query."""
        scan = newest(self._documents, KIND, location)
        return listing("batchPredictionJobs", scan, query, LANGUAGE, shown=_public)

    def cancel(self, name: str) -> dict[str, Any]:
        """Asks for the end of a job; one that has ended stays as it is.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        states.cancel(self._documents, "BatchPredictionJob", name)
        return {}

    def delete(self, name: str) -> Document:
        """Forgets an ended job; what it wrote to the bucket stays. Returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND; 400 FAILED_PRECONDITION while the job goes on.
        """
        states.check_ended("BatchPredictionJob", self.get(name))
        self._documents.delete(name)
        return self._operations.finished(name, "DeleteOperationMetadata")

    def _sources(self, config: Document) -> list[Source]:
        uris = config.get("gcsSource", {}).get("uris", [])
        if not uris:
            raise invalid_argument("inputConfig.gcsSource.uris: expected at least one gs:// URI.")
        found = dict.fromkeys(source for uri in uris for source in self._matches(uri))
        return list(found)

    def _matches(self, uri: str) -> list[Source]:
        """Returns the objects of a URI by name; `*`, `**`, `?` and `[…]` are wildcards."""
        bucket, name = split_uri(uri)
        path = "inputConfig.gcsSource.uris"
        if not uri.startswith("gs://") or not bucket or not name:
            raise invalid_argument(f"{path}: expected gs://BUCKET/OBJECT, got {uri!r}.")
        try:
            stored = self._objects.stat(Ref(bucket, name))
            return [Source(uri, stored.generation)]
        except ApiError as error:
            wildcard = WILDCARD.search(name)
            if wildcard is None or not self._objects.buckets.exists(bucket):
                raise invalid_argument(f"{path}: there is no object {uri}.") from error
        pattern = glob_pattern(name)
        found = [
            Source(f"gs://{bucket}/{each.name}", each.generation)
            for each in self._objects.walk(bucket, name[: wildcard.start()])
            if pattern.fullmatch(each.name) and not each.name.endswith("/")
        ]
        if not found:
            raise invalid_argument(f"{path}: no object matches {uri}.")
        return found

    def _output(self, config: Document, model: str) -> str:
        """Returns the folder of the results: `PREFIX/prediction-MODEL-TIMESTAMP`."""
        prefix = config.get("gcsDestination", {}).get("outputUriPrefix", "")
        bucket = split_uri(prefix)[0]
        if not prefix.startswith("gs://") or not self._objects.buckets.exists(bucket):
            raise invalid_argument(
                "outputConfig.gcsDestination.outputUriPrefix: expected gs://BUCKET/… of a bucket"
                f" here, got {prefix!r}."
            )
        moment = re.sub(r"[:.-]", "_", now()[:-4]) + "Z"  # milliseconds
        label = re.sub(r"[^\w.-]+", "_", model)
        return f"{prefix.rstrip('/')}/prediction-{label}-{moment}"


def _check_emulated(job: Document) -> None:
    """Refuses formats that Vertex AI does not have (400), and what is not emulated."""
    given, wanted = job.get("inputConfig", {}), job.get("outputConfig", {})
    if "bigquerySource" in given or given.get("instancesFormat") == "bigquery":
        raise not_emulated("inputConfig: BigQuery is not emulated; use gcsSource.")
    if given.get("instancesFormat") not in FORMATS:
        raise invalid_argument(
            f"inputConfig.instancesFormat: expected one of {', '.join(FORMATS)}, got"
            f" {given.get('instancesFormat', '')!r}."
        )
    if wanted.get("predictionsFormat") not in OUTPUT_FORMATS:
        raise invalid_argument(
            f"outputConfig.predictionsFormat: expected one of {', '.join(OUTPUT_FORMATS)}, got"
            f" {wanted.get('predictionsFormat', '')!r}."
        )
    if wanted["predictionsFormat"] != "jsonl" or "bigqueryDestination" in wanted:
        raise not_emulated("outputConfig: only jsonl to gcsDestination is emulated.")


def _check_instance_config(job: Document) -> None:
    config, given = job.get("instanceConfig", {}), job["inputConfig"]["instancesFormat"]
    kind = config.get("instanceType", "")
    if kind not in ("", "object", "array"):
        raise invalid_argument(
            f"instanceConfig.instanceType: expected 'object' or 'array', got {kind!r}."
        )
    if config.get("includedFields") and config.get("excludedFields"):
        raise invalid_argument(
            "instanceConfig: expected includedFields or excludedFields, got both."
        )
    if given == "jsonl":
        return
    for field in ("instanceType", "includedFields", "excludedFields", "keyField"):
        if config.get(field) and not (given == "csv" and field == "keyField"):
            raise invalid_argument(
                f"instanceConfig.{field}: does not apply to {given} here; leave it out, or send"
                " the rows as jsonl."
            )


def _public(job: Document) -> Document:
    return {key: value for key, value in job.items() if key not in OWN}
