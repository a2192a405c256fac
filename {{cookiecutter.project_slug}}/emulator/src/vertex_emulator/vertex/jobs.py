"""Custom jobs: create, get, list, cancel, delete.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs.
"""

import re
from typing import Any

from vertex_emulator.errors import failed_precondition, invalid_argument, not_emulated
from vertex_emulator.filters.language import Language
from vertex_emulator.metadata.job_runs import JobRuns
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.state.log_entries import Entries
from vertex_emulator.times import now
from vertex_emulator.vertex import states
from vertex_emulator.vertex.execution import JobRunner
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.resources import (
    check_display_name,
    check_environment,
    check_labels,
    check_texts,
    listing,
    new_id,
    newest,
    require,
    taken,
)

LANGUAGE = Language(
    fields=frozenset(
        {"displayName", "state", "createTime", "startTime", "endTime", "updateTime", "labels"}
    ),
    ranks={"state": states.RANKS},
    times=frozenset({"createTime", "startTime", "endTime", "updateTime"}),
)
OUTPUT_ONLY = (
    "name", "state", "createTime", "startTime", "endTime", "updateTime", "error", "webAccessUris",
    "satisfiesPzs", "satisfiesPzi",
)  # fmt: skip
PACKAGE = re.compile(r"gs://[^/]+/(.*/)?(?!\.{1,2}$)[^/]+", re.DOTALL)
MAX_POOLS = 4
MAX_REPLICAS = 32  # processes of one job on this machine


class Jobs:
    """The `customJobs` collection."""

    def __init__(
        self,
        documents: Documents,
        entries: Entries,
        operations: Operations,
        runner: JobRunner,
        runs: JobRuns,
    ) -> None:
        self._documents = documents
        self._entries = entries
        self._operations = operations
        self._runner = runner
        self._runs = runs

    def create(self, location: str, body: Any) -> Document:
        """Queues a job; `location` is `projects/P/locations/L`.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a malformed job; 400 UNIMPLEMENTED for a container
                without a command, as the emulator has no containers; 404 NOT_FOUND for an unknown
                experiment.
        """
        job = taken(normalise("CustomJob", body), OUTPUT_ONLY, {})
        check_display_name(job)
        check_labels(job)
        check_spec(job.get("jobSpec", {}), "jobSpec")
        moment = now()
        document = self._runs.joined(job | {"name": f"{location}/customJobs/{new_id()}"}) | {
            "state": "JOB_STATE_QUEUED",
            "createTime": moment,
            "updateTime": moment,
        }
        self._documents.create("customJob", location, document)
        self._runner.submit(document["name"])
        return document

    def get(self, name: str) -> Document:
        """Returns a job. Raises ApiError 404 NOT_FOUND."""
        return _public(require(self._documents, "CustomJob", name))

    def list_page(self, location: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of jobs, newest first. Raises ApiError 400 for a bad query."""
        return listing(
            "customJobs", newest(self._documents, "customJob", location), query, LANGUAGE
        )

    def cancel(self, name: str) -> dict[str, Any]:
        """Asks for the end of a job; one that has ended stays as it is.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        states.cancel(self._documents, "CustomJob", name)
        return {}

    def delete(self, name: str) -> Document:
        """Forgets an ended job, its log and its folder; returns the operation.

        Raises:
            ApiError: 404 NOT_FOUND; 400 FAILED_PRECONDITION while the job goes on, and for the
                job of a tuning's trial.
        """
        job = require(self._documents, "CustomJob", name)
        if "trial" in job:
            tuning = job["trial"]["tuningJob"]
            raise failed_precondition(f"The CustomJob {name} is a trial's; delete {tuning}.")
        states.check_ended("CustomJob", job)
        self._documents.delete(name)
        self._entries.delete(name.rpartition("/")[2])
        self._runner.remove(name)
        return self._operations.finished(name, "DeleteOperationMetadata")


def _public(job: Document) -> Document:
    return {key: value for key, value in job.items() if key != "trial"}


def check_spec(spec: Document, of: str) -> None:
    """Refuses a `CustomJobSpec` that Vertex AI would not take, or that has no command to run.

    Args:
        spec: what the job runs.
        of: path of the spec in the request.

    Raises:
        ApiError: 400 INVALID_ARGUMENT; 400 UNIMPLEMENTED for a container without a command.
    """
    pools = spec.get("workerPoolSpecs", [])
    if not 1 <= len(pools) <= MAX_POOLS:
        raise invalid_argument(
            f"{of}.workerPoolSpecs: expected 1 to {MAX_POOLS} worker pools, got {len(pools)}."
        )
    for index, pool in enumerate(pools):
        path = f"{of}.workerPoolSpecs[{index}]"
        if not pool:
            if index == 0:
                raise invalid_argument(f"{path}: the first pool runs the primary replica.")
            continue
        _check_pool(pool, path, primary=index == 0)
    replicas = sum(int(pool.get("replicaCount", 1)) for pool in pools if pool)
    if replicas > MAX_REPLICAS:
        raise invalid_argument(
            f"{of}.workerPoolSpecs: the emulator runs at most {MAX_REPLICAS} replicas of a job,"
            f" got {replicas}."
        )
    timeout = spec.get("scheduling", {}).get("timeout", "1s")
    if float(timeout.removesuffix("s")) <= 0:
        raise invalid_argument(
            f"{of}.scheduling.timeout: expected a positive duration, got {timeout}."
        )
    base = spec.get("baseOutputDirectory", {}).get("outputUriPrefix")
    if base is not None and not base.startswith("gs://"):
        raise invalid_argument(
            f"{of}.baseOutputDirectory.outputUriPrefix: expected gs://BUCKET/…, got {base!r}."
        )
    check_texts(of, spec)


def _check_pool(pool: Document, path: str, *, primary: bool) -> None:
    replicas = int(pool.get("replicaCount", 1 if primary else 0))
    if replicas < 1 or (primary and replicas != 1):
        raise invalid_argument(
            f"{path}.replicaCount: expected {'1' if primary else 'at least 1'}, got {replicas}."
        )
    if not pool.get("machineSpec", {}).get("machineType"):
        raise invalid_argument(
            f"{path}.machineSpec.machineType: expected one, such as n1-standard-4."
        )
    if ("containerSpec" in pool) == ("pythonPackageSpec" in pool):
        raise invalid_argument(f"{path}: expected either containerSpec or pythonPackageSpec.")
    if "pythonPackageSpec" in pool:
        _check_package(pool["pythonPackageSpec"], f"{path}.pythonPackageSpec")
    else:
        _check_container(pool["containerSpec"], f"{path}.containerSpec")


def _check_package(package: Document, path: str) -> None:
    for field in ("executorImageUri", "packageUris", "pythonModule"):
        if not package.get(field):
            raise invalid_argument(f"{path}.{field}: expected a value, got none.")
    for uri in package["packageUris"]:
        if not PACKAGE.fullmatch(uri):
            raise invalid_argument(f"{path}.packageUris: expected gs://BUCKET/…/FILE, got {uri!r}.")
    check_environment(f"{path}.env", package)


def _check_container(container: Document, path: str) -> None:
    if not container.get("imageUri"):
        raise invalid_argument(f"{path}.imageUri: expected a value, got none.")
    if not container.get("command"):
        raise not_emulated(
            f"{path}.command: the emulator runs commands, not images; name the command that"
            f" {container['imageUri']} would run."
        )
    check_environment(f"{path}.env", container)
