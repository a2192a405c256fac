"""Looks every few seconds at the processes of running jobs and deployed models."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from emulator.monitoring.series import (
    SERVING_CPU,
    SERVING_MEMORY,
    TRAINING_CPU,
    TRAINING_MEMORY,
    Sample,
    Series,
    series_of,
)
from emulator.processes.usage import Tree
from emulator.vertex.execution import JobRunner
from emulator.vertex.fleet import Fleet

SAMPLE_SECONDS = 5.0  # Google Cloud samples every 60 s, and shows it minutes later


class Sampler:
    """Samples in a thread of its own, between `start` and `close`."""

    def __init__(self, series: Series, runner: JobRunner, fleet: Fleet) -> None:
        self._series = series
        self._runner = runner
        self._fleet = fleet
        self._trees: dict[Path, Tree] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Begins to sample."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(SAMPLE_SECONDS):
            self.sample()

    def sample(self) -> None:
        """Takes one sample of everything that runs."""
        moment = time.time_ns() // 1000
        before, self._trees = self._trees, {}
        samples = [*self._jobs(moment, before), *self._deployed_models(moment, before)]
        if samples:
            self._series.add(samples, moment)

    def _look(self, folder: Path, before: dict[Path, Tree]) -> tuple[float, int] | None:
        try:
            tree = before.get(folder) or Tree(folder)
            usage = tree.look()
        except psutil.NoSuchProcess:
            return None
        self._trees[folder] = tree
        return usage

    def _jobs(self, moment: int, before: dict[Path, Tree]) -> Iterator[Sample]:
        processors = os.cpu_count() or 1
        memory = psutil.virtual_memory().total
        for name, task, folder in self._runner.running():
            usage = self._look(folder, before)
            if usage is None:
                continue
            _projects, project, _locations, location, _jobs, job_id = name.split("/")
            resource = {
                "project_id": project,
                "region": location,
                "job_id": job_id,
                "task_name": task,
            }
            for metric, value in (
                (TRAINING_CPU, min(1.0, usage[0] / processors)),
                (TRAINING_MEMORY, min(1.0, usage[1] / memory)),
            ):
                series = series_of(metric, {}, "cloudml_job", resource)
                yield Sample(project, metric, series, moment, value)

    def _deployed_models(self, moment: int, before: dict[Path, Tree]) -> Iterator[Sample]:
        for deployment in self._fleet.deployments():
            _projects, project, _locations, location, _endpoints, number = (
                deployment.endpoint.split("/")
            )
            resource = {"resource_container": project, "location": location, "endpoint_id": number}
            for member in list(deployment.members):
                folder = member.server.run.folder
                usage = self._look(folder, before)
                if usage is None:
                    continue
                labels = {
                    "deployed_model_id": deployment.deployed["id"],
                    "replica_id": folder.name,
                    "spot": "False",
                }
                for metric, value in ((SERVING_CPU, usage[0]), (SERVING_MEMORY, usage[1])):
                    series = series_of(
                        metric, labels, "aiplatform.googleapis.com/Endpoint", resource
                    )
                    yield Sample(project, metric, series, moment, value)
