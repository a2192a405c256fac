"""Runs batch prediction jobs: from input files through a model server to result files.

One thread a job reads rows and writes results; meanwhile several requests are with the job's own
model server, a process that ends with the job. What is in memory at a time is a few batches.
"""

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.errors import ApiError
from emulator.store.documents import Document, Documents
from emulator.store.objects import Objects, Ref
from emulator.times import now
from emulator.vertex.batch_output import BatchOutput, Checkpoint
from emulator.vertex.batch_predictor import INTERNAL, Outcome, Predictor, ServerLostError
from emulator.vertex.batch_rows import (
    MOST_ROW_BYTES,
    InstanceConfig,
    Row,
    RowError,
    Start,
    count_rows,
    read_rows,
)
from emulator.vertex.models import Models
from emulator.vertex.operations import GRPC_CODES
from emulator.vertex.serving import ModelServers
from emulator.vertex.states import ENDED, to_pending, to_running

KIND = "batchPredictionJob"
MOST_RUNNING = 2  # jobs at once; the others wait in JOB_STATE_QUEUED
BATCH_ROWS = 4096
BATCH_BYTES = 4 * 1024 * 1024
IN_FLIGHT = 3  # batches: one with the model, one that waits for it, one that is read or written
SAVE_SECONDS = 0.5  # between checkpoints; a killed job does again what came behind the last
MOST_RESTARTS = 3  # of a job's model server, without a row done in between
CANCELLED = 1  # google.rpc.Code


class _StoppedError(Exception):
    """The job is cancelled or gone, or the emulator ends."""


@dataclass(frozen=True)
class Source:
    """One input file; the generation keeps a job from mixing two contents of it.

    Attributes:
        uri: gs://BUCKET/OBJECT.
        generation: of the object when the job was made.
    """

    uri: str
    generation: int

    @property
    def ref(self) -> Ref:
        """The object in the store."""
        bucket, _, name = self.uri.removeprefix("gs://").partition("/")
        return Ref(bucket, name, self.generation)


@dataclass(frozen=True)
class _Batch:
    source: int
    uri: str
    rows: list[Row]


class BatchRunner:
    """Carries each job from JOB_STATE_QUEUED to its end, and goes on after a restart.

    Args:
        documents: where jobs and their states are kept.
        objects: Cloud Storage, with the input and for the output.
        models: the model registry.
        servers: starts the model servers.
        folder: a folder of each job's own is made in here.
    """

    def __init__(
        self,
        documents: Documents,
        objects: Objects,
        models: Models,
        servers: ModelServers,
        folder: Path,
    ) -> None:
        self._documents = documents
        self._objects = objects
        self._models = models
        self._servers = servers
        self._folder = folder
        self._closing = threading.Event()
        self._threads = ThreadPoolExecutor(MOST_RUNNING, thread_name_prefix="batch")

    def recover(self) -> None:
        """Takes up the jobs that had not ended when the last emulator did, oldest first."""
        for job in reversed(self._documents.list(KIND)):
            if job["state"] not in ENDED:
                self.submit(job["name"])

    def check(self, version: Document) -> None:
        """Refuses a model that no server stands for. Raises ApiError 501 UNIMPLEMENTED."""
        self._servers.check(version)

    def submit(self, name: str) -> None:
        """Queues a job."""
        self._threads.submit(self._guarded_run, name)

    def close(self) -> None:
        """Stops running jobs at their next batch; the next emulator goes on with them."""
        self._closing.set()
        self._threads.shutdown(cancel_futures=True)

    def _guarded_run(self, name: str) -> None:
        try:
            self._run(name)
        except ApiError as error:
            self._fail(name, GRPC_CODES.get(error.status, INTERNAL), error.message)
        except RowError as error:
            self._fail(name, GRPC_CODES["INVALID_ARGUMENT"], str(error))
        except Exception as error:
            self._fail(name, INTERNAL, f"Internal error of the emulator: {error!r}")
            raise

    def _run(self, name: str) -> None:
        job = self._documents.update(name, to_pending)
        if job is None or job["state"] in ENDED:
            return
        job_id = name.rpartition("/")[2]
        folder = self._folder / job_id
        restarts, done = 0, 0
        while True:
            try:
                with BatchOutput(folder) as output:
                    self._attempt(job, output)
                break
            except ServerLostError as error:
                restarts = restarts + 1 if output.reached.done == done else 1
                done = output.reached.done
                if restarts > MOST_RESTARTS:
                    raise ApiError(500, "INTERNAL", f"{error}; it was started again.") from error
            except _StoppedError:
                if not self._closing.is_set():
                    self._end(name, "JOB_STATE_CANCELLED", _cancelled)
                    break
                return
            finally:
                self._servers.stop(job_id)
        shutil.rmtree(folder, ignore_errors=True)

    def _attempt(self, job: Document, output: BatchOutput) -> None:
        """Does the rows that are left, and publishes all.

        Raises:
            ApiError: the model server does not start, or an input file is gone or changed.
            ServerLostError: the model server ended.
        """
        name = job["name"]
        sources = [Source(**each) for each in job["sources"]]
        total = sum(self._count(source, job) for source in sources)
        self._check(name)
        predictor = self._start_server(job)
        self._documents.update(name, to_running)
        self._say(name, output.reached, total)
        saved = time.monotonic()

        def save() -> None:
            nonlocal saved
            if time.monotonic() - saved >= SAVE_SECONDS:
                output.save()
                self._say(name, output.reached, total)
                self._check(name)
                saved = time.monotonic()

        batches = self._batches(job, sources, output)
        with closing(_predicted(predictor, batches, meanwhile=save)) as predicted:
            for batch, outcome in predicted:
                last = batch.rows[-1]
                output.add(outcome, batch.source, Start(last.end, last.place))
                save()
        output.save()
        self._say(name, output.reached, output.reached.done)
        self._check(name)
        self._publish(job, output)

    def _count(self, source: Source, job: Document) -> int:
        _stored, file = self._objects.open(source.ref)
        with file:
            return count_rows(file, job["inputConfig"]["instancesFormat"])

    def _start_server(self, job: Document) -> Predictor:
        version = self._models.version(f"{job['model'].partition('@')[0]}@{job['modelVersionId']}")
        container = version["containerSpec"]
        # The job's own requests are larger than those an endpoint takes.
        limit = f"--max-body-bytes={2 * (BATCH_BYTES + MOST_ROW_BYTES)}"
        larger = container | {"args": [*container.get("args", []), limit]}
        deployed = {
            "id": job["name"].rpartition("/")[2],
            "model": version["name"].partition("@")[0],
            "modelVersionId": version["versionId"],
        }
        self._servers.begin(job["name"], deployed, version | {"containerSpec": larger})
        server = self._servers.wait(deployed["id"])
        return Predictor(server.url + server.predict_route, job.get("modelParameters"))

    def _batches(
        self, job: Document, sources: list[Source], output: BatchOutput
    ) -> Iterator[_Batch]:
        """Yields the rows behind the checkpoint, in batches of one file each."""
        most = int(job.get("manualBatchTuningParameters", {}).get("batchSize", BATCH_ROWS))
        reached = output.reached
        for number, source in enumerate(sources):
            if number < reached.source:
                continue
            start = Start(reached.end, reached.place) if number == reached.source else Start()
            rows: list[Row] = []
            size = 0
            for row in self._rows(job, source, start):
                rows.append(row)
                size += len(row.sent)
                if len(rows) >= most or size >= BATCH_BYTES:
                    yield _Batch(number, source.uri, rows)
                    rows, size = [], 0
            if rows:
                yield _Batch(number, source.uri, rows)

    def _rows(self, job: Document, source: Source, start: Start) -> Iterator[Row]:
        given = job.get("instanceConfig", {})
        config = InstanceConfig(
            given.get("instanceType", ""),
            given.get("keyField", ""),
            tuple(given.get("includedFields", ())),
            tuple(given.get("excludedFields", ())),
        )
        _stored, file = self._objects.open(source.ref)
        with file:
            try:
                yield from read_rows(
                    file, job["inputConfig"]["instancesFormat"], config, self._fetch, start
                )
            except RowError as error:
                raise RowError(f"{source.uri}: {error}.") from error

    def _fetch(self, uri: str) -> bytes:
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        if not uri.startswith("gs://"):
            raise RowError(f"expected a URI gs://BUCKET/OBJECT, got {uri[:80]!r}")
        try:
            stored, file = self._objects.open(Ref(bucket, name))
        except ApiError as error:
            raise RowError(f"there is no object {uri}") from error
        with file:
            if stored.size > MOST_ROW_BYTES:
                raise RowError(f"expected at most {MOST_ROW_BYTES} bytes, got {stored.size}")
            return file.read()

    def _publish(self, job: Document, output: BatchOutput) -> None:
        reached = output.reached
        uri = job["outputInfo"]["gcsOutputDirectory"]
        if reached.failed and not reached.successful:
            problem = f"No row could be predicted. The first: {reached.reason}"
            state, change = "JOB_STATE_FAILED", _failure(GRPC_CODES["INVALID_ARGUMENT"], problem)
        else:
            state, change = "JOB_STATE_SUCCEEDED", dict[str, Any]()
        output.publish(self._objects, uri, lambda: self._end(job["name"], state, change))

    def _check(self, name: str) -> None:
        job = self._documents.get(name)
        if self._closing.is_set() or job is None or job["state"] == "JOB_STATE_CANCELLING":
            raise _StoppedError

    def _say(self, name: str, reached: Checkpoint, total: int) -> None:
        def change(job: Document) -> None:
            job["completionStats"] = {
                "successfulCount": str(reached.successful),
                "failedCount": str(reached.failed),
                "incompleteCount": str(total - reached.done),
            }
            job["updateTime"] = now()

        self._documents.update(name, change)

    def _fail(self, name: str, code: int, message: str) -> None:
        self._end(name, "JOB_STATE_FAILED", _failure(code, message))

    def _end(self, name: str, state: str, fields: dict[str, Any]) -> None:
        def change(job: Document) -> None:
            moment = now()
            job.update(fields | {"state": state, "endTime": moment, "updateTime": moment})

        self._documents.update(name, change)


def _predicted(
    predictor: Predictor, batches: Iterator[_Batch], meanwhile: Callable[[], None]
) -> Generator[tuple[_Batch, Outcome]]:
    """Yields each batch with its outcome, in order, while the next are on their way.

    Args:
        predictor: closed at the end.
        batches: what to predict.
        meanwhile: called now and then while an answer is awaited; may raise to break off.
    """
    waiting: deque[tuple[_Batch, Future[Outcome]]] = deque()
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="predict") as threads:
        try:
            for batch in batches:
                future = threads.submit(predictor.predict, batch.uri, batch.rows)
                waiting.append((batch, future))
                if len(waiting) == IN_FLIGHT:
                    yield _first(waiting, meanwhile)
            while waiting:
                yield _first(waiting, meanwhile)
        finally:
            predictor.close()  # else the threads would wait for answers that nobody wants


def _first(
    waiting: deque[tuple[_Batch, Future[Outcome]]], meanwhile: Callable[[], None]
) -> tuple[_Batch, Outcome]:
    batch, future = waiting.popleft()
    while not wait([future], timeout=SAVE_SECONDS).done:
        meanwhile()
    return batch, future.result()


def _failure(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


_cancelled = _failure(CANCELLED, "The job was cancelled.")
