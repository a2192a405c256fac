"""What trials report, and the measurements that come of it.

A trial reports as the package `cloudml-hypertune` does: the file that CLOUD_ML_HP_METRIC_FILE
names holds a JSON object a line, with `timestamp` (seconds since the epoch), `trial`,
`global_step`, `checkpoint_path` and the metric under its own name. The package writes numbers as
text, and the whole file anew with each report, of which it keeps the last hundred.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

METRIC_FILE = "CLOUD_ML_HP_METRIC_FILE"
NOT_A_METRIC = ("timestamp", "trial", "global_step", "checkpoint_path")
LONGEST = 200  # characters of a line in a message
MAX_STEP = 2**63

Document = dict[str, Any]


class Report(NamedTuple):
    """One value of one metric.

    Attributes:
        timestamp: seconds since the epoch.
        step: that the training had come to.
        metric: its id.
        value: finite.
    """

    timestamp: float
    step: int
    metric: str
    value: float


class MetricFile:
    """The file that one process reports to, read as it grows or is written anew.

    Args:
        path: of the file, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._said: set[bytes] = set()

    def read(self, *, is_whole: bool) -> tuple[list[Report], list[str]]:
        """Returns what the file reports, and a sentence on each new line that is broken.

        Nothing is returned where the file is as it was. Reports may come again.

        Args:
            is_whole: whether nobody writes any more: then the last line counts without an end too.
        """
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen == self._seen and not is_whole:
                return [], []
            content = self._path.read_bytes()
        except OSError:
            return [], []
        self._seen = seen
        reports: list[Report] = []
        problems = []
        lines = content.split(b"\n") if is_whole else content.split(b"\n")[:-1]
        for line in filter(bytes.strip, lines):
            try:
                reports += _reports(line)
            except ValueError as error:
                if line not in self._said:
                    self._said.add(line)
                    shown = line[:LONGEST].decode(errors="replace")
                    problems.append(
                        f"A line of the file that ${METRIC_FILE} names is no report of a metric:"
                        f" {error}; got {shown!r}."
                    )
        return reports, problems


def _reports(line: bytes) -> Iterator[Report]:
    """Yields what a line reports. Raises ValueError for a line that is no report."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError("expected a JSON object") from error
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object")
    timestamp = _number(found, "timestamp")
    step = _number(found, "global_step") if "global_step" in found else 0.0
    if not 0 <= step < MAX_STEP or step != int(step):
        raise ValueError("expected a global_step that is a whole number, and not below 0")
    metrics = [name for name in found if name not in NOT_A_METRIC]
    if not metrics:
        raise ValueError("expected a metric under its name")
    for name in metrics:
        yield Report(timestamp, int(step), name, _number(found, name))


def _number(found: Document, name: str) -> float:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected a number as {name}")
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"expected a number as {name}") from None
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number as {name}")
    return number


def measurements(reports: Iterable[Report], metrics: Sequence[str], start: str) -> list[Document]:
    """Returns `Measurement`s in the order of their steps, and within a step of their times.

    Reports of other metrics at one step are one measurement.

    Args:
        reports: of a trial.
        metrics: ids of the study's.
        start: moment in RFC 3339 from which the elapsed time counts.
    """
    begin = datetime.fromisoformat(start).timestamp()
    found: dict[tuple[int, float], dict[str, float]] = {}
    newest: dict[int, tuple[int, float]] = {}  # by step, the measurement that may still grow
    for report in sorted(reports):
        if report.metric not in metrics:
            continue
        key = (report.step, round(max(0.0, report.timestamp - begin), 6))
        values = {}
        last = newest.get(report.step)
        if last is not None and (report.metric not in found[last] or last == key):
            values = found.pop(last)
        found[key] = {**values, report.metric: report.value}
        newest[report.step] = key
    return [_measurement(key, values) for key, values in sorted(found.items())]


def _measurement(key: tuple[int, float], values: dict[str, float]) -> Document:
    step, elapsed = key
    metrics = [{"metricId": name, "value": value} for name, value in values.items()]
    return {
        "elapsedDuration": f"{elapsed:.6f}".rstrip("0").rstrip(".") + "s",
        "stepCount": str(step),
        "metrics": metrics,
    }


def value_of(measurement: Document, metric: str) -> float | None:
    """Returns a metric's value in a measurement, or None."""
    for each in measurement.get("metrics", []):
        if each["metricId"] == metric:
            return float(each["value"])
    return None


def final(found: Sequence[Document], spec: Document) -> Document | None:
    """Returns the measurement that a finished trial counts with; None where none has all metrics.

    Args:
        found: the trial's measurements, in order.
        spec: the `StudySpec`.
    """
    ids = [each["metricId"] for each in spec["metrics"]]
    whole = [each for each in found if all(value_of(each, name) is not None for name in ids)]
    if not whole:
        return None
    if spec.get("measurementSelectionType") != "BEST_MEASUREMENT":
        return whole[-1]
    sign = sign_of(spec["metrics"][0])
    return max(whole, key=lambda each: sign * (value_of(each, ids[0]) or 0.0))


def sign_of(metric: Document) -> int:
    """Returns 1 for a metric that is to be great, -1 for one that is to be small."""
    return -1 if metric.get("goal") == "MINIMIZE" else 1
