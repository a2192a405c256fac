"""Time series of the metrics that are sampled here, kept for a bounded time.

Names, kinds, types and labels of the metrics:
https://docs.cloud.google.com/monitoring/api/metrics_gcp_a_b#gcp-aiplatform (`prediction/online/…`)
and https://docs.cloud.google.com/monitoring/api/metrics_gcp_i_o#gcp-ml (`training/…`, which Vertex
AI's custom jobs write: https://docs.cloud.google.com/vertex-ai/docs/general/monitoring-metrics).
Labels of the resources: https://docs.cloud.google.com/monitoring/api/resources.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from vertex_emulator.state.database import Database

TRAINING_CPU = "ml.googleapis.com/training/cpu/utilization"
TRAINING_MEMORY = "ml.googleapis.com/training/memory/utilization"
_ONLINE = "aiplatform.googleapis.com/prediction/online/"
SERVING_CPU = _ONLINE + "cpu/utilization"
SERVING_MEMORY = _ONLINE + "memory/bytes_used"
REPLICAS = _ONLINE + "replicas"
TARGET_REPLICAS = _ONLINE + "target_replicas"
PREDICTIONS = _ONLINE + "prediction_count"
ERRORS = _ONLINE + "error_count"
RESPONSES = _ONLINE + "response_count"
LATENCIES = _ONLINE + "prediction_latencies"
# Of the emulator alone, for its console: Google's list of metrics has none for it.
BATCH_ROWS = "vertex-emulator/prediction/online/batch_rows"
# Kind and type. TRAINING_*: a fraction, 0 to 1, of all processors or all memory of the machine.
# SERVING_CPU: a fraction of one processor, so more than 1 on several. SERVING_MEMORY: bytes.
# LATENCIES: milliseconds.
METRICS = {
    TRAINING_CPU: ("GAUGE", "DOUBLE"),
    TRAINING_MEMORY: ("GAUGE", "DOUBLE"),
    SERVING_CPU: ("GAUGE", "DOUBLE"),
    SERVING_MEMORY: ("GAUGE", "INT64"),
    REPLICAS: ("GAUGE", "INT64"),
    TARGET_REPLICAS: ("GAUGE", "INT64"),
    PREDICTIONS: ("DELTA", "INT64"),
    ERRORS: ("DELTA", "INT64"),
    RESPONSES: ("DELTA", "INT64"),
    LATENCIES: ("DELTA", "DISTRIBUTION"),
}
HISTORY_MICROSECONDS = 24 * 3600 * 1_000_000

SCHEMA = """
CREATE TABLE IF NOT EXISTS point (
    project TEXT NOT NULL,
    metric TEXT NOT NULL,
    series TEXT NOT NULL,
    moment INTEGER NOT NULL,
    start INTEGER NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS point_by_metric ON point (project, metric, moment);
CREATE INDEX IF NOT EXISTS point_by_moment ON point (moment);
CREATE INDEX IF NOT EXISTS point_by_series ON point (series, moment);
"""


@dataclass(frozen=True)
class Sample:
    """One point of one series.

    Attributes:
        project: that the series belongs to.
        metric: type of the metric, one of `METRICS`, or `BATCH_ROWS`: rows in a call of the model.
        series: JSON `{"metric": {"type", "labels"}, "resource": {"type", "labels"}}`.
        moment: microseconds since the epoch.
        value: in the unit of the metric; a `google.api.Distribution` where that is its type.
        start: where the interval of a delta begins, in microseconds; 0 for a gauge.
    """

    project: str
    metric: str
    series: str
    moment: int
    value: float | dict[str, Any]
    start: int = 0


def series_of(
    metric: str, labels: dict[str, str], resource: str, resource_labels: dict[str, str]
) -> str:
    """Returns what tells a series from others, as `Sample.series` has it."""
    document: dict[str, Any] = {
        "metric": {"type": metric, "labels": labels},
        "resource": {"type": resource, "labels": resource_labels},
    }
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()


class Series:
    """The samples of the last day."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._database.connection().executescript(SCHEMA)

    def add(self, samples: Iterable[Sample], moment: int) -> None:
        """Stores samples, and forgets what is a day older than `moment`."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM point WHERE moment < ?", (moment - HISTORY_MICROSECONDS,)
            )
            connection.executemany(
                "INSERT INTO point VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(each.project, each.metric, each.series, each.moment, each.start),
                        orjson.dumps(each.value).decode(),
                    )
                    for each in samples
                ],
            )

    def find(self, project: str, metric: str, start: int, end: int) -> list[Sample]:
        """Returns the samples of a metric with start <= moment <= end: by series, newest first."""
        rows = self._database.connection().execute(
            "SELECT * FROM point WHERE project = ? AND metric = ? AND moment BETWEEN ? AND ?"
            " ORDER BY series, moment DESC",
            (project, metric, start, end),
        )
        return [
            Sample(
                row["project"],
                row["metric"],
                row["series"],
                row["moment"],
                orjson.loads(row["value"]),
                row["start"],
            )
            for row in rows.fetchall()
        ]

    def of(self, series: str, start: int, end: int, most: int) -> list[tuple[int, float]]:
        """Returns a gauge's moments and values, oldest first: of equal intervals the mean.

        Args:
            series: as `series_of` returns it.
            start: microseconds since the epoch.
            end: of the last interval.
            most: intervals that the time is cut into.
        """
        width = max(1, (end - start) // most)
        rows = self._database.connection().execute(
            "SELECT max(moment) AS moment, avg(value) AS value FROM point"
            " WHERE series = ? AND moment BETWEEN ? AND ?"
            " GROUP BY (moment - ?) / ? ORDER BY moment",
            (series, start, end, start, width),
        )
        return [(row["moment"], row["value"]) for row in rows.fetchall()]
