"""Runs custom jobs: replicas as processes, their output as log entries, their end as the job's.

Source of the restart policy and of the states:
https://cloud.google.com/vertex-ai/docs/training/understanding-training-service.
"""

import itertools
import json
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from vertex_emulator import disk
from vertex_emulator.errors import ApiError
from vertex_emulator.logs.entry import common_fields, line_entry, log_id, message_entry
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.processes.supervisor import read_json, write_json
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.state.log_entries import Entries
from vertex_emulator.times import now, seconds_since
from vertex_emulator.uris import split_uri
from vertex_emulator.vertex import environment
from vertex_emulator.vertex.mount import Mount
from vertex_emulator.vertex.replicas import Attempts, Task, stop
from vertex_emulator.vertex.states import ENDED, to_pending, to_running
from vertex_emulator.vertex.trials import TRIAL_JOB, Trials

MAX_RUNNING = 4  # jobs at once; the others wait in JOB_STATE_QUEUED
POLL_SECONDS = 0.1
ROOM_SECONDS = 0.5  # between two tries to write on a full disk
LINES_AT_ONCE = 5000  # of a log, in memory
INTERNAL, DEADLINE_EXCEEDED, INVALID = 13, 4, 3  # google.rpc.Code


class JobError(Exception):
    """Why a job fails: a `google.rpc.Code` and a sentence."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class JobRunner:
    """Carries each job from JOB_STATE_QUEUED to its end, and goes on after a restart.

    Args:
        documents: where jobs and their states are kept.
        entries: where their output goes.
        objects: Cloud Storage, for packages and `/gcs/`.
        trials: take what the trials of a tuning report.
        folder: a folder of each job's own is made in here.
        url: the emulator's address, for the jobs.
        roots: the certificates that they trust (`proxy.certificate`).
    """

    def __init__(
        self,
        documents: Documents,
        entries: Entries,
        objects: Objects,
        trials: Trials,
        folder: Path,
        *,
        url: str,
        roots: Path,
    ) -> None:
        self._documents = documents
        self._entries = entries
        self._objects = objects
        self._trials = trials
        self._folder = folder
        self._url = url
        self._roots = roots
        self._running: dict[str, Sequence[Attempts]] = {}
        self._closing = threading.Event()
        self._threads = ThreadPoolExecutor(MAX_RUNNING, thread_name_prefix="job")

    def recover(self) -> None:
        """Takes up the jobs that had not ended when the last emulator did, oldest first.

        Folders of other jobs, which it had no time to delete, go.
        """
        going_on = [
            job["name"]
            for kind in ("customJob", TRIAL_JOB)
            for job in reversed(self._documents.list(kind))
            if job["state"] not in ENDED
        ]
        for folder in set(self._folder.glob("*")) - set(map(self._job_folder, going_on)):
            _remove(folder)
        for name in going_on:
            self.submit(name)

    def submit(self, name: str) -> None:
        self._threads.submit(self._guarded_run, name)

    def running(self) -> list[tuple[str, str, Path]]:
        """Returns the name, the task and the run's folder of each replica that runs now."""
        return [
            (name, each.task.name, each.run.folder)
            for name, attempts in self._running.copy().items()
            for each in attempts
        ]

    def remove(self, name: str) -> None:
        """Deletes what an ended job left on disk."""
        _remove(self._job_folder(name))

    def close(self) -> None:
        """Ends the processes of running jobs; the next emulator starts them again."""
        self._closing.set()
        self._threads.shutdown(cancel_futures=True)

    def _job_folder(self, name: str) -> Path:
        return self._folder / name.rpartition("/")[2]

    def _guarded_run(self, name: str) -> None:
        try:
            with disk.reporting_full_disk():
                self._run(name)
        except JobError as failure:
            self._end(name, "JOB_STATE_FAILED", {"code": failure.code, "message": str(failure)})
        except ApiError as error:
            reason = {"code": error.rpc_code, "message": error.message}
            self._end(name, "JOB_STATE_FAILED", reason)
        except Exception as error:
            self._end(
                name,
                "JOB_STATE_FAILED",
                {"code": INTERNAL, "message": f"Internal error of the emulator: {error!r}"},
            )
            raise
        finally:
            self._tidy(name)

    def _tidy(self, name: str) -> None:
        """Deletes the folder of a job that has ended: its log and its objects are elsewhere."""
        job = self._documents.get(name)
        if job is None or job["state"] in ENDED:
            self.remove(name)

    def _run(self, name: str) -> None:
        job = self._documents.update(name, to_pending)
        if job is None or job["state"] in ENDED:
            return
        plan = self._job_folder(name) / "plan.json"
        if not plan.exists():
            self._say(job, "Waiting for job to be provisioned.")
            # Not in the job's folder, as a socket's path has 108 bytes at the most.
            scratch = Path(tempfile.mkdtemp(prefix="vertex-job-"))
            try:
                prepared = [asdict(each) for each in self._prepare(job, scratch)]
                write_json(plan, {"tasks": prepared, "scratch": str(scratch)})
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)  # no plan names it
                raise
        tasks = [Task(**each) for each in json.loads(plan.read_text())["tasks"]]
        attempts = [Attempts(task, self._job_folder(name)) for task in tasks]
        job = self._documents.update(name, to_running)
        if job is None:
            return
        self._say(job, "Job is running.")
        for each in attempts:
            each.resume()
        self._running[name] = attempts
        try:
            self._follow(job, attempts)
        finally:
            del self._running[name]

    def _prepare(self, job: Document, scratch: Path) -> list[Task]:
        folder = self._job_folder(job["name"])
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)  # its plan holds the job's variables
        python = folder / "python"
        environment.make_python(python)
        mount = Mount(folder / "gcs", self._objects)
        shared = environment.variables(python, scratch, self._url, self._roots, job)
        pools = job["jobSpec"]["workerPoolSpecs"]
        counts = [int(pool.get("replicaCount", 1)) for pool in pools]
        ports = iter(environment.free_ports(sum(counts)))
        addresses = {
            f"workerpool{index}": [f"127.0.0.1:{next(ports)}" for _ in range(count)]
            for index, count in enumerate(counts)
            if count
        }
        tasks = []
        for pool, hosts in addresses.items():
            spec = pools[int(pool.removeprefix("workerpool"))]
            program = spec.get("containerSpec") or spec["pythonPackageSpec"]
            image = program.get("imageUri") or program.get("executorImageUri", "")
            own = environment.image_variables(image) | {
                each["name"]: each.get("value", "") for each in program.get("env", [])
            }
            argv = self._command(spec, folder, mount)
            for index in range(len(hosts)):
                cluster = environment.cluster_variables(addresses, pool, index, job)
                name = f"{pool}-{index}"
                trial = environment.trial_variables(job, folder / "metrics" / name)
                given = {key: mount.expand(value) for key, value in own.items()}
                tasks.append(Task(name, argv, shared | cluster | trial | given))
        return tasks

    def _command(self, spec: Document, folder: Path, mount: Mount) -> list[str]:
        container = spec.get("containerSpec")
        if container is not None:
            words = [*container.get("command", []), *container.get("args", [])]
            argv = mount.expand_command(words)
        else:
            package = spec["pythonPackageSpec"]
            files = [
                self._fetch_package(uri, folder / "packages") for uri in package["packageUris"]
            ]
            # As Google's own executor: install the packages, then run the module.
            argv = [
                "python",
                "-c",
                PACKAGE_RUNNER,
                str(len(files)),
                *map(str, files),
                package["pythonModule"],
                *(mount.expand(word) for word in package.get("args", [])),
            ]
        path = environment.scripts_folder(folder / "python")
        found = shutil.which(argv[0], path=str(path)) or shutil.which(argv[0])
        if found is None:
            raise JobError(
                INVALID,
                f"containerSpec.command: no program {argv[0]!r} on this machine; the emulator runs"
                " commands without a container, so name one that is here, such as 'python'.",
            )
        return [found, *argv[1:]]

    def _fetch_package(self, uri: str, folder: Path) -> Path:
        bucket, name = split_uri(uri)
        # The SDK's names have colons, which Windows takes for something else.
        target = folder / re.sub(r"[\\:]", "-", name.rpartition("/")[2])
        folder.mkdir(exist_ok=True)
        try:
            self._objects.copy_to_file(Ref(bucket, name), target)
        except ApiError as error:
            raise JobError(
                INVALID, f"pythonPackageSpec.packageUris: there is no object {uri}."
            ) from error
        return target

    def _follow(self, job: Document, attempts: Sequence[Attempts]) -> None:
        name = job["name"]
        primary = attempts[0]
        scheduling = job["jobSpec"].get("scheduling", {})
        timeout = float(scheduling.get("timeout", "604800s").removesuffix("s"))
        while True:
            codes = [each.exit_code() for each in attempts]
            for each in attempts:
                self._read(job, each, once=True)
                self._read_metrics(job, each, is_over=False)
            state = (self._documents.get(name) or {"state": "JOB_STATE_CANCELLING"})["state"]
            if self._closing.is_set():
                stop(attempts)
                return
            if state == "JOB_STATE_CANCELLING":
                self._stop_and_read(job, attempts)
                self._say(job, "Job is cancelled.")
                self._end(name, "JOB_STATE_CANCELLED")
                return
            if codes[0] == 0:
                self._stop_and_read(job, attempts)
                self._publish(job)
                self._say(job, "Job completed successfully.")
                self._end(name, "JOB_STATE_SUCCEEDED")
                return
            if seconds_since(job["startTime"]) > timeout:
                self._stop_and_read(job, attempts)
                message = f"The job ran longer than its timeout, {timeout:g} s."
                self._end(
                    name, "JOB_STATE_CANCELLED", {"code": DEADLINE_EXCEEDED, "message": message}
                )
                return
            for each, code in zip(attempts, codes, strict=True):
                if code is None or (code == 0 and each is not primary):
                    continue
                if not each.may_restart(code, scheduling):
                    self._stop_and_read(job, attempts)
                    raise JobError(INVALID, each.reason(code))
                self._say(job, f"Restarting the replica {each.task.name}.", "WARNING")
                again = attempts if scheduling.get("restartJobOnWorkerRestart") else [each]
                stop([other for other in again if other is not each])
                for other in again:
                    self._read(job, other)
                    self._read_metrics(job, other, is_over=True)
                    other.restart()
                break
            time.sleep(POLL_SECONDS)

    def _publish(self, job: Document) -> None:
        """Makes objects of what the job wrote below `/gcs`."""
        mount = Mount(self._job_folder(job["name"]) / "gcs", self._objects)
        strays = mount.strays(datetime.fromisoformat(job["startTime"]).timestamp())
        if strays:
            raise JobError(
                INVALID,
                f"The job wrote {strays[0]} on this machine, which is not the bucket: here"
                " /gcs/BUCKET stands for the bucket in the job's command, arguments and variables"
                " only. Pass the path as an argument, as in --out=/gcs/BUCKET/out.",
            )
        try:
            mount.publish()
        except ValueError as error:
            raise JobError(
                INVALID, f"Nothing that the job wrote is in the bucket: {error}."
            ) from error

    def _stop_and_read(self, job: Document, attempts: Sequence[Attempts]) -> None:
        self._write(lambda: stop(attempts))
        for each in attempts:
            self._read(job, each)
            self._read_metrics(job, each, is_over=True)

    def _read_metrics(self, job: Document, attempt: Attempts, *, is_over: bool) -> None:
        """Takes what a trial's replica has reported of late."""
        if attempt.metrics is None:
            return
        reports, problems = attempt.metrics.read(is_whole=is_over)
        if reports:
            self._write(lambda: self._trials.report(job["trial"], reports))
        for problem in problems:
            self._say(job, problem, "WARNING")

    def _read(self, job: Document, attempt: Attempts, *, once: bool = False) -> None:
        """Turns new lines of a replica into log entries: all, or `LINES_AT_ONCE` at the most."""
        common, job_id = common_fields(job, attempt.task.name), log_id(job)
        while True:
            found = attempt.run.lines(self._entries.consumed(attempt.source))
            lines = list(itertools.islice(found, LINES_AT_ONCE))
            if not lines:
                return
            end, entries = lines[-1][0], [line_entry(line, common) for _end, line in lines]
            self._write(
                partial(self._entries.consume, attempt.source, end, job_id, common, entries)
            )
            if advice := attempt.advice(line.text for _end, line in lines):
                self._say(job, advice, "WARNING")
            if once:
                return

    def _say(self, job: Document, message: str, severity: str = "INFO") -> None:
        """Logs a message of the service itself, as Vertex AI does under the task `service`."""
        common = common_fields(job, "service")
        entry = message_entry(message, severity)
        self._write(lambda: self._entries.append(log_id(job), common, [entry]))

    def _write(self, write: Callable[[], object]) -> None:
        """Does a write again for as long as the disk is full and the emulator goes on."""
        while True:
            try:
                write()
                return
            except (ApiError, OSError) as error:
                if not disk.is_full(error) or self._closing.wait(ROOM_SECONDS):
                    raise

    def _end(self, name: str, state: str, error: dict[str, Any] | None = None) -> None:
        def change(job: Document) -> None:
            moment = now()
            job.update(state=state, endTime=moment, updateTime=moment)
            if error is not None:
                job["error"] = error

        job = self._documents.get(name)
        if job is not None and error is not None:
            self._say(job, error["message"], "ERROR")  # before the end, which followers wait for
        self._write(lambda: self._documents.update(name, change))


def _remove(folder: Path) -> None:
    """Deletes a job's folder, and its temporary files elsewhere."""
    plan = read_json(folder / "plan.json")
    if plan is not None:
        shutil.rmtree(plan["scratch"], ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


PACKAGE_RUNNER = """
import runpy, subprocess, sys
count = int(sys.argv[1])
packages, rest = sys.argv[2:2 + count], sys.argv[2 + count:]
subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], check=True)
sys.argv = rest
sys.path.insert(0, "")
runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
"""
