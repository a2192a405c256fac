"""The trials of tunings in the database: each beside the custom job that carries it out."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vertex_emulator.filters.conditions import Comparison
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now
from vertex_emulator.tuning.measurements import Report, measurements
from vertex_emulator.tuning.parameters import Parameter, flags
from vertex_emulator.vertex.resources import new_id

KIND = "trial"
TRIAL_JOB = "trialJob"  # kind of their custom jobs
GOING_ON = ("ACTIVE", "STOPPING")
# What the emulator remembers beside Google's fields.
OWN = ("name", "reports", "metrics")


class Trials:
    """Trials, and their custom jobs, which no list of custom jobs shows.

    Args:
        database: of the documents, for changes that belong together.
        documents: where trials and jobs are kept.
    """

    def __init__(self, database: Database, documents: Documents) -> None:
        self._database = database
        self._documents = documents

    def of(self, tuning: str) -> list[Document]:
        """Returns a tuning's trials, oldest first, as Vertex AI shows them."""
        return [_public(each) for each in reversed(self._documents.list(KIND, tuning))]

    def counts(self, tuning: str) -> dict[str, int]:
        """Returns how many trials are in each state."""
        return self._documents.states(KIND, tuning)

    def going_on(self, tuning: str) -> list[Document]:
        """Returns the trials that have not ended, oldest first."""
        found = []
        for state in GOING_ON:
            needed = [Comparison("state", "=", state)]
            found += list(self._documents.scan(KIND, tuning, None, needed))
        return [trial for _number, trial in sorted(found, key=lambda each: each[0])]

    def begin(
        self, tuning: Document, number: int, parameters: Sequence[Parameter], *, beside: int
    ) -> Document:
        """Makes a trial and its custom job.

        Args:
            tuning: the HyperparameterTuningJob.
            number: of the trial, from 1 on.
            parameters: that it tries.
            beside: how many trials of the tuning may run at a time.

        Returns:
            The job, which is to be run.
        """
        location = "/".join(tuning["name"].split("/")[:4])
        moment = now()
        job: Document = {
            "name": f"{location}/customJobs/{new_id()}",
            "displayName": f"{tuning['displayName']}-trial-{number}",
            "jobSpec": _job_spec(tuning["trialJobSpec"], number, parameters),
            "state": "JOB_STATE_QUEUED",
            "createTime": moment,
            "updateTime": moment,
            "trial": {
                "name": f"{tuning['name']}/trials/{number}",
                "tuningJob": tuning["name"],
                "id": str(number),
                "beside": beside,
            },
        }
        trial = {
            "name": job["trial"]["name"],
            "id": str(number),
            "state": "ACTIVE",
            "parameters": list(parameters),
            "startTime": moment,
            "customJob": job["name"],
            "metrics": [each["metricId"] for each in tuning["studySpec"]["metrics"]],
            "reports": [],
        }
        with self._database.transaction():
            self._documents.create(KIND, tuning["name"], trial)
            self._documents.create(TRIAL_JOB, tuning["name"], job)
        return job

    def report(self, trial: Mapping[str, str], reports: Iterable[Report]) -> None:
        """Adds what a trial has reported; what is known already does not count again.

        Args:
            trial: as its custom job names it.
            reports: all that its file holds.
        """

        def change(document: Document) -> None:
            known = {tuple(each) for each in document["reports"]}
            document["reports"] += [list(each) for each in reports if tuple(each) not in known]

        self._documents.update(trial["name"], change)

    def change(self, trial: Document, **fields: Any) -> None:
        """Sets fields of a trial that goes on; one that has ended stays as it is."""

        def change(document: Document) -> None:
            if document["state"] in GOING_ON:
                document.update(fields)

        self._documents.update(trial["name"], change)

    def delete(self, tuning: str) -> list[str]:
        """Forgets the trials of a tuning and their jobs; returns the names of the jobs."""
        jobs = []
        for trial in self._documents.list(KIND, tuning):
            jobs.append(trial["customJob"])
            self._documents.delete(trial["customJob"])
            self._documents.delete(trial["name"])
        return jobs


def measured(trial: Document) -> list[Document]:
    """Returns the measurements that a stored trial's reports make."""
    reports = [Report(*each) for each in trial["reports"]]
    return measurements(reports, trial["metrics"], trial["startTime"])


def _public(trial: Document) -> Document:
    shown = {key: value for key, value in trial.items() if key not in OWN}
    found = measured(trial)
    return shown | ({"measurements": found} if found else {})


def _job_spec(spec: Document, number: int, parameters: Sequence[Parameter]) -> Document:
    """Returns what a trial runs: the flags behind the arguments, a folder of its own."""
    own: Document = copy.deepcopy(spec)
    for pool in own["workerPoolSpecs"]:
        called = pool.get("containerSpec") or pool.get("pythonPackageSpec")
        if called is not None:
            called["args"] = [*called.get("args", []), *flags(parameters)]
    base = own.get("baseOutputDirectory", {}).get("outputUriPrefix")
    if base:
        own["baseOutputDirectory"] = {"outputUriPrefix": f"{base.rstrip('/')}/{number}"}
    return own
