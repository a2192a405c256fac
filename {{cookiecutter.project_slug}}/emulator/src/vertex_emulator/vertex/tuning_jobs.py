"""Hyperparameter tuning jobs: create, get, list, cancel, delete.

Source:
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.hyperparameterTuningJobs.
"""

from typing import Any

from vertex_emulator.errors import invalid_argument
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.state.log_entries import Entries
from vertex_emulator.times import now
from vertex_emulator.tuning import study_spec
from vertex_emulator.vertex import states
from vertex_emulator.vertex.jobs import LANGUAGE, check_spec
from vertex_emulator.vertex.messages import normalise
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
from vertex_emulator.vertex.trials import Trials
from vertex_emulator.vertex.tuning_execution import KIND, Tuner

MESSAGE = "HyperparameterTuningJob"
OUTPUT_ONLY = (
    "name", "trials", "state", "createTime", "startTime", "endTime", "updateTime", "error",
    "satisfiesPzs", "satisfiesPzi",
)  # fmt: skip


class TuningJobs:
    """The `hyperparameterTuningJobs` collection."""

    def __init__(
        self,
        database: Database,
        documents: Documents,
        entries: Entries,
        operations: Operations,
        *,
        trials: Trials,
        tuner: Tuner,
    ) -> None:
        self._database = database
        self._documents = documents
        self._entries = entries
        self._operations = operations
        self._trials = trials
        self._tuner = tuner

    def create(self, location: str, body: Any) -> Document:
        """Queues a tuning; `location` is `projects/P/locations/L`.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed one; 400 UNIMPLEMENTED for what is not
                emulated.
        """
        job = taken(normalise(MESSAGE, body), OUTPUT_ONLY, {})
        check_display_name(job)
        check_labels(job)
        study_spec.check(job.get("studySpec", {}))
        _check_counts(job)
        check_spec(job.get("trialJobSpec", {}), "trialJobSpec")
        moment = now()
        document = job | {
            "name": f"{location}/hyperparameterTuningJobs/{new_id()}",
            "state": "JOB_STATE_QUEUED",
            "createTime": moment,
            "updateTime": moment,
        }
        self._documents.create(KIND, location, document)
        self._tuner.submit(document["name"])
        return document

    def get(self, name: str) -> Document:
        """Returns a tuning with its trials. Raises ApiError 404 NOT_FOUND."""
        return self._shown(require(self._documents, MESSAGE, name))

    def list_page(self, location: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of tunings, newest first. Raises ApiError 400 for a bad query."""
        scan = newest(self._documents, KIND, location)
        return listing("hyperparameterTuningJobs", scan, query, LANGUAGE, shown=self._shown)

    def cancel(self, name: str) -> dict[str, Any]:
        """Asks for the end of a tuning and its trials; one that has ended stays as it is.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        states.cancel(self._documents, MESSAGE, name)
        return {}

    def delete(self, name: str) -> Document:
        """Forgets an ended tuning, its trials and their log; returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND; 400 FAILED_PRECONDITION while it goes on.
        """
        states.check_ended(MESSAGE, require(self._documents, MESSAGE, name))
        with self._database.transaction():
            self._documents.delete(name)
            for each in (name, *self._trials.delete(name)):
                self._entries.delete(each.rpartition("/")[2])
        return self._operations.finished(name, "DeleteOperationMetadata")

    def _shown(self, job: Document) -> Document:
        trials = self._trials.of(job["name"])
        return job | ({"trials": trials} if trials else {})


def _check_counts(job: Document) -> None:
    most, parallel = job.get("maxTrialCount", 0), job.get("parallelTrialCount", 0)
    if most < 1:
        raise invalid_argument(f"maxTrialCount: expected at least 1, got {most}.")
    if not 1 <= parallel <= most:
        raise invalid_argument(
            f"parallelTrialCount: expected 1 to the maxTrialCount, {most}, got {parallel}."
        )
    failed = job.get("maxFailedTrialCount", 0)
    if failed < 0:
        raise invalid_argument(f"maxFailedTrialCount: expected at least 0, got {failed}.")
