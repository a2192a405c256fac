"""Looks every few seconds at the processes of running jobs and deployed models."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from emulator.errors import ApiError
from emulator.monitoring.series import (
    SERVING_CPU,
    SERVING_MEMORY,
    TRAINING_CPU,
    TRAINING_MEMORY,
    Sample,
    Series,
    series_of,
)
from emulator.processes.supervisor import read_json
from emulator.store.documents import Documents
from emulator.vertex.execution import JobRunner
from emulator.vertex.serving import ModelServers

SAMPLE_SECONDS = 5.0  # Google Cloud samples every 60 s, and shows it minutes later


class Tree:
    """The process tree below one supervisor, as seen at several moments.

    Args:
        folder: of the run (see `emulator.processes.supervisor`).

    Raises:
        psutil.NoSuchProcess: the run has ended.
    """

    def __init__(self, folder: Path) -> None:
        supervisor = read_json(folder / "supervisor.json") or {"pid": -1, "created": 0.0}
        if supervisor["pid"] < 0:
            raise psutil.NoSuchProcess(-1)
        self._supervisor = psutil.Process(supervisor["pid"])
        if self._supervisor.create_time() != supervisor["created"]:
            raise psutil.NoSuchProcess(supervisor["pid"])
        self._seen_at: float = supervisor["created"]
        self._seconds: dict[psutil.Process, float] = {}

    def look(self) -> tuple[float, int]:
        """Returns how many processors the tree kept busy since the last look, and its bytes.

        The first time, since its start. The bytes are resident memory; what processes of the tree
        share counts for each.

        Raises:
            psutil.NoSuchProcess: the run has ended.
        """
        now = time.time()
        seconds: dict[psutil.Process, float] = {}
        memory = 0
        for process in self._supervisor.children(recursive=True):
            try:
                times = process.cpu_times()
                memory += process.memory_info().rss
            except psutil.Error:
                continue  # it ended just now
            seconds[process] = times.user + times.system
        busy = sum(spent - self._seconds.get(process, 0.0) for process, spent in seconds.items())
        elapsed = max(now - self._seen_at, 0.001)
        self._seen_at, self._seconds = now, seconds
        return busy / elapsed, memory


class Sampler:
    """Samples in a thread of its own, between `start` and `close`."""

    def __init__(
        self, series: Series, documents: Documents, runner: JobRunner, servers: ModelServers
    ) -> None:
        self._series = series
        self._documents = documents
        self._runner = runner
        self._servers = servers
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
        for endpoint in self._documents.list("endpoint"):
            _projects, project, _locations, location, _endpoints, number = endpoint["name"].split(
                "/"
            )
            resource = {"resource_container": project, "location": location, "endpoint_id": number}
            for deployed in endpoint.get("deployedModels", []):
                try:
                    folder = self._servers.find(deployed["id"]).run.folder
                except ApiError:
                    continue  # it is being started or undeployed
                usage = self._look(folder, before)
                if usage is None:
                    continue
                labels = {
                    "deployed_model_id": deployed["id"],
                    "replica_id": folder.name,
                    "spot": "False",
                }
                for metric, value in ((SERVING_CPU, usage[0]), (SERVING_MEMORY, usage[1])):
                    series = series_of(
                        metric, labels, "aiplatform.googleapis.com/Endpoint", resource
                    )
                    yield Sample(project, metric, series, moment, value)
