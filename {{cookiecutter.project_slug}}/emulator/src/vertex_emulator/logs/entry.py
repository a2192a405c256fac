"""Lines of output as Cloud Logging's `LogEntry`.

Source: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry and
https://cloud.google.com/logging/docs/structured-logging (the special fields of a JSON line).
"""

import secrets
import time
from typing import Any

import orjson

from vertex_emulator.processes.run import Line
from vertex_emulator.times import now

SEVERITIES = (
    "DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY",
)  # fmt: skip
MAX_NESTED = 100
RANKS = {name: rank * 100 for rank, name in enumerate(SEVERITIES)}


def job_entry(job: str, task: str, line: Line | str, *, severity: str = "INFO") -> dict[str, Any]:
    """Makes the entry for one line of a custom job.

    A line that is a JSON object becomes `jsonPayload`, and its `severity` the entry's. Other lines
    become `textPayload`: INFO from stdout, ERROR from stderr, as Vertex AI sees them.

    Args:
        job: the CustomJob's resource name.
        task: the replica, such as `workerpool0-0`, or `service`.
        line: what the replica printed, or a message of the service itself.
        severity: of a message of the service.
    """
    _projects, project, _locations, location, _custom_jobs, job_id = job.split("/")
    moment, text = now(), line
    if isinstance(line, Line):
        moment, text = line.time, line.text
        severity = "ERROR" if line.stream == "stderr" else "INFO"
    entry: dict[str, Any] = {
        # Readers take entries of one moment in the order of this text.
        "insertId": f"{time.time_ns():016x}{secrets.token_hex(4)}",
        "logName": f"projects/{project}/logs/{task}",
        "resource": {
            "type": "ml_job",
            "labels": {"job_id": job_id, "project_id": project, "task_name": task},
        },
        "labels": {"ml.googleapis.com/endpoint": f"{location}-aiplatform.googleapis.com"},
        "timestamp": moment,
        "receiveTimestamp": now(),
        "severity": severity,
    }
    payload = _json_object(str(text))
    if payload is None:
        return entry | {"textPayload": text}
    given = str(payload.pop("severity", severity)).upper()
    return entry | {"severity": given if given in RANKS else severity, "jsonPayload": payload}


def _json_object(text: str) -> dict[str, Any] | None:
    """Reads a line as the object of a `google.protobuf.Struct`, which nests so deep at the most.

    NaN is no JSON: a line that holds it stays text, as in Cloud Logging.
    """
    if not text.startswith("{"):
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if _nests_at_most(value, MAX_NESTED) else None


def _nests_at_most(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(_nests_at_most(each, levels - 1) for each in value)
