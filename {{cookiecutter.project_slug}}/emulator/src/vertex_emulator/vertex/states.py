"""The states that custom jobs and batch prediction jobs walk through.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState.
"""

from collections.abc import Collection

from vertex_emulator.errors import failed_precondition, missing
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now

STATES = (
    "JOB_STATE_UNSPECIFIED", "JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING",
    "JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED",
    "JOB_STATE_PAUSED", "JOB_STATE_EXPIRED", "JOB_STATE_UPDATING", "JOB_STATE_PARTIALLY_SUCCEEDED",
)  # fmt: skip
RANKS = {name: rank for rank, name in enumerate(STATES)}
ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}


def to_pending(job: Document) -> None:
    """Moves a queued job on; one that an earlier emulator moved further stays there."""
    if job["state"] == "JOB_STATE_QUEUED":
        job.update(state="JOB_STATE_PENDING", updateTime=now())


def to_running(job: Document) -> None:
    """Moves a pending job on, and notes its start; others stay."""
    if job["state"] == "JOB_STATE_PENDING":
        moment = now()
        job.update(state="JOB_STATE_RUNNING", startTime=moment, updateTime=moment)


def cancel(documents: Documents, kind: str, name: str) -> None:
    """Asks for the end of a job: at once where it is queued; one that has ended stays as it is.

    Raises:
        ApiError: 404 NOT_FOUND.
    """

    def change(job: Document) -> None:
        moment = now()
        if job["state"] == "JOB_STATE_QUEUED":
            job.update(state="JOB_STATE_CANCELLED", updateTime=moment, endTime=moment)
        elif job["state"] not in ENDED:
            job.update(state="JOB_STATE_CANCELLING", updateTime=moment)

    if documents.update(name, change) is None:
        raise missing(kind, name)


def check_ended(kind: str, job: Document, ended: Collection[str] = ENDED) -> None:
    """Refuses to delete what goes on.

    Args:
        kind: of the resource, as a message names it.
        job: the job, or another resource that has states.
        ended: the states from which it does not move.

    Raises:
        ApiError: 400 FAILED_PRECONDITION.
    """
    if job["state"] not in ended:
        raise failed_precondition(
            f"The {kind} {job['name']} is in state {job['state']}; cancel it before deleting it."
        )
