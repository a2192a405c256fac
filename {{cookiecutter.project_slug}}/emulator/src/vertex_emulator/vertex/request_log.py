"""Request-response logging: what an endpoint was asked and what it answered, as JSON lines.

Vertex AI writes rows of a BigQuery table, `request_response_logging` in a dataset
`logging_DISPLAYNAME_ENDPOINT`. There is no BigQuery here: the rows have the same columns and go to
objects `gs://BUCKET/logging_DISPLAYNAME_ENDPOINT/request_response_logging/TIME.jsonl`, in the
bucket of the deployed model, some seconds after the answers.
Source: https://cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging.
"""

import io
import random
import re
import threading
import uuid
from collections import defaultdict, deque
from typing import Any

import orjson

from vertex_emulator.errors import ApiError, invalid_argument
from vertex_emulator.gateway.call import Call
from vertex_emulator.gateway.pool import Pool, Version
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.state.documents import Document
from vertex_emulator.times import now
from vertex_emulator.uris import split_uri

CONFIG = "predictRequestResponseLoggingConfig"
FLUSH_SECONDS = 2.0
MAX_WAITING_BYTES = 64_000_000  # of what is not written yet; more is left out


def check_config(endpoint: Document) -> None:
    """Checks the sampling rate of an endpoint. Raises ApiError 400 INVALID_ARGUMENT."""
    config = endpoint.get(CONFIG, {})
    rate = config.get("samplingRate", 0.0)
    if config.get("enabled") and not 0 < rate <= 1:
        raise invalid_argument(
            f"{CONFIG}.samplingRate: expected a fraction above 0 and up to 1, got {rate}."
        )


def folder_of(endpoint: Document) -> str:
    """Returns the folder of an endpoint's rows, in the bucket of each of its deployed models."""
    name = re.sub(r"\W", "_", endpoint["displayName"], flags=re.ASCII)
    return f"logging_{name}_{endpoint['name'].rpartition('/')[2]}/request_response_logging"


class RequestLogs:
    """Takes answers from the loop's thread, and writes them in one of its own.

    Args:
        objects: Cloud Storage.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._waiting: deque[tuple[str, str, Version, str, bytes, bytes]] = deque()
        self._waiting_bytes = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request-logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Writes what is left, and ends."""
        self._closing.set()
        self._thread.join()

    def switch(self, endpoint: Document, pool: Pool, artifact_uri: str) -> None:
        """Has a pool log its answers, or not, as the endpoint's configuration says."""
        config = endpoint.get(CONFIG, {})
        rate = config.get("samplingRate", 0.0) if config.get("enabled") else 0.0
        if not rate:
            pool.log = None
            return
        folder = folder_of(endpoint)
        bucket = split_uri(artifact_uri)[0]

        def log(call: Call, status: int, body: bytes) -> None:
            size = len(call.body) + len(body)
            if (
                status == 200
                and random.random() < rate  # noqa: S311, no secret
                and self._waiting_bytes + size <= MAX_WAITING_BYTES
            ):
                self._waiting_bytes += size
                self._waiting.append((bucket, folder, pool.version, now(), call.body, body))

        pool.log = log

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines: dict[tuple[str, str], list[bytes]] = defaultdict(list)
        for _ in range(len(self._waiting)):
            bucket, folder, version, moment, asked, answered = self._waiting.popleft()
            lines[bucket, folder].append(_line(version, moment, asked, answered))
        self._waiting_bytes = 0
        for (bucket, folder), rows in lines.items():
            text = io.BytesIO(b"".join(rows))
            try:
                self._objects.write(bucket, f"{folder}/{now()}.jsonl", text, "application/jsonl")
            except ApiError as error:  # the bucket is gone, or the disk is full
                print(f"Request-response logging to gs://{bucket}/{folder}: {error}", flush=True)


def _line(version: Version, moment: str, asked: bytes, answered: bytes) -> bytes:
    row = {
        "endpoint": version.endpoint_id,
        "deployed_model_id": version.deployed_id,
        "logging_time": moment,
        "request_id": str(uuid.uuid4().int >> 64),
        "request_payload": _payload(asked, "instances"),
        "response_payload": _payload(answered, "predictions"),
    }
    return orjson.dumps(row) + b"\n"


def _payload(text: bytes, key: str) -> list[str]:
    """Returns each instance or prediction as JSON; the whole text where there are none."""
    try:
        document: Any = orjson.loads(text)
        return [orjson.dumps(each).decode() for each in document[key]]
    except (ValueError, TypeError, KeyError):
        return [text.decode("utf-8", "replace")]
