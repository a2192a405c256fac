"""Looks every few seconds at the processes of running jobs and deployed models."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from vertex_emulator.gateway.meter import Latencies, Meter
from vertex_emulator.monitoring.series import (
    BATCH_ROWS,
    ERRORS,
    LATENCIES,
    PREDICTIONS,
    REPLICAS,
    RESPONSES,
    SERVING_CPU,
    SERVING_MEMORY,
    TARGET_REPLICAS,
    TRAINING_CPU,
    TRAINING_MEMORY,
    Sample,
    Series,
    series_of,
)
from vertex_emulator.processes.usage import Tree
from vertex_emulator.vertex.execution import JobRunner
from vertex_emulator.vertex.fleet import Deployment, Fleet
from vertex_emulator.vertex.serving import ModelServer

SAMPLE_SECONDS = 5.0  # Google Cloud samples every 60 s, and shows it minutes later


class Sampler:
    """Samples in a thread of its own, between `start` and `close`."""

    def __init__(self, series: Series, runner: JobRunner, fleet: Fleet) -> None:
        self._series = series
        self._runner = runner
        self._fleet = fleet
        self._trees: dict[Path, Tree] = {}
        self._counted: dict[Deployment, tuple[int, Meter]] = {}
        self._batches: dict[ModelServer, tuple[int, int]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
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
        counted_before, self._counted = self._counted, {}
        batches_before, self._batches = self._batches, {}
        for deployment in self._fleet.deployments():
            view = _View(deployment, moment)
            for member in list(deployment.members):
                folder = member.server.run.folder
                usage = self._look(folder, before)
                if usage is not None:
                    yield view.gauge(SERVING_CPU, usage[0], replica_id=folder.name)
                    yield view.gauge(SERVING_MEMORY, usage[1], replica_id=folder.name)
            yield view.gauge(REPLICAS, len(deployment.serving))
            yield view.gauge(TARGET_REPLICAS, deployment.target)
            counted = self._fleet.measure(deployment)
            then, meter = counted_before.get(deployment, (deployment.created, Meter()))
            self._counted[deployment] = moment, counted
            yield from view.deltas(counted.since(meter), then)
            rows, calls = self._batches_since(deployment, batches_before)
            if calls:
                yield view.gauge(BATCH_ROWS, rows / calls)

    def _batches_since(
        self, deployment: Deployment, before: dict[ModelServer, tuple[int, int]]
    ) -> tuple[int, int]:
        """Returns how many rows the replicas' model has had in how many calls since a sample."""
        rows = calls = 0
        for member in list(deployment.serving):
            counted = member.server.rows_and_calls()
            if counted is not None:
                self._batches[member.server] = counted
                then = before.get(member.server, (0, 0))
                rows, calls = rows + counted[0] - then[0], calls + counted[1] - then[1]
        return rows, calls


class _View:
    """Makes the samples of one deployed model at one moment."""

    def __init__(self, deployment: Deployment, moment: int) -> None:
        _projects, project, _locations, location, _endpoints, number = deployment.endpoint.split(
            "/"
        )
        self._project = project
        self._resource = {
            "resource_container": project,
            "location": location,
            "endpoint_id": number,
        }
        self._labels = {"deployed_model_id": deployment.deployed["id"], "spot": "False"}
        self._moment = moment

    def gauge(self, metric: str, value: float, **labels: str) -> Sample:
        """Returns a sample of what is so now."""
        return self._sample(metric, value, 0, labels)

    def deltas(self, meter: Meter, start: int) -> Iterator[Sample]:
        """Yields samples of what was counted since a moment; none of what did not happen."""
        if not meter.total.count:
            return
        yield self._sample(PREDICTIONS, meter.total.count, start, {})
        errors = sum(count for status, count in meter.answers.items() if status >= 400)
        if errors:
            yield self._sample(ERRORS, errors, start, {})
        for first in sorted({status // 100 for status in meter.answers}):
            count = sum(n for status, n in meter.answers.items() if status // 100 == first)
            yield self._sample(RESPONSES, count, start, {"response_code": f"{first}xx"})
        for kind in ("total", "model", "overhead"):
            latencies: Latencies = getattr(meter, kind)
            if latencies.count:
                labels = {"latency_type": kind}
                yield self._sample(LATENCIES, latencies.distribution(), start, labels)

    def _sample(
        self, metric: str, value: float | dict[str, Any], start: int, labels: dict[str, str]
    ) -> Sample:
        labels = self._labels | labels
        series = series_of(metric, labels, "aiplatform.googleapis.com/Endpoint", self._resource)
        return Sample(self._project, metric, series, self._moment, value, start)
