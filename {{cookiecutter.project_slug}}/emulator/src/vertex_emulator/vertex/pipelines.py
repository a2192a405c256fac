"""Training pipelines: create, get, list, cancel, delete.

A pipeline with the custom task is a custom job and, once that succeeded, a model.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.trainingPipelines
and https://cloud.google.com/vertex-ai/docs/training/create-training-pipeline.
"""

from typing import Any

from vertex_emulator.errors import ApiError, invalid_argument, not_emulated
from vertex_emulator.filters.language import Language
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now
from vertex_emulator.vertex import models, pipeline_states, states
from vertex_emulator.vertex.dataset_export import DatasetExports
from vertex_emulator.vertex.jobs import Jobs, check_spec
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.models import Models
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.pipeline_execution import KIND, PipelineRunner, backing_job, job_spec
from vertex_emulator.vertex.resources import (
    check_display_name,
    check_labels,
    listing,
    new_id,
    newest,
    require,
    taken,
)

CUSTOM_TASK = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
OUTPUT_ONLY = (
    "name", "trainingTaskMetadata", "state", "error", "createTime", "startTime", "endTime",
    "updateTime",
)  # fmt: skip
LANGUAGE = Language(
    fields=frozenset({"displayName", "state", "trainingTaskDefinition", "createTime", "labels"}),
    ranks={"state": pipeline_states.RANKS},
    times=frozenset({"createTime"}),
    wildcards=True,
)


class Pipelines:
    """The `trainingPipelines` collection."""

    def __init__(
        self,
        database: Database,
        documents: Documents,
        operations: Operations,
        *,
        jobs: Jobs,
        models: Models,
        exports: DatasetExports,
        runner: PipelineRunner,
    ) -> None:
        self._database = database
        self._documents = documents
        self._operations = operations
        self._jobs = jobs
        self._models = models
        self._exports = exports
        self._runner = runner

    def create(self, location: str, body: Any) -> Document:
        """Begins a pipeline; `location` is `projects/P/locations/L`.

        What its custom job and its model would be refused for is refused here.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed pipeline; 404 NOT_FOUND for an unknown
                `parentModel` or data set; 400 UNIMPLEMENTED for another task than the custom one.
        """
        pipeline = taken(normalise("TrainingPipeline", body), OUTPUT_ONLY, {})
        check_display_name(pipeline)
        check_labels(pipeline)
        _check_definition(pipeline.get("trainingTaskDefinition", ""))
        check_spec(_task_spec(pipeline), "trainingTaskInputs")
        self._check_model(location, pipeline)
        if "inputDataConfig" in pipeline:
            self._exports.check(location, pipeline["inputDataConfig"])
        moment = now()
        document = pipeline | {
            "name": f"{location}/trainingPipelines/{new_id()}",
            "state": "PIPELINE_STATE_PENDING",
            "createTime": moment,
            "updateTime": moment,
        }
        self._documents.create(KIND, location, document)
        self._runner.submit(document["name"])
        return document

    def get(self, name: str) -> Document:
        """Returns a pipeline. Raises ApiError 404 NOT_FOUND."""
        return require(self._documents, "TrainingPipeline", name)

    def list_page(self, location: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of pipelines, newest first. Raises ApiError 400 for a bad query."""
        scan = newest(self._documents, KIND, location)
        return listing("trainingPipelines", scan, query, LANGUAGE)

    def cancel(self, name: str) -> dict[str, Any]:
        """Asks for the end of a pipeline and its job; one that has ended stays as it is.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        with self._database.transaction():
            pipeline = self.get(name)
            job = backing_job(pipeline)
            if pipeline["state"] in pipeline_states.ENDED:
                return {}
            if job is None:
                self._documents.update(name, pipeline_states.to_cancelled)
            else:
                self._documents.update(name, pipeline_states.to_cancelling)
                if self._documents.get(job) is not None:
                    self._jobs.cancel(job)
        return {}

    def delete(self, name: str) -> Document:
        """Forgets an ended pipeline; its job and its model stay. Returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND; 400 FAILED_PRECONDITION while the pipeline goes on.
        """
        states.check_ended("TrainingPipeline", self.get(name), pipeline_states.ENDED)
        self._documents.delete(name)
        return self._operations.finished(name, "DeleteOperationMetadata")

    def _check_model(self, location: str, pipeline: Document) -> None:
        model = pipeline.get("modelToUpload")
        if model is None:
            for field in ("modelId", "parentModel"):
                if field in pipeline:
                    raise invalid_argument(
                        f"{field}: says where modelToUpload goes, and there is none; give both, or"
                        " neither."
                    )
            return
        pipeline["modelToUpload"] = taken(
            model, models.OUTPUT_ONLY, models.REFUSED, "modelToUpload."
        )
        self._models.check(location, {**pipeline, "model": model}, "modelToUpload")


def _check_definition(definition: str) -> None:
    if not definition:
        raise invalid_argument(
            f"trainingTaskDefinition: expected one, such as {CUSTOM_TASK}, got none."
        )
    if definition != CUSTOM_TASK:
        raise not_emulated(
            f"trainingTaskDefinition: the emulator runs the custom task only, {CUSTOM_TASK}, got"
            f" {definition!r}. AutoML trains on Google Cloud alone; a tuning is a"
            " hyperparameterTuningJob."
        )


def _task_spec(pipeline: Document) -> Document:
    """Reads the custom task's inputs. Raises ApiError 400 where they are none."""
    try:
        return job_spec(pipeline)
    except ApiError as error:
        raise invalid_argument(
            "trainingTaskInputs: unable to parse them into the inputs of the custom task, a"
            f" CustomJobSpec. {error.message}"
        ) from error
