"""The states that training pipelines walk through.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/PipelineState.
"""

from google.rpc import code_pb2

from vertex_emulator.state.documents import Document
from vertex_emulator.times import now

STATES = (
    "PIPELINE_STATE_UNSPECIFIED", "PIPELINE_STATE_QUEUED", "PIPELINE_STATE_PENDING",
    "PIPELINE_STATE_RUNNING", "PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED",
    "PIPELINE_STATE_CANCELLING", "PIPELINE_STATE_CANCELLED", "PIPELINE_STATE_PAUSED",
)  # fmt: skip
RANKS = {name: rank for rank, name in enumerate(STATES)}
ENDED = {"PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED", "PIPELINE_STATE_CANCELLED"}
# Google's reference: `error` is there of a cancelled pipeline too.
CANCELLED = {"code": code_pb2.CANCELLED, "message": "CANCELED"}


def to_running(pipeline: Document) -> None:
    moment = now()
    pipeline.update(state="PIPELINE_STATE_RUNNING", startTime=moment, updateTime=moment)


def to_cancelling(pipeline: Document) -> None:
    pipeline.update(state="PIPELINE_STATE_CANCELLING", updateTime=now())


def to_succeeded(pipeline: Document) -> None:
    _end(pipeline, "PIPELINE_STATE_SUCCEEDED")


def to_failed(pipeline: Document, error: Document) -> None:
    _end(pipeline, "PIPELINE_STATE_FAILED", error)


def to_cancelled(pipeline: Document, error: Document | None = None) -> None:
    _end(pipeline, "PIPELINE_STATE_CANCELLED", error or CANCELLED)


def _end(pipeline: Document, state: str, error: Document | None = None) -> None:
    moment = now()
    pipeline.update(state=state, endTime=moment, updateTime=moment)
    if error is not None:
        pipeline["error"] = error
