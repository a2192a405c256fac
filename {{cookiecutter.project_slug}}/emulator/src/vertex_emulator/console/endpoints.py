"""Endpoints: traffic, replicas, latencies; moving traffic."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console import application, commands, deployment, logged_requests
from vertex_emulator.console.charts import Chart, Points
from vertex_emulator.console.console import Console
from vertex_emulator.console.listing import listed
from vertex_emulator.console.rendering import json_response, path_of, render
from vertex_emulator.errors import invalid_argument
from vertex_emulator.monitoring.series import (
    BATCH_ROWS,
    ERRORS,
    LATENCIES,
    PREDICTIONS,
    REPLICAS,
    SERVING_CPU,
    TARGET_REPLICAS,
    Sample,
)
from vertex_emulator.state.documents import Document

WINDOW = 30 * 60 * 1_000_000  # of the charts, in microseconds
MINUTE, MOMENT = 60_000_000, 12_000_000  # microseconds; the last two samples are in a moment
SHARE = "share."  # begins the names of the form's fields
# What lines of one version show, in the order of their dashes.
SIDES = {"there": REPLICAS, "wanted": TARGET_REPLICAS}
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def show_list(console: Console, request: Request) -> Response:
    """The endpoints."""
    location = request.path_params["location"]
    found = listed(request, "endpoints", partial(console.endpoints.list_page, location))
    return render(console, request, "endpoints.html", status=found.status, found=found, bar=bar)


def show(console: Console, request: Request) -> Response:
    """One endpoint."""
    endpoint = console.endpoints.get(_name(request))
    split = endpoint.get("trafficSplit", {})
    deployed = endpoint.get("deployedModels", [])
    shares = {each["id"]: split.get(each["id"], 0) for each in deployed}
    going_on, failed = deployment.going_on(console, endpoint)
    logged = round(100 * logged_requests.rate(endpoint))
    return render(
        console,
        request,
        "endpoint.html",
        endpoint=endpoint,
        application=application.path(console, endpoint),
        deployed=deployed,
        shares=shares,
        going_on=going_on,
        failed=failed,
        bar=bar(endpoint),
        charts=list(_charts(console, endpoint)),
        command=commands.move_traffic(endpoint["name"], shares),
        now=_now(console, endpoint),
        answering=_answering(console, endpoint),
        logged=logged,
        requests=logged_requests.last(console, endpoint, _labels(endpoint)),
        log_command=commands.log_requests(
            console.url, endpoint["name"], logged_requests.config(0 if logged else 100)
        ),
    )


def charts(console: Console, request: Request) -> Response:
    """Replicas, requests, errors and latencies of the last half an hour."""
    endpoint = console.endpoints.get(_name(request))
    return json_response([chart.document() for chart in _charts(console, endpoint)])


def split(console: Console, name: str, form: Mapping[str, str]) -> str:
    """Moves an endpoint's traffic."""
    shares = {}
    for key, text in form.items():
        if key.startswith(SHARE):
            if not text.strip().isdecimal():
                raise invalid_argument(f"{key}: expected a whole percentage, got {text!r}.")
            shares[key.removeprefix(SHARE)] = int(text)
    console.endpoints.patch(name, "trafficSplit", {"trafficSplit": shares})
    return path_of(name)


def bar(endpoint: Document) -> list[dict[str, Any]]:
    """Returns the parts of the traffic bar: share, where it begins, and whose it is."""
    return _parts(endpoint, endpoint.get("trafficSplit", {}))


def _parts(endpoint: Document, shares: Mapping[str, float]) -> list[dict[str, Any]]:
    parts, begin = [], 0.0
    for index, (deployed, label) in enumerate(_labels(endpoint).items()):
        share = shares.get(deployed, 0)
        parts.append({"begin": begin, "share": share, "label": label, "index": index % 6})
        begin += share
    return parts


def _now(console: Console, endpoint: Document) -> dict[str, dict[str, float]]:
    """Returns the newest of each deployed model: replicas there and wanted, answers a minute."""
    end = time.time_ns() // 1000
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for key, metric in SIDES.items():
        for deployed, samples in _samples(console, endpoint, metric, end - MINUTE, end).items():
            found[deployed][key] = _point(samples[-1])[1]
    counted = _samples(console, endpoint, PREDICTIONS, end - MINUTE, end)
    for deployed, samples in counted.items():
        found[deployed]["answers"] = sum(_point(each)[1] for each in samples)
    return found


def _answering(console: Console, endpoint: Document) -> list[dict[str, Any]]:
    """Returns who gave the answers of the last moment, as the parts of a bar."""
    end = time.time_ns() // 1000
    counted = {
        deployed: sum(_point(each)[1] for each in samples)
        for deployed, samples in _samples(console, endpoint, PREDICTIONS, end - MOMENT, end).items()
    }
    whole = sum(counted.values())
    shares = {key: round(100 * number / whole, 1) for key, number in counted.items()}
    return _parts(endpoint, shares) if whole else []


def _labels(endpoint: Document) -> dict[str, str]:
    """Returns what the deployed models are called, by ID."""
    return {
        each["id"]: f"{each['displayName']} v{each['modelVersionId']}"
        for each in endpoint.get("deployedModels", [])
    }


def _charts(console: Console, endpoint: Document) -> Iterator[Chart]:
    end = time.time_ns() // 1000
    labels = _labels(endpoint)

    def samples(metric: str, **wanted: str) -> dict[str, list[Sample]]:
        found = _samples(console, endpoint, metric, end - WINDOW, end, **wanted)
        return {labels[key]: each for key, each in found.items() if key in labels}

    replicas = {
        f"{label}, {word}": [_point(each) for each in points]
        for word, metric in SIDES.items()
        for label, points in samples(metric).items()
    }
    # Every sample counts the replicas; what did not happen between two has no sample of its own.
    moments = {
        label: [each.moment / 1e6 for each in points] for label, points in samples(REPLICAS).items()
    }

    def whole(label: str, points: Points, otherwise: float) -> Points:
        return sorted((dict.fromkeys(moments.get(label, ()), otherwise) | dict(points)).items())

    def rates(metric: str) -> dict[str, Points]:
        return {k: whole(k, list(map(_rate, v)), 0.0) for k, v in samples(metric).items()}

    latencies = {
        f"{label}, {word}": whole(
            label, [(each.moment / 1e6, quantile(each.value, share)) for each in points], math.nan
        )
        for label, points in samples(LATENCIES, latency_type="total").items()
        for word, share in QUANTILES.items()
    }
    batches = {k: whole(k, list(map(_point, v)), math.nan) for k, v in samples(BATCH_ROWS).items()}
    busy = {k: whole(k, v, 0.0) for k, v in _sums(samples(SERVING_CPU)).items()}
    # A version has the colour of its row in the table, in every chart.
    looks = {
        f"{label}, {word}" if word else label: (index, dash)
        for index, label in enumerate(labels.values())
        for words in ([""], SIDES, QUANTILES)
        for dash, word in enumerate(words)
    }
    charts = [
        Chart("Replicas", "", replicas, 1.0, looks=looks),
        Chart("Requests", "/s", rates(PREDICTIONS), looks=looks),
        Chart("Errors", "/s", rates(ERRORS), looks=looks),
        Chart("Latency", "ms", latencies, gaps=True, looks=looks),
        Chart("Rows in a call of the model", "", batches, gaps=True, looks=looks),
        Chart("CPU of all replicas", "%", busy, looks=looks),
    ]
    yield from (chart for chart in charts if chart.lines)


def quantile(distribution: Any, share: float) -> float:
    """Returns the upper end of the bucket that a quantile of a `google.api.Distribution` is in."""
    buckets = distribution["bucketOptions"]["exponentialBuckets"]
    left = share * int(distribution["count"])
    end = float(buckets["scale"])
    for count in distribution["bucketCounts"]:
        left -= int(count)
        if left <= 0:
            return end
        end *= float(buckets["growthFactor"])
    return end


def _samples(
    console: Console, endpoint: Document, metric: str, start: int, end: int, **wanted: str
) -> dict[str, list[Sample]]:
    """Returns the samples of an endpoint by deployed model, oldest first."""
    _projects, project, _locations, location, _endpoints, number = endpoint["name"].split("/")
    found: dict[str, list[Sample]] = defaultdict(list)
    for each in console.series.find(project, metric, start, end):
        series = orjson.loads(each.series)
        labels, resource = series["metric"]["labels"], series["resource"]["labels"]
        is_here = resource["endpoint_id"] == number and resource["location"] == location
        if is_here and wanted.items() <= labels.items():
            found[labels["deployed_model_id"]].append(each)
    return {key: sorted(each, key=lambda sample: sample.moment) for key, each in found.items()}


def _point(sample: Sample) -> tuple[float, float]:
    assert not isinstance(sample.value, dict)  # noqa: S101, only latencies are distributions
    return sample.moment / 1e6, sample.value


def _rate(sample: Sample) -> tuple[float, float]:
    seconds = max(0.001, (sample.moment - sample.start) / 1e6)
    return sample.moment / 1e6, _point(sample)[1] / seconds


def _sums(found: dict[str, list[Sample]]) -> dict[str, list[tuple[float, float]]]:
    lines = {}
    for label, samples in found.items():
        sums: dict[float, float] = defaultdict(float)
        for each in samples:
            moment, value = _point(each)
            sums[moment] += 100 * value
        lines[label] = sorted(sums.items())
    return lines


def _name(request: Request) -> str:
    return f"{request.path_params['location']}/endpoints/{request.path_params['id']}"
