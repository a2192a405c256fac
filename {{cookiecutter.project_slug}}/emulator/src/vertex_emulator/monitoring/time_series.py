"""`timeSeries.list`: filter, interval, view, pages.

Source: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list and
https://cloud.google.com/monitoring/api/v3/filters.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from vertex_emulator.errors import ApiError, invalid_argument, not_emulated
from vertex_emulator.filters.language import Language
from vertex_emulator.filters.parsing import parse
from vertex_emulator.monitoring.series import METRICS, Sample, Series
from vertex_emulator.pages import Position, Window, page, window

LANGUAGE = Language(fields=frozenset({"metric", "resource", "project"}))
# What is not emulated, and the values that ask for nothing.
NEUTRAL = {
    "aggregation.perSeriesAligner": ("", "ALIGN_NONE"),
    "aggregation.crossSeriesReducer": ("", "REDUCE_NONE"),
    "secondaryAggregation.perSeriesAligner": ("", "ALIGN_NONE"),
    "secondaryAggregation.crossSeriesReducer": ("", "REDUCE_NONE"),
    "orderBy": ("",),
}
# Google ignores these where the others ask for nothing.
IGNORED = (
    "aggregation.alignmentPeriod", "aggregation.groupByFields",
    "secondaryAggregation.alignmentPeriod", "secondaryAggregation.groupByFields",
)  # fmt: skip
PARAMETERS = (
    "filter", "interval.startTime", "interval.endTime", "view", "pageSize", "pageToken", *NEUTRAL,
    *IGNORED,
)  # fmt: skip
MAX_A_PAGE = 100_000


def list_time_series(series: Series, project: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Answers `GET /v3/projects/PROJECT/timeSeries`.

    Raises:
        ApiError: 400 INVALID_ARGUMENT for a bad filter, interval, view or page; 400 UNIMPLEMENTED
            for another metric, or an aggregation.
    """
    _check_emulated(query)
    # Filters may say label for labels.
    text = re.sub(r"\b(metric|resource)\.label\.", r"\1.labels.", query.get("filter", ""))
    wanted = parse(text, LANGUAGE)
    metric = wanted.required.get("metric.type")
    if metric is None:
        raise invalid_argument(
            'filter: expected one metric type, as in metric.type="ml.googleapis.com/training/cpu/'
            f'utilization", got {query.get("filter", "")!r}.'
        )
    if metric not in METRICS:
        raise not_emulated(
            f"filter: the emulator has the metrics {', '.join(METRICS)}, got {metric!r}."
        )
    end = _moment(query, "interval.endTime")
    start = _moment(query, "interval.startTime") if query.get("interval.startTime") else end
    if start > end:
        raise invalid_argument(
            "interval.startTime: expected a time no later than interval.endTime."
        )
    view = query.get("view") or "FULL"
    if view not in ("FULL", "HEADERS", "0", "1"):
        raise invalid_argument(f"view: expected FULL or HEADERS, got {view!r}.")
    part = window(query.get("pageSize", 0), query.get("pageToken"), MAX_A_PAGE)
    samples = [
        each
        for each in series.find(project, metric, start, end)
        if wanted.matches(orjson.loads(each.series) | {"project": project})
    ]
    return _page(samples, part, headers=view in ("HEADERS", "1"))


def _check_emulated(query: Mapping[str, str]) -> None:
    for name, values in NEUTRAL.items():
        if query.get(name, "") not in values:
            raise not_emulated(
                f"{name}: the emulator neither aggregates nor orders time series; leave it out."
            )


def _moment(query: Mapping[str, str], name: str) -> int:
    """Returns microseconds since the epoch."""
    text = query.get(name, "")
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))  # nanoseconds
    except ValueError as error:
        raise _no_moment(name, text) from error
    if moment.tzinfo is None:
        raise _no_moment(name, text)
    return round(moment.timestamp() * 1_000_000)


def _no_moment(name: str, text: str) -> ApiError:
    return invalid_argument(
        f"{name}: expected a moment in RFC 3339, such as 2026-01-31T00:00:00Z, got {text!r}."
    )


def _page(samples: list[Sample], part: Window, *, headers: bool) -> dict[str, Any]:
    """Pages count points in the full view, and series in that of headers."""
    items: Iterator[tuple[Position, Sample]]
    if headers:
        groups = itertools.groupby(samples, key=lambda each: each.series)
        items = (((series, 0), next(group)) for series, group in groups)
    else:
        items = (((each.series, -each.moment), each) for each in samples)
    left = (item for item in items if part.after is None or item[0] > part.after)
    answer = page("timeSeries", left, part)
    answer["timeSeries"] = [
        _time_series(list(group), headers=headers)
        for _series, group in itertools.groupby(answer["timeSeries"], key=lambda each: each.series)
    ]
    return answer


def _time_series(samples: list[Sample], *, headers: bool) -> dict[str, Any]:
    kind, value_type = METRICS[samples[0].metric]
    document: dict[str, Any] = orjson.loads(samples[0].series)
    document |= {"metricKind": kind, "valueType": value_type}
    if not headers:
        document["points"] = [_point(each, value_type) for each in samples]
    return document


def _point(sample: Sample, value_type: str) -> dict[str, Any]:
    interval = {
        "startTime": _text(sample.start or sample.moment),
        "endTime": _text(sample.moment),
    }
    value: dict[str, Any]
    if isinstance(sample.value, dict):
        value = {"distributionValue": sample.value}
    elif value_type == "INT64":
        value = {"int64Value": str(int(sample.value))}
    else:
        value = {"doubleValue": sample.value}
    return {"interval": interval, "value": value}


def _text(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
