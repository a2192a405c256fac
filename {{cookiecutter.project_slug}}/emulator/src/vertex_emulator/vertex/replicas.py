"""A job's replicas: each is one process at a time, started again when its machine fails."""

import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vertex_emulator.logs.last_words import last_words
from vertex_emulator.processes.run import Run
from vertex_emulator.state.documents import Document
from vertex_emulator.tuning.measurements import METRIC_FILE, MetricFile

MAX_RESTARTS = 5
# Exit codes that Vertex AI takes for the machine's failure, not the user's: SIGABRT and SIGSEGV,
# as a shell and as a parent process see them.
MACHINE_FAILURES = {6, 134, 11, 139, -6, -11}
LOST = 1_000_000  # stands for the exit code of a process that ended unseen; no process has it
GRACE_SECONDS = 10.0
# What TensorFlow says where its own gs:// does not come to the emulator: it reaches no server,
# Google refuses the token of `environment`, or it is built without gs://. No other library has
# these words, of curl_http_request.cc and env.cc.
TENSORFLOW_STRAYED = (
    "Error executing an HTTP request: libcurl code",
    "Error executing an HTTP request: HTTP response code 401",
    "File system scheme 'gs' not implemented",
)
TENSORFLOW_ADVICE = (
    "TensorFlow's own gs:// does not come to this emulator here: it wants Linux or macOS, and the"
    " variables https_proxy, no_proxy and CURL_CA_BUNDLE as the job finds them. Otherwise pass a"
    " path such as /gcs/BUCKET/out as an argument and write there, or use google-cloud-storage."
)
KILLED = 9  # SIGKILL, which Windows does not name


@dataclass(frozen=True)
class Task:
    """What one replica of a job runs.

    Attributes:
        name: in the logs, such as `workerpool0-0`.
        argv: its command.
        env: its whole environment.
    """

    name: str
    argv: list[str]
    env: dict[str, str]


class Attempts:
    """A replica and the runs that it has taken so far, of which the newest counts.

    Args:
        task: what runs.
        folder: the job's; each run has a folder of its own in here.
    """

    def __init__(self, task: Task, folder: Path) -> None:
        self.task = task
        self._folder = folder / task.name
        self._work = self._folder / "work"
        self._work.mkdir(parents=True, exist_ok=True)
        self._number = len(list(self._folder.glob("attempt-*")))
        self._restarts = max(0, self._number - 1)
        self._advice = ""
        reported = task.env.get(METRIC_FILE)
        self.metrics = None if reported is None else MetricFile(Path(reported))
        self.run = self._run()

    @property
    def source(self) -> str:
        """Names the newest run among those of all jobs."""
        return "/".join(self.run.folder.parts[-3:])

    def resume(self) -> None:
        """Starts the replica, or takes up the run that an earlier emulator left going."""
        if self._number == 0 or self.run.was_stopped():
            self._start()

    def restart(self) -> None:
        """Starts the replica once more; counts against `MAX_RESTARTS`."""
        self._restarts += 1
        self._start()

    def exit_code(self) -> int | None:
        """Returns the newest run's exit code, None while it goes on, or `LOST`."""
        try:
            return self.run.exit_code()
        except ProcessLookupError:
            return LOST

    def may_restart(self, code: int, scheduling: Document) -> bool:
        """Whether the restart policy allows another run after this exit code."""
        failed_by_machine = code == LOST or code in MACHINE_FAILURES
        max_restarts = 0 if scheduling.get("disableRetries") else MAX_RESTARTS
        return failed_by_machine and self._restarts < max_restarts

    def advice(self, lines: Iterable[str]) -> str:
        """Returns what to do instead of what the replica's new lines show; each once."""
        if self._advice or not any(words in line for line in lines for words in TENSORFLOW_STRAYED):
            return ""
        self._advice = TENSORFLOW_ADVICE
        return self._advice

    def reason(self, code: int) -> str:
        """Says why the job fails with this replica."""
        if code == LOST:
            return f"The replica {self.task.name} was lost with its machine."
        status = f"The replica {self.task.name} {how_it_ended(code)}."
        if self._advice:
            status = f"{status} {self._advice}"
        words = last_words(self.run)
        return f"{status} Termination reason: {words}" if words else status

    def _start(self) -> None:
        self._number += 1
        self.run = self._run()
        self.run.start(self.task.argv, self.task.env, self._work)

    def _run(self) -> Run:
        return Run(self._folder / f"attempt-{self._number}")


def how_it_ended(code: int) -> str:
    """Says what an exit code that is not 0 means; a signal shows as -N, or 128 + N by a shell."""
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exited with a non-zero status of {code}"
    ended = f"was ended by the signal {name} (exit status {code})"
    return f"{ended}, perhaps because the machine ran out of memory" if number == KILLED else ended


def stop(attempts: Sequence[Attempts]) -> None:
    """Ends the processes of replicas, all at once, gently first, and waits for that."""
    for each in attempts:
        each.run.stop(GRACE_SECONDS)
    for each in attempts:
        each.run.wait(GRACE_SECONDS + 5)
