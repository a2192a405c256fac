"""Lines of output as Cloud Logging's `LogEntry`.

Source: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry and
https://cloud.google.com/logging/docs/structured-logging (the special fields of a JSON line).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from vertex_emulator.processes.run import Line
from vertex_emulator.times import now, text_of

SEVERITIES = (
    "DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY",
)  # fmt: skip
RANKS = {name: rank * 100 for rank, name in enumerate(SEVERITIES)}
# What Google's logging agent makes of the words of other loggers.
SYNONYMS = {
    "D": "DEBUG", "TRACE": "DEBUG", "TRACE_INT": "DEBUG", "CONFIG": "DEBUG", "FINE": "DEBUG",
    "FINER": "DEBUG", "FINEST": "DEBUG", "I": "INFO", "N": "NOTICE", "W": "WARNING",
    "WARN": "WARNING", "E": "ERROR", "ERR": "ERROR", "SEVERE": "ERROR", "C": "CRITICAL",
    "F": "CRITICAL", "CRIT": "CRITICAL", "FATAL": "CRITICAL", "A": "ALERT", "EMERG": "EMERGENCY",
}  # fmt: skip
# Fields of a JSON line that become fields of the entry, and what they must be.
SPECIAL: dict[str, tuple[str, type]] = {
    "httpRequest": ("httpRequest", dict),
    "logging.googleapis.com/operation": ("operation", dict),
    "logging.googleapis.com/sourceLocation": ("sourceLocation", dict),
    "logging.googleapis.com/spanId": ("spanId", str),
    "logging.googleapis.com/trace": ("trace", str),
    "logging.googleapis.com/trace_sampled": ("traceSampled", bool),
}
LABELS = "logging.googleapis.com/labels"
MAX_NESTED = 100
# Cloud Logging takes entries whose time lies between these, seen from the present.
OLDEST, NEWEST = timedelta(days=-30), timedelta(days=1)
TRIAL_LABEL = "ml.googleapis.com/trial_id"

Entry = dict[str, Any]


def log_id(job: Entry) -> str:
    """Returns the id that a job's entries are found by; those of a trial by its tuning's."""
    name: str = job.get("trial", {}).get("tuningJob", job["name"])
    return name.rpartition("/")[2]


def common_fields(job: Entry, task: str) -> Entry:
    """The fields that all entries of a replica have.

    Args:
        job: the CustomJob, or the HyperparameterTuningJob.
        task: the replica, such as `workerpool0-0`, or `service`.
    """
    _projects, project, _locations, location, *_ = job["name"].split("/")
    labels = {"ml.googleapis.com/endpoint": f"{location}-aiplatform.googleapis.com"}
    if "trial" in job:
        labels[TRIAL_LABEL] = job["trial"]["id"]
    return {
        "logName": f"projects/{project}/logs/{task}",
        "resource": {
            "type": "ml_job",
            "labels": {"job_id": log_id(job), "project_id": project, "task_name": task},
        },
        "labels": labels,
    }


def message_entry(message: str, severity: str) -> Entry:
    """The other fields of a message of the service itself."""
    return {"timestamp": now(), "severity": severity, "textPayload": message}


def line_entry(line: Line, common: Entry) -> Entry:
    """The other fields of the entry for a line that a replica printed.

    A line that is a JSON object becomes `jsonPayload`, and its special fields the entry's. Other
    lines become `textPayload`: INFO from stdout, ERROR from stderr, as Vertex AI sees them.

    Args:
        line: what was printed.
        common: the fields of all entries of the replica.
    """
    entry: Entry = {
        "timestamp": line.time,
        "severity": "ERROR" if line.stream == "stderr" else "INFO",
    }
    if line.split is not None:
        uid, index = line.split
        return entry | {"textPayload": line.text, "split": {"uid": uid, "index": index}}
    payload = _json_object(line.text)
    if payload is None:
        return entry | {"textPayload": line.text}
    if "severity" in payload:
        entry["severity"] = _severity(payload.pop("severity"))
    moment = _take_time(payload)
    if moment is not None:
        entry |= {"timestamp": moment, "receiveTimestamp": line.time}
    for given, (name, kind) in SPECIAL.items():
        if isinstance(payload.get(given), kind):
            entry[name] = payload.pop(given)
    labels = payload.get(LABELS)
    if isinstance(labels, dict) and all(isinstance(each, str) for each in labels.values()):
        entry["labels"] = common["labels"] | payload.pop(LABELS)
    return entry | {"jsonPayload": payload}


def _severity(given: object) -> str:
    """Reads a severity as Google's logging agent does: a name, another logger's, or a number."""
    word = str(given).strip().upper()
    if word.isascii() and word.isdigit():
        return SEVERITIES[min(int(word[:9]) // 100, len(SEVERITIES) - 1)]
    return word if word in RANKS else SYNONYMS.get(word, "DEFAULT")


def _take_time(payload: Entry) -> str | None:
    """Takes the moment that a JSON line names out of it.

    Returns:
        The moment as `times.now` writes it; None, with the fields left where they are, where the
        line names none that Cloud Logging would take.
    """
    whole, part = payload.get("timestampSeconds"), payload.get("timestampNanos", 0)
    stamp = payload.get("timestamp")
    if isinstance(stamp, dict):
        whole, part = stamp.get("seconds"), stamp.get("nanos", 0)
    try:
        if whole is not None:
            seconds, nanos = float(whole), float(part)
            moment = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=nanos // 1000)
            taken = ("timestamp",) if isinstance(stamp, dict) else ()
            names = taken or ("timestampSeconds", "timestampNanos")
        else:
            moment, names = datetime.fromisoformat(payload["time"]), ("time",)
        if moment.tzinfo is None or not OLDEST <= moment - datetime.now(UTC) <= NEWEST:
            return None
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    for name in names:
        payload.pop(name, None)
    return text_of(moment.astimezone(UTC))


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
