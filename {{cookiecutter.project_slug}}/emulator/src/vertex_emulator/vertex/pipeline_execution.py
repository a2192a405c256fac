"""Carries training pipelines to their end: data, a custom job, and what it trained as a model.

The job is one like any other, created and run as `customJobs` are, and the model is uploaded as
`models:upload` does.

Source: https://cloud.google.com/vertex-ai/docs/training/create-training-pipeline.
"""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from google.rpc import code_pb2

from vertex_emulator import disk
from vertex_emulator.errors import ApiError
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.vertex import pipeline_states
from vertex_emulator.vertex.dataset_export import DatasetExports
from vertex_emulator.vertex.jobs import Jobs
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.models import Models
from vertex_emulator.vertex.resources import MAX_NAME_CHARACTERS

KIND = "trainingPipeline"
POLL_SECONDS = 0.1
MAX_BEGINNING = 2  # pipelines that are made ready at once; one does not wait for another's data
JOB_NAME_END = "-custom-job"
DELETED: Document = {"state": "JOB_STATE_CANCELLED"}  # stands for a job that ended and was deleted


class PipelineRunner:
    """Follows each pipeline from its creation to its end, and goes on after a restart.

    Args:
        database: of the documents.
        documents: where pipelines and their states are kept.
        jobs: where their custom jobs are created.
        models: where what they trained is uploaded.
        exports: write their data.
    """

    def __init__(
        self,
        database: Database,
        documents: Documents,
        *,
        jobs: Jobs,
        models: Models,
        exports: DatasetExports,
    ) -> None:
        self._database = database
        self._documents = documents
        self._jobs = jobs
        self._models = models
        self._exports = exports
        self._followed: dict[str, None] = {}
        self._closing = threading.Event()
        self._beginning = ThreadPoolExecutor(MAX_BEGINNING, thread_name_prefix="pipeline")
        self._follower = threading.Thread(target=self._follow_all, name="pipelines", daemon=True)

    def start(self) -> None:
        """Takes up the pipelines that had not ended when the last emulator did, oldest first."""
        self._follower.start()
        for pipeline in reversed(self._documents.list(KIND)):
            if pipeline["state"] not in pipeline_states.ENDED:
                self.submit(pipeline["name"])

    def submit(self, name: str) -> None:
        self._beginning.submit(self._carry, name, self._begin)

    def close(self) -> None:
        """Leaves the pipelines as they are; the next emulator goes on with them."""
        self._closing.set()
        self._beginning.shutdown(cancel_futures=True)
        self._follower.join()

    def _follow_all(self) -> None:
        while not self._closing.wait(POLL_SECONDS):
            for name in list(self._followed):
                self._carry(name, self._follow)

    def _carry(self, name: str, step: Any) -> None:
        """Does a step of a pipeline, which ends with what the step raises.

        While the disk is full, it waits for room.
        """
        while True:
            try:
                with disk.reporting_full_disk():
                    step(name)
                return
            except Exception as error:
                if disk.is_full(error):
                    if self._closing.wait(POLL_SECONDS):
                        return
                    continue
                self._fail(name, error)
                return

    def _fail(self, name: str, error: Exception) -> None:
        if isinstance(error, ApiError):
            reason = {"code": error.rpc_code, "message": error.message}
        else:
            traceback.print_exc()
            message = f"Internal error of the emulator: {error!r}"
            reason = {"code": code_pb2.INTERNAL, "message": message}
        self._followed.pop(name, None)
        self._documents.update(name, lambda found: pipeline_states.to_failed(found, reason))

    def _begin(self, name: str) -> None:
        """Writes the data, and creates the job in the same moment as the pipeline says so."""
        pipeline = self._documents.get(name)
        if pipeline is None or not self._is_wanted(name):
            return
        variables = None
        if backing_job(pipeline) is None:
            variables = self._exports.export(pipeline, lambda: self._is_wanted(name))
            if variables is None:
                return
        with self._database.transaction():
            if not self._is_wanted(name):
                return
            if variables is not None:
                job = self._jobs.create(_location(name), _custom_job(pipeline, variables))

                def change(found: Document) -> None:
                    found["trainingTaskMetadata"] = {"backingCustomJob": job["name"]}
                    pipeline_states.to_running(found)

                self._documents.update(name, change)
        self._followed[name] = None

    def _is_wanted(self, name: str) -> bool:
        pipeline = self._documents.get(name)
        going_on = pipeline is not None and pipeline["state"] not in pipeline_states.ENDED
        return going_on and not self._closing.is_set()

    def _follow(self, name: str) -> None:
        """Ends a pipeline whose job has ended."""
        pipeline = self._documents.get(name)
        if pipeline is None:
            self._followed.pop(name)
            return
        job = self._documents.get(backing_job(pipeline) or "") or DELETED
        state, error = job["state"], job.get("error", {})
        if state == "JOB_STATE_SUCCEEDED":
            self._finish(pipeline)
        elif state == "JOB_STATE_FAILED":
            self._documents.update(name, lambda found: pipeline_states.to_failed(found, error))
        elif state == "JOB_STATE_CANCELLED":
            self._documents.update(name, lambda found: pipeline_states.to_cancelled(found, error))
        else:
            return
        self._followed.pop(name)

    def _finish(self, pipeline: Document) -> None:
        """Uploads the model, in the same moment as the pipeline says so."""
        name, model = pipeline["name"], pipeline.get("modelToUpload")
        with self._database.transaction():
            if model is not None:
                request = {**pipeline, "model": _with_artifact(model, pipeline)}
                uploaded, version = self._models.add(_location(name), request, name)
                model = model | {"name": uploaded, "versionId": version}

            def change(found: Document) -> None:
                pipeline_states.to_succeeded(found)
                if model is not None:
                    found["modelToUpload"] = model

            self._documents.update(name, change)


def backing_job(pipeline: Document) -> str | None:
    """Returns the name of the pipeline's custom job, once it has one."""
    name: str | None = pipeline.get("trainingTaskMetadata", {}).get("backingCustomJob")
    return name


def job_spec(pipeline: Document) -> Document:
    """Reads a pipeline's `trainingTaskInputs` as the CustomJobSpec that they are.

    Raises:
        ApiError: 400 INVALID_ARGUMENT.
    """
    return normalise("CustomJobSpec", pipeline.get("trainingTaskInputs", {}))


def _custom_job(pipeline: Document, variables: list[dict[str, str]]) -> Document:
    spec = job_spec(pipeline)
    for pool in filter(None, spec["workerPoolSpecs"]):
        program = pool.get("containerSpec") or pool["pythonPackageSpec"]
        program["env"] = [*program.get("env", []), *variables]
    display_name = pipeline["displayName"][: MAX_NAME_CHARACTERS - len(JOB_NAME_END)]
    job = {"displayName": display_name + JOB_NAME_END, "jobSpec": spec}
    return job | {key: pipeline[key] for key in ("labels", "encryptionSpec") if key in pipeline}


def _with_artifact(model: Document, pipeline: Document) -> Document:
    """Returns the model with the folder that the job had as AIP_MODEL_DIR."""
    base = job_spec(pipeline).get("baseOutputDirectory", {}).get("outputUriPrefix")
    if base is None or "artifactUri" in model:
        return model
    return model | {"artifactUri": f"{base.rstrip('/')}/model"}


def _location(name: str) -> str:
    return "/".join(name.split("/")[:4])
