"""What the pages read and change: the collections that answer the APIs as well."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from vertex_emulator.console import commands
from vertex_emulator.gateway.gateway import Gateway
from vertex_emulator.metadata.contexts import Contexts
from vertex_emulator.metadata.stores import KIND as STORE
from vertex_emulator.monitoring.series import Series
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.state.documents import Documents
from vertex_emulator.state.log_entries import Entries
from vertex_emulator.vertex.batch_jobs import BatchJobs
from vertex_emulator.vertex.datasets import Datasets
from vertex_emulator.vertex.endpoints import Endpoints
from vertex_emulator.vertex.jobs import Jobs
from vertex_emulator.vertex.models import Models
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.pipelines import Pipelines
from vertex_emulator.vertex.tuning_jobs import TuningJobs

# Kinds of documents that only stand in a location where somebody worked.
KINDS = (
    "customJob", "hyperparameterTuningJob", "batchPredictionJob", "model", "endpoint",
    "trainingPipeline", "dataset", STORE,
)  # fmt: skip
REGION = "us-central1"  # of a project that has buckets and nothing else yet


@dataclass(frozen=True)
class Console:
    """The collections, as every page gets them.

    Attributes:
        url: the emulator's address, for the commands that pages show.
        commands: what makes the next step from data to a prediction, by step; Google's own
            commands where there are none.
        token: what a request that changes something must repeat. Only this emulator's own pages
            hold it: a page of another origin cannot read it.
    """

    jobs: Jobs
    batch_jobs: BatchJobs
    tuning_jobs: TuningJobs
    pipelines: Pipelines
    datasets: Datasets
    contexts: Contexts
    models: Models
    endpoints: Endpoints
    operations: Operations
    entries: Entries
    series: Series
    objects: Objects
    documents: Documents
    gateway: Gateway
    url: str
    commands: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default_factory=secrets.token_urlsafe)

    def next_command(self, step: str, location: str) -> str:
        """Returns the command that makes the first of a kind: the project's, else Google's."""
        models = self.models.list_page(location, {"pageSize": "1"})["models"]
        googles = commands.first(self.url, location, models[0]["name"] if models else "")
        return self.commands.get(step) or googles[step]

    def locations(self) -> list[str]:
        """Returns the locations that hold something, `projects/P/locations/L`, newest first."""
        found = self.documents.parents(KINDS)
        known = {each.split("/")[1] for each in found}
        more = [each for each in self.objects.buckets.projects() if each not in known]
        return [*found, *(f"projects/{project}/locations/{REGION}" for project in more)]
