"""Cloud Monitoring through Google's API client; its gRPC-only client has no way to loopback.

Every answer is checked against Google's discovery document.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from custom_jobs import create, spec, wait
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery
from googleapiclient.errors import HttpError
from model_server_process import eventually
from times_model import deploy, predict, undeploy, upload_export

from vertex_emulator.gateway.meter import Latencies
from vertex_emulator.monitoring.series import (
    ERRORS,
    HISTORY_MICROSECONDS,
    LATENCIES,
    PREDICTIONS,
    REPLICAS,
    RESPONSES,
    SERVING_CPU,
    SERVING_MEMORY,
    TARGET_REPLICAS,
    TRAINING_CPU,
    TRAINING_MEMORY,
    Sample,
    Series,
    series_of,
)
from vertex_emulator.state.database import Database
from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.discovery import validator


@pytest.fixture(scope="module")
def monitoring(clients: Clients) -> Iterator[Any]:
    """Google's own client of Cloud Monitoring, without an account."""
    with discovery.build(
        "monitoring",
        "v3",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": clients.url},
        static_discovery=True,
    ) as service:
        yield service.projects().timeSeries()


def moment(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


def series(monitoring: Any, condition: str, **fields: Any) -> list[dict[str, Any]]:
    answer = monitoring.list(
        name="projects/test-project",
        filter=condition,
        interval_startTime=moment(hours=1),
        interval_endTime=moment(),
        **{"view": "FULL", **fields},
    ).execute()
    validator("monitoring.v3").check("ListTimeSeriesResponse", answer)
    found: list[dict[str, Any]] = answer.get("timeSeries", [])
    return found


def value(point: dict[str, Any]) -> float:
    [number] = point["value"].values()
    return float(number)


def awaited(monitoring: Any, condition: str, above: float = 0.0) -> dict[str, Any]:
    """The one series of a filter, once its two newest points are above a value.

    A sample may fall into the moment before the process has come so far.
    """
    while True:
        found = series(monitoring, condition)
        newest = found[0]["points"][:2] if found else []
        if len(newest) == 2 and all(value(point) > above for point in newest):
            [only] = found
            return only
        time.sleep(0.5)


def test_a_running_job_shows_how_busy_it_is(clients: Clients, monitoring: Any) -> None:
    # The child works; the emulator must see the whole tree. The block is 300 MB.
    code = (
        "import subprocess, sys\n"
        "block = b'x' * 300_000_000\n"
        "subprocess.run([sys.executable, '-c', 'while True: pass'])\n"
    )
    name = create(clients, spec(code))
    job = f'resource.type="cloudml_job" AND resource.labels.job_id="{name.rpartition("/")[2]}"'
    share = 300_000_000 / psutil.virtual_memory().total
    try:
        cpu = awaited(monitoring, f'metric.type="{TRAINING_CPU}" AND {job}', above=0.01)
        memory = awaited(monitoring, f'metric.type = "{TRAINING_MEMORY}" AND {job}', above=share)
    finally:
        clients.jobs.cancel_custom_job(name=name)
    assert cpu["resource"]["labels"] == {
        "project_id": "test-project",
        "region": "us-central1",
        "job_id": name.rpartition("/")[2],
        "task_name": "workerpool0-0",
    }
    assert (cpu["metricKind"], cpu["valueType"]) == ("GAUGE", "DOUBLE")
    for point in cpu["points"]:
        assert 0 <= value(point) <= 1
        assert point["interval"]["startTime"] == point["interval"]["endTime"]
    for point in memory["points"]:
        assert value(point) < 10 * share
    times = [point["interval"]["endTime"] for point in cpu["points"]]
    assert times == sorted(times, reverse=True)
    wait(clients, name)


def test_a_deployed_model_shows_how_busy_it_is(
    clients: Clients,
    monitoring: Any,
    exports: Path,
) -> None:
    clients.storage.create_bucket("monitored-bucket", location="us-central1")
    model = upload_export(clients, exports / "2", "gs://monitored-bucket/2").model
    endpoint = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "monitored"}
    ).result(timeout=60)
    deployed = deploy(clients, endpoint.name, model, {"0": 100})
    number = endpoint.name.rpartition("/")[2]
    condition = (
        f'resource.label.endpoint_id="{number}" AND metric.labels.deployed_model_id="{deployed}"'
    )
    memory = awaited(
        monitoring, f'metric.type="{SERVING_MEMORY}" AND {condition}', above=50_000_000
    )
    [cpu] = series(monitoring, f'metric.type="{SERVING_CPU}" AND {condition}')
    assert memory["valueType"] == "INT64"
    assert cpu["valueType"] == "DOUBLE"
    assert any(value(point) > 0 for point in cpu["points"])  # it has just loaded its model
    assert cpu["resource"] == {
        "type": "aiplatform.googleapis.com/Endpoint",
        "labels": {
            "resource_container": "test-project",
            "location": "us-central1",
            "endpoint_id": number,
        },
    }
    [header] = series(monitoring, f'metric.type="{SERVING_CPU}" AND {condition}', view="HEADERS")
    assert "points" not in header
    assert header["metric"] == cpu["metric"]

    first = monitoring.list(
        name="projects/test-project",
        filter=f'metric.type="{SERVING_MEMORY}" AND {condition}',
        interval_startTime=moment(hours=1),
        interval_endTime=memory["points"][0]["interval"]["endTime"],
        pageSize=1,
    )
    points = []
    while first is not None:
        answer = first.execute()
        [each] = answer["timeSeries"]
        assert len(each["points"]) == 1
        points += each["points"]
        first = monitoring.list_next(first, answer)
    assert points == memory["points"]
    clients.endpoints.undeploy_model(endpoint=endpoint.name, deployed_model_id=deployed).result(
        timeout=60
    )


def test_predictions_are_counted_and_timed(
    clients: Clients, monitoring: Any, exports: Path
) -> None:
    clients.storage.create_bucket("counted-bucket", location="us-central1")
    model = upload_export(clients, exports / "2", "gs://counted-bucket/2").model
    endpoint = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "counted"}
    ).result(timeout=60)
    deployed = deploy(clients, endpoint.name, model, {"0": 100})
    for document in ({"instances": [{"x": 1.0}]}, {"instances": [{"z": 1.0}]}):
        for _ in range(3):
            predict(clients, endpoint.name, document)
    condition = f'metric.labels.deployed_model_id="{deployed}"'

    def total(metric: str, extra: str = "") -> int:
        found = series(monitoring, f'metric.type="{metric}" AND {condition}{extra}')
        points = [point for each in found for point in each["points"]]
        assert all(each["metricKind"] == "DELTA" for each in found)
        return sum(
            int(point["value"].get("distributionValue", {}).get("count", 0))
            or int(point["value"].get("int64Value", 0))
            for point in points
        )

    eventually(lambda: total(PREDICTIONS) == 6)
    assert total(ERRORS) == 3
    assert total(RESPONSES, ' AND metric.labels.response_code="2xx"') == 3
    assert total(RESPONSES, ' AND metric.labels.response_code="4xx"') == 3
    for kind in ("total", "model", "overhead"):
        assert total(LATENCIES, f' AND metric.labels.latency_type="{kind}"') == 6
    for metric in (REPLICAS, TARGET_REPLICAS):
        [gauge] = series(monitoring, f'metric.type="{metric}" AND {condition}')
        assert (gauge["metricKind"], gauge["points"][0]["value"]) == ("GAUGE", {"int64Value": "1"})
    undeploy(clients, endpoint.name, deployed)


def test_a_distribution_says_where_its_values_lie() -> None:
    latencies = Latencies()
    for milliseconds in (0.05, 0.1, 1.0, 1.0, 1e9):
        latencies.add(milliseconds)
    found = latencies.distribution()
    layout = found["bucketOptions"]["exponentialBuckets"]
    counts = list(map(int, found["bucketCounts"]))
    assert (counts[0], counts[1], counts[-1], sum(counts)) == (1, 1, 1, 5)
    assert len(counts) == layout["numFiniteBuckets"] + 2
    place = counts.index(2)
    low = layout["scale"] * layout["growthFactor"] ** (place - 1)
    assert low <= 1.0 < low * layout["growthFactor"]
    assert found["mean"] == pytest.approx((2.15 + 1e9) / 5)


@pytest.mark.parametrize(
    ("change", "status", "part"),
    [
        ({"filter": "resource.type=cloudml_job"}, "INVALID_ARGUMENT", "expected one metric type"),
        ({"filter": ""}, "INVALID_ARGUMENT", "expected one metric type"),
        ({"filter": 'metric.type="compute.googleapis.com/x"'}, "UNIMPLEMENTED", "has the metrics"),
        ({"interval.endTime": ""}, "INVALID_ARGUMENT", "interval.endTime: expected a moment"),
        ({"interval.startTime": "2026-01-01"}, "INVALID_ARGUMENT", "interval.startTime"),
        ({"interval.startTime": "2999-01-01T00:00:00Z"}, "INVALID_ARGUMENT", "no later than"),
        ({"view": "HALF"}, "INVALID_ARGUMENT", "view: expected FULL or HEADERS"),
        ({"pageSize": "-1"}, "INVALID_ARGUMENT", "pageSize"),
        ({"pageToken": "!"}, "INVALID_ARGUMENT", "pageToken"),
        ({"aggregation.perSeriesAligner": "ALIGN_MEAN"}, "UNIMPLEMENTED", "neither aggregates"),
        ({"colour": "red"}, "INVALID_ARGUMENT", "has no such parameter"),
        ({"orderBy": "value"}, "UNIMPLEMENTED", "orderBy: the emulator"),
    ],
)
def test_a_bad_request_is_refused(
    clients: Clients, change: dict[str, str], status: str, part: str
) -> None:
    query = {
        "filter": f'metric.type="{TRAINING_CPU}"',
        "interval.startTime": moment(hours=1),
        "interval.endTime": moment(),
    }
    url = f"{clients.url}/v3/projects/test-project/timeSeries"
    assert requests.get(url, params=query, timeout=60).status_code == 200
    error = requests.get(url, params=query | change, timeout=60).json()["error"]
    assert error["status"] == status
    assert part in error["message"]


def test_googles_client_sees_the_error(monitoring: Any) -> None:
    with pytest.raises(HttpError, match="expected one metric type"):
        series(monitoring, "resource.type=cloudml_job")


def test_another_project_sees_nothing(clients: Clients) -> None:
    answer = requests.get(
        f"{clients.url}/v3/projects/other/timeSeries",
        params={"filter": f'metric.type="{TRAINING_CPU}"', "interval.endTime": moment()},
        timeout=60,
    )
    assert answer.json() == {"timeSeries": []}


def test_history_is_bounded(tmp_path: Path) -> None:
    database = Database(tmp_path / "series.sqlite")
    kept = Series(database)
    text = series_of(TRAINING_CPU, {}, "cloudml_job", {})
    now = 10 * HISTORY_MICROSECONDS
    for when in (now - HISTORY_MICROSECONDS - 1, now - HISTORY_MICROSECONDS, now):
        kept.add([Sample("p", TRAINING_CPU, text, when, 0.5)], when)
    found = [each.moment for each in kept.find("p", TRAINING_CPU, 0, now)]
    assert found == [now, now - HISTORY_MICROSECONDS]
    database.close()
