"""How busy a job's machines are, as small charts: Cloud Monitoring's series in a line of blocks.

Source: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from cloud import rest
from cloud.client import Client

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 40
METRICS = {
    "CPU": "ml.googleapis.com/training/cpu/utilization",
    "memory": "ml.googleapis.com/training/memory/utilization",
}
# A sample may be dated a little outside the job's times.
MARGIN = timedelta(minutes=5)


def of_job(client: Client, job: Any) -> dict[str, str]:
    """Returns a chart by its title, such as `CPU workerpool0-0`, for each replica of a job.

    Raises:
        UserError: Cloud Monitoring refuses.
    """
    charts = {}
    number = job.name.rpartition("/")[2]
    for title, metric in METRICS.items():
        condition = f'metric.type="{metric}" AND resource.labels.job_id="{number}"'
        for series in time_series(client, condition, job.create_time, job.end_time):
            # The newest point comes first.
            values = [point["value"]["doubleValue"] for point in reversed(series["points"])]
            task = series["resource"]["labels"].get("task_name", "")
            mean = sum(values) / len(values)
            latest = f"mean {mean:.0%}" if job.end_time else f"now {values[-1]:.0%}"
            charts[f"{title} {task}".strip()] = (
                f"{sparkline(values)} {latest}, at most {max(values):.0%}"
            )
    return charts


def time_series(
    client: Client, condition: str, start: datetime, end: datetime | None
) -> list[dict[str, Any]]:
    """Returns the series of a filter, all pages, each with at least one point.

    Raises:
        UserError: Cloud Monitoring refuses.
    """
    query = {
        "filter": condition,
        "interval.startTime": (start - MARGIN).isoformat(),
        "interval.endTime": ((end or datetime.now(UTC)) + MARGIN).isoformat(),
    }
    path = f"v3/projects/{client.config.project}/timeSeries"
    found: dict[str, dict[str, Any]] = {}
    while True:
        body = rest.call(client, "GET", "monitoring", path, query=query)
        for series in body.get("timeSeries", []):
            # A series may go on on the next page.
            identity = str((series["metric"], series["resource"]))
            found.setdefault(identity, series | {"points": []})["points"] += series["points"]
        if not body.get("nextPageToken"):
            return [series for series in found.values() if series["points"]]
        query["pageToken"] = body["nextPageToken"]


def sparkline(values: list[float]) -> str:
    """Draws values between 0 and 1 as blocks; of many, each block is the mean of its share."""
    size = max(1, -(-len(values) // WIDTH))
    means = [
        sum(values[start : start + size]) / len(values[start : start + size])
        for start in range(0, len(values), size)
    ]
    top = len(BLOCKS) - 1
    return "".join(BLOCKS[min(top, max(0, round(mean * top)))] for mean in means)
