"""Carries out hyperparameter tunings: which trial begins, what becomes of it, when all is done.

A trial is a custom job, which `execution.JobRunner` runs. All that a tuning has come to stands in
the database: each look of the tuner goes on from there, so that it does not matter when the
emulator was killed.
"""

import threading
import traceback
from typing import Any

from vertex_emulator import disk
from vertex_emulator.errors import ApiError
from vertex_emulator.logs.entry import common_fields, log_id, message_entry
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.state.log_entries import Entries
from vertex_emulator.times import now
from vertex_emulator.tuning import measurements, search, stopping
from vertex_emulator.vertex import states
from vertex_emulator.vertex.execution import MAX_RUNNING, JobRunner
from vertex_emulator.vertex.states import ENDED, to_pending, to_running
from vertex_emulator.vertex.trials import GOING_ON, Trials, measured

KIND = "hyperparameterTuningJob"
LOOK_SECONDS = 0.1
CANCELLED, INVALID, INTERNAL = 1, 3, 13  # google.rpc.Code
# Failed trials, none of them successful, that end a tuning which leaves it to the service.
MAX_FAILED = 3


class Tuner:
    """Looks after all tunings in a thread of its own, between `start` and `close`.

    Args:
        documents: where tunings and their states are kept.
        entries: where messages of the service go.
        trials: of all tunings.
        runner: runs the trials' custom jobs.
    """

    def __init__(
        self, documents: Documents, entries: Entries, trials: Trials, runner: JobRunner
    ) -> None:
        self._documents = documents
        self._entries = entries
        self._trials = trials
        self._runner = runner
        self._going_on: list[str] = []
        self._judged: dict[str, tuple[int, int]] = {}  # what early stopping has seen, by trial
        self._awake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tuner", daemon=True)

    def start(self) -> None:
        """Takes up the tunings that had not ended when the last emulator did, oldest first."""
        for job in reversed(self._documents.list(KIND)):
            if job["state"] not in ENDED:
                self.submit(job["name"])
        self._thread.start()

    def submit(self, name: str) -> None:
        self._going_on.append(name)
        self._awake.set()

    def close(self) -> None:
        """Begins no further trial; the next emulator goes on."""
        self._closing.set()
        self._awake.set()
        self._thread.join()

    def _run(self) -> None:
        while self._awake.wait() and not self._closing.is_set():
            self._awake.clear()
            while self._going_on and not self._closing.wait(LOOK_SECONDS):
                for name in self._going_on.copy():
                    if not self._guarded_look(name):
                        self._going_on.remove(name)

    def _guarded_look(self, name: str) -> bool:
        """Looks at a tuning once; returns whether it goes on."""
        try:
            with disk.reporting_full_disk():
                return self._look(name)
        except ApiError as error:
            if disk.is_full(error):
                return True  # the next look may find room
            self._end(name, "JOB_STATE_FAILED", error.rpc_code, error.message)
        except Exception as error:
            traceback.print_exc()
            message = f"Internal error of the emulator: {error!r}"
            self._end(name, "JOB_STATE_FAILED", INTERNAL, message)
        return False

    def _look(self, name: str) -> bool:
        job = self._documents.get(name)
        if job is not None and job["state"] in ("JOB_STATE_QUEUED", "JOB_STATE_PENDING"):
            self._documents.update(name, to_pending)
            job = self._documents.update(name, to_running)
        if job is None or job["state"] in ENDED:
            return False
        for trial in self._trials.going_on(name):
            self._follow(job, trial)
        counts = self._trials.counts(name)
        going_on = sum(counts.get(state, 0) for state in GOING_ON)
        verdict = _verdict(job, counts)
        if verdict is None:
            if self._begin(job, sum(counts.values()), going_on) or going_on:
                return True
            verdict = _last_verdict(counts)  # a grid without further points
        if going_on:
            if verdict[0] != "JOB_STATE_SUCCEEDED":
                for trial in self._trials.going_on(name):
                    self._cancel(trial)
            return True
        self._end(name, *verdict)
        return False

    def _begin(self, job: Document, number: int, going_on: int) -> bool:
        """Begins as many trials as may run beside those that do; returns whether any is left."""
        # No more than can run: what later trials try depends on how the earlier ones did.
        parallel = min(job["parallelTrialCount"], MAX_RUNNING)
        for _ in range(min(parallel - going_on, job["maxTrialCount"] - number)):
            trials = self._trials.of(job["name"])
            found = search.suggest(job["studySpec"], trials, job["maxTrialCount"])
            if found is None:
                return len(trials) > number
            if self._closing.is_set():
                return True
            custom = self._trials.begin(job, len(trials) + 1, found, beside=parallel)
            self._runner.submit(custom["name"])
        return True

    def _follow(self, job: Document, trial: Document) -> None:
        """Ends a trial whose custom job has ended."""
        custom = self._documents.get(trial["customJob"])
        if custom is None:
            self._trials.change(
                trial, state="INFEASIBLE", endTime=now(), infeasibleReason="Its job is gone."
            )
            return
        start = custom.get("startTime")
        if start is not None and start != trial["startTime"]:
            self._trials.change(trial, startTime=start)
        if custom["state"] not in ENDED:
            if trial["state"] == "STOPPING":  # and the emulator may have died before it said so
                self._cancel(trial)
            else:
                self._judge(job, trial)
            return
        self._judged.pop(trial["name"], None)
        # The runner has taken all reports before it ended the job.
        trial = self._documents.get(trial["name"]) or trial
        final = measurements.final(measured(trial), job["studySpec"])
        reason = _infeasible(trial, custom, final)
        end = custom.get("endTime", now())
        if reason is None:
            self._trials.change(trial, state="SUCCEEDED", endTime=end, finalMeasurement=final)
        else:
            self._say(job, f"Trial {trial['id']} is infeasible. {reason}", "ERROR")
            self._trials.change(trial, state="INFEASIBLE", endTime=end, infeasibleReason=reason)

    def _judge(self, job: Document, trial: Document) -> None:
        """Stops a running trial that the study's rule gives up."""
        spec = job["studySpec"]
        if stopping.rule(spec) is None:
            return
        known = len(trial["reports"]), self._trials.counts(job["name"]).get("SUCCEEDED", 0)
        if self._judged.get(trial["name"]) == known:
            return
        self._judged[trial["name"]] = known
        completed = [
            each.get("measurements", [])
            for each in self._trials.of(job["name"])
            if each["state"] == "SUCCEEDED"
        ]
        reason = stopping.reason_to_stop(spec, measured(trial), completed)
        if reason is not None:
            self._say(job, f"Trial {trial['id']} is stopped early: {reason}.")
            self._trials.change(trial, state="STOPPING")
            self._cancel(trial)

    def _cancel(self, trial: Document) -> None:
        """Asks for the end of a trial's job, once."""
        custom = self._documents.get(trial["customJob"])
        if custom is not None and custom["state"] not in {*ENDED, "JOB_STATE_CANCELLING"}:
            states.cancel(self._documents, "CustomJob", trial["customJob"])

    def _say(self, job: Document, message: str, severity: str = "INFO") -> None:
        entry = message_entry(message, severity)
        self._entries.append(log_id(job), common_fields(job, "service"), [entry])

    def _end(self, name: str, state: str, code: int = 0, message: str = "") -> None:
        def change(job: Document) -> None:
            moment = now()
            job.update(state=state, endTime=moment, updateTime=moment)
            if code:
                job["error"] = {"code": code, "message": message}

        job = self._documents.get(name)
        if job is None:
            return
        severity = "ERROR" if state == "JOB_STATE_FAILED" else "INFO"
        said = message or "Hyperparameter tuning job completed successfully."
        self._say(job, said, severity)  # before the end, which followers wait for
        self._documents.update(name, change)


Verdict = tuple[str, int, str]
DONE: Verdict = ("JOB_STATE_SUCCEEDED", 0, "")


def _verdict(job: Document, counts: dict[str, int]) -> Verdict | None:
    """Returns how a tuning ends once its running trials have; None while it goes on."""
    if job["state"] == "JOB_STATE_CANCELLING":
        return "JOB_STATE_CANCELLED", CANCELLED, "The job was cancelled."
    failed, succeeded = counts.get("INFEASIBLE", 0), counts.get("SUCCEEDED", 0)
    most = job.get("maxFailedTrialCount", 0)
    if most and failed >= most:
        return _failure(f"As many trials as maxFailedTrialCount says, {most}, have failed.")
    few = max(MAX_FAILED, job["parallelTrialCount"])
    if not most and not succeeded and failed >= few:
        return _failure(f"The first {few} trials have all failed.")
    if sum(counts.values()) < job["maxTrialCount"]:
        return None
    return _last_verdict(counts)


def _last_verdict(counts: dict[str, int]) -> Verdict:
    """Returns how a tuning ends that begins no further trial."""
    going_on = any(counts.get(state) for state in GOING_ON)
    return DONE if going_on or counts.get("SUCCEEDED") else _failure("All trials have failed.")


def _failure(message: str) -> Verdict:
    advice = "The infeasibleReason of each trial says why."
    return "JOB_STATE_FAILED", INVALID, f"{message} {advice}"


def _infeasible(trial: Document, custom: Document, final: dict[str, Any] | None) -> str | None:
    """Returns why an ended trial has no result, or None."""
    if custom["state"] != "JOB_STATE_SUCCEEDED" and trial["state"] != "STOPPING":
        return str(custom.get("error", {}).get("message", "The trial's job was cancelled."))
    if final is None:
        wanted = " and ".join(repr(name) for name in trial["metrics"])
        reported = sorted({each[2] for each in trial["reports"]})
        instead = f"only {', '.join(map(repr, reported))}" if reported else "no metric at all"
        return f"The trial never reported {wanted}, {instead}."
    return None
