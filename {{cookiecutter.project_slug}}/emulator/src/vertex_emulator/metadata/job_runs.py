"""Custom jobs as runs of experiments: `jobSpec.experiment` and `jobSpec.experimentRun`.

Sources: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec, and
`google.cloud.aiplatform.metadata`, which reads a run's jobs from its metadata (`_custom_jobs`) and
in a job the names of experiment and run from `AIP_EXPERIMENT_NAME` and `AIP_EXPERIMENT_RUN_NAME`.
"""

from vertex_emulator.errors import ApiError, invalid_argument
from vertex_emulator.metadata.contexts import Contexts
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.vertex.operations import Operations

EXPERIMENT = "system.Experiment"
RUN = "system.ExperimentRun"
JOBS = "_custom_jobs"


class JobRuns:
    """Joins custom jobs to the runs that they name."""

    def __init__(self, database: Database, documents: Documents, operations: Operations) -> None:
        self._database = database
        self._contexts = Contexts(database, documents, operations)

    def joined(self, job: Document) -> Document:
        """Returns a new job with its run, which is made where only the experiment is named.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a run without its experiment, or of another; 404
                NOT_FOUND for a context that does not exist.
        """
        spec = job["jobSpec"]
        experiment, run = spec.get("experiment"), spec.get("experimentRun")
        if not experiment:
            if run:
                raise invalid_argument("jobSpec.experimentRun: expected jobSpec.experiment too.")
            return job
        with self._database.transaction():
            self._read(experiment, EXPERIMENT, "jobSpec.experiment")
            number = job["name"].rpartition("/")[2]
            run = run or self._make(experiment, number)
            found = self._read(run, RUN, "jobSpec.experimentRun")
            if experiment not in found.get("parentContexts", ()):
                raise invalid_argument(f"jobSpec.experimentRun: {run} is no run of {experiment}.")
            metadata = found.get("metadata", {})
            jobs = [*metadata.get(JOBS, []), {"custom_job_resource_name": job["name"]}]
            self._contexts.patch(run, {}, "metadata", {"metadata": metadata | {JOBS: jobs}})
        return job | {"jobSpec": spec | {"experimentRun": run}}

    def _read(self, name: str, title: str, path: str) -> Document:
        try:
            context = self._contexts.stored(name)
        except ApiError as error:
            raise ApiError(error.code, error.status, f"{path}: {error.message}") from error
        if context["schemaTitle"] != title:
            raise invalid_argument(
                f"{path}: expected a context of {title}, {name} is of {context['schemaTitle']}."
            )
        return context

    def _make(self, experiment: str, run: str) -> str:
        """Makes the run of a job that names none, and returns its resource name."""
        store, _, experiment_id = experiment.rpartition("/contexts/")
        made = self._contexts.create(
            store,
            {self._contexts.id_parameter: f"{experiment_id}-{run}"},
            {
                "displayName": run,
                "schemaTitle": RUN,
                "metadata": {"_params": {}, "_metrics": {}, "_state": "RUNNING"},
            },
        )
        name: str = made["name"]
        self._contexts.add_children(experiment, {"childContexts": [name]})
        return name
