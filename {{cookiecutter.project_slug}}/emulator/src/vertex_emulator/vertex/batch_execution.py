"""Runs batch prediction jobs: from input files through replicas of the model to result files.

One thread a job cuts the input into blocks and writes results in their order; meanwhile the job's
own replicas, processes that end with the job, read the blocks, predict and put the results into
words. What is in memory at a time is a few blocks.
"""

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from typing import Any

from google.rpc import code_pb2

from vertex_emulator.batch.blocks import (
    BLOCK_BYTES,
    BLOCK_RECORDS,
    Block,
    Place,
    count_rows,
    read_blocks,
    read_header,
)
from vertex_emulator.batch.replica import BatchReplica, ReplicaLostError
from vertex_emulator.batch.rows import MAX_ROW_BYTES
from vertex_emulator.batch.task import BATCH_SIZE, Done, Task
from vertex_emulator.errors import ApiError
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now
from vertex_emulator.uris import split_uri
from vertex_emulator.vertex.batch_output import BatchOutput, Checkpoint
from vertex_emulator.vertex.models import Models
from vertex_emulator.vertex.resources import unversioned
from vertex_emulator.vertex.serving import ModelServer, ModelServers
from vertex_emulator.vertex.states import ENDED, to_pending, to_running

KIND = "batchPredictionJob"
MAX_RUNNING = 2  # jobs at once; the others wait in JOB_STATE_QUEUED
MAX_REPLICAS = 10  # of a job that does not say
IN_FLIGHT = 2  # blocks of a replica: one that it works on, one that waits or is written
SAVE_SECONDS = 0.5  # between checkpoints; a killed job does again what came behind the last
STOP_SECONDS = 1.0  # that a replica gets to end: nobody wants what it still does
MAX_RESTARTS = 3  # of a job's replicas, without a row done in between
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
        bucket, name = split_uri(self.uri)
        return Ref(bucket, name, self.generation)


@dataclass(frozen=True)
class _Work:
    """A block, with the number of its file and how to read it."""

    source: int
    task: Task
    block: Block


class BatchRunner:
    """Carries each job from JOB_STATE_QUEUED to its end, and goes on after a restart.

    Args:
        documents: where jobs and their states are kept.
        objects: Cloud Storage, with the input and for the output.
        models: the model registry.
        servers: starts the replicas.
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
        self._threads = ThreadPoolExecutor(MAX_RUNNING, thread_name_prefix="batch")

    def recover(self) -> None:
        """Takes up the jobs that had not ended when the last emulator did, oldest first.

        Folders of other jobs, which it had no time to delete, go.
        """
        going_on = [
            job["name"] for job in reversed(self._documents.list(KIND)) if job["state"] not in ENDED
        ]
        for folder in set(self._folder.glob("*")) - set(map(self._job_folder, going_on)):
            shutil.rmtree(folder, ignore_errors=True)
        for name in going_on:
            self.submit(name)

    def submit(self, name: str) -> None:
        self._threads.submit(self._guarded_run, name)

    def close(self) -> None:
        """Stops running jobs at their next batch; the next emulator goes on with them."""
        self._closing.set()
        self._threads.shutdown(cancel_futures=True)

    def _guarded_run(self, name: str) -> None:
        try:
            self._run(name)
        except ApiError as error:
            self._fail(name, error.rpc_code, error.message)
        except Exception as error:
            self._fail(name, code_pb2.INTERNAL, f"Internal error of the emulator: {error!r}")
            raise
        finally:
            self._tidy(name)

    def _job_folder(self, name: str) -> Path:
        return self._folder / name.rpartition("/")[2]

    def _tidy(self, name: str) -> None:
        """Deletes the folder of a job that has ended: its results are in the bucket."""
        job = self._documents.get(name)
        if job is None or job["state"] in ENDED:
            shutil.rmtree(self._job_folder(name), ignore_errors=True)

    def _run(self, name: str) -> None:
        job = self._documents.update(name, to_pending)
        if job is None or job["state"] in ENDED:
            return
        restarts, done = 0, 0
        while True:
            try:
                output = BatchOutput(self._job_folder(name))
                self._attempt(job, output)
                return
            except ReplicaLostError as error:
                restarts = restarts + 1 if output.reached.done == done else 1
                done = output.reached.done
                if restarts > MAX_RESTARTS:
                    raise ApiError(500, "INTERNAL", f"{error}; it was started again.") from error
            except _StoppedError:
                if not self._closing.is_set():
                    self._end(name, "JOB_STATE_CANCELLED", _cancelled)
                return

    def _attempt(self, job: Document, output: BatchOutput) -> None:
        """Does the rows that are left, and publishes all.

        Raises:
            ApiError: a replica does not start, or an input file is gone, changed, or cannot be
                read as the job says.
            ReplicaLostError: a replica ended.
        """
        name = job["name"]
        sources = [Source(**each) for each in job["sources"]]
        with self._replicas(job, sources) as servers:
            total = sum(self._count(source, job) for source in sources)  # while they start
            self._check(name)
            for server in servers:
                while not server.ready.wait(SAVE_SECONDS):
                    self._check(name)  # at the emulator's end nobody gives it the model any more
                server.wait()
            self._documents.update(name, to_running)
            self._say(name, output.reached, total)
            self._predict(job, sources, servers, output, total)
        output.save()
        self._say(name, output.reached, output.reached.done)
        self._check(name)
        self._publish(job, output)

    def _predict(
        self,
        job: Document,
        sources: list[Source],
        servers: list[ModelServer],
        output: BatchOutput,
        total: int,
    ) -> None:
        """Does the rows that are left."""
        saved = time.monotonic()

        def save() -> None:
            nonlocal saved
            if time.monotonic() - saved >= SAVE_SECONDS:
                output.save()
                self._say(job["name"], output.reached, total)
                self._check(job["name"])
                saved = time.monotonic()

        replicas = [BatchReplica(server.port) for server in servers]
        blocks = self._blocks(job, sources, output)
        with closing(_predicted(replicas, blocks, meanwhile=save)) as predicted:
            for work, done in predicted:
                output.add(done, work.source, work.block.end)
                save()

    def _count(self, source: Source, job: Document) -> int:
        _stored, file = self._objects.open(source.ref)
        with file:
            return count_rows(file, job["inputConfig"]["instancesFormat"])

    @contextmanager
    def _replicas(self, job: Document, sources: list[Source]) -> Iterator[list[ModelServer]]:
        """Keeps as many replicas as the job allows, but not more than can be of use."""
        resources = job["dedicatedResources"]
        size = sum(self._objects.stat(source.ref).size for source in sources)
        replicas = min(
            int(resources.get("maxReplicaCount") or MAX_REPLICAS),
            os.cpu_count() or 1,
            1 + size // BLOCK_BYTES,
        )
        version = self._models.version(f"{job['model'].partition('@')[0]}@{job['modelVersionId']}")
        flags = (
            # A block ends with a whole row.
            f"--max-body-bytes={2 * (BLOCK_BYTES + MAX_ROW_BYTES)}",
            # The replicas share the processors.
            f"--tensorflow_intra_op_parallelism={1 if replicas > 1 else 0}",
        )
        deployed = {
            "id": job["name"].rpartition("/")[2],
            "model": unversioned(version["name"]),
            "modelVersionId": version["versionId"],
        }
        servers: list[ModelServer] = []
        try:
            for _ in range(replicas):
                server = self._servers.launch(
                    job["name"], deployed, version, "vertex_emulator.batch", flags
                )
                servers.append(server)
            yield servers
        finally:
            for server in servers:
                server.stop(STOP_SECONDS)
            for server in servers:
                server.remove()

    def _blocks(self, job: Document, sources: list[Source], output: BatchOutput) -> Iterator[_Work]:
        """Yields the blocks behind the checkpoint."""
        file_format = job["inputConfig"]["instancesFormat"]
        batch_size = int(job.get("manualBatchTuningParameters", {}).get("batchSize", 0))
        max_records = batch_size or BLOCK_RECORDS
        reached = output.reached
        places = count(reached.blocks)
        for number, source in enumerate(sources):
            if number < reached.source:
                continue
            begin = Place()
            if number == reached.source:
                begin = Place(reached.offset, reached.records)
            _stored, file = self._objects.open(source.ref)
            with file:
                header = b""
                if file_format == "csv":
                    header, behind = read_header(file)
                    begin = max(begin, behind, key=lambda each: each.offset)
                for block in read_blocks(file, file_format, begin, max_records):
                    place = next(places)
                    task = Task(
                        uri=source.uri,
                        file_format=file_format,
                        config=job.get("instanceConfig", {}),
                        results=str(output.results(place).absolute()),
                        errors=str(output.errors(place).absolute()),
                        before=block.begin.records,
                        header=header.decode("latin-1"),
                        problem=block.problem,
                        batch_size=batch_size or BATCH_SIZE,
                    )
                    yield _Work(number, task, block)

    def _publish(self, job: Document, output: BatchOutput) -> None:
        reached = output.reached
        uri = job["outputInfo"]["gcsOutputDirectory"]
        if reached.failed and not reached.successful:
            problem = f"No row could be predicted. The first: {reached.reason}"
            state, change = "JOB_STATE_FAILED", _failure(code_pb2.INVALID_ARGUMENT, problem)
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
    replicas: Sequence[BatchReplica], work: Iterator[_Work], meanwhile: Callable[[], None]
) -> Generator[tuple[_Work, Done]]:
    """Yields each block when it is done, in order, while the next are on their way.

    Args:
        replicas: take turns; closed at the end.
        work: what to predict.
        meanwhile: called now and then while an answer is awaited; may raise to break off.
    """
    max_in_flight = IN_FLIGHT * len(replicas)
    waiting: deque[tuple[_Work, Future[Done]]] = deque()
    with ThreadPoolExecutor(max_in_flight, thread_name_prefix="predict") as threads:
        try:
            for each, replica in zip(work, cycle(replicas), strict=False):
                future = threads.submit(replica.predict, each.task, each.block.data)
                waiting.append((each, future))
                if len(waiting) == max_in_flight:
                    yield _first(waiting, meanwhile)
            while waiting:
                yield _first(waiting, meanwhile)
        finally:
            for replica in replicas:
                replica.close()  # else the threads would wait for answers that nobody wants


def _first(
    waiting: deque[tuple[_Work, Future[Done]]], meanwhile: Callable[[], None]
) -> tuple[_Work, Done]:
    work, future = waiting.popleft()
    while not wait([future], timeout=SAVE_SECONDS).done:
        meanwhile()
    return work, future.result()


def _failure(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


_cancelled = _failure(CANCELLED, "The job was cancelled.")
