"""Writing and reading the points of time series.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.tensorboards.experiments.runs/write,
`…:read`, `…:batchRead` and `…:exportTensorboardTimeSeries`.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from vertex_emulator.errors import invalid_argument, not_emulated
from vertex_emulator.pages import Position, page, window
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.tensorboards.levels import EXPERIMENT, RUN, TENSORBOARD, TIME_SERIES
from vertex_emulator.tensorboards.points import Point, Points
from vertex_emulator.vertex.messages import normalise
from vertex_emulator.vertex.resources import require

VALUES = {"SCALAR": "scalar", "TENSOR": "tensor", "BLOB_SEQUENCE": "blobs"}
BATCH_LIMITS = {"SCALAR": 1_000, "TENSOR": 100, "BLOB_SEQUENCE": 100}  # points of one series
READ_LIMIT = 1_000
MAX_READ_LIMIT = 10_000
MAX_WRITTEN = 5_000  # points of one request
EXPORT_PAGE = 1_000


class Data:
    """The points of the time series of all TensorBoards."""

    def __init__(self, database: Database, documents: Documents, points: Points) -> None:
        self._database = database
        self._documents = documents
        self._points = points

    def write_run(self, name: str, body: Any) -> Document:
        """Stores points of time series of a run, all or none.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a point of another type than its series, or too
                many; 404 NOT_FOUND for an unknown run or series.
        """
        request = normalise("WriteTensorboardRunDataRequest", body)
        with self._database.transaction():
            self._write(name, request, "")
        return {}

    def write_experiment(self, name: str, body: Any) -> Document:
        """Stores points of runs of an experiment, all or none. Raises as `write_run`."""
        require(self._documents, EXPERIMENT.message, name)
        request = normalise("WriteTensorboardExperimentDataRequest", body)
        with self._database.transaction():
            for index, each in enumerate(request.get("writeRunDataRequests", [])):
                path = f"writeRunDataRequests[{index}]."
                run = each.get("tensorboardRun", "")
                if not run.startswith(f"{name}/runs/"):
                    raise invalid_argument(f"{path}tensorboardRun: {run!r} is not in {name}.")
                self._write(run, each, path)
        return {}

    def read(self, name: str, query: dict[str, str]) -> Document:
        """Returns a time series' points by step, 1,000 of them or `maxDataPoints`; -1 takes all.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a bad number; 404 NOT_FOUND.
        """
        _refuse_filter(query)
        text = query.get("maxDataPoints") or "0"
        if not text.removeprefix("-").isdecimal() or not -1 <= int(text) <= MAX_READ_LIMIT:
            raise invalid_argument(
                f"maxDataPoints: expected 1 to {MAX_READ_LIMIT}, or -1 for all, got {text!r}."
            )
        limit = None if text == "-1" else int(text) or READ_LIMIT
        return {"timeSeriesData": self._data(self._series(name), limit)}

    def batch_read(self, name: str, repeated: dict[str, list[str]]) -> Document:
        """Returns points of time series of one TensorBoard, at most 1,000 scalars of each.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for none, or one of another TensorBoard; 404 NOT_FOUND.
        """
        require(self._documents, TENSORBOARD, name)
        names = repeated.get("timeSeries", [])
        if not names:
            raise invalid_argument("timeSeries: expected resource names, got none.")
        found = []
        for index, each in enumerate(names):
            if not each.startswith(f"{name}/"):
                raise invalid_argument(f"timeSeries[{index}]: {each!r} is not in {name}.")
            series = self._series(each)
            found.append(self._data(series, BATCH_LIMITS[series["valueType"]]))
        return {"timeSeriesData": found}

    def export(self, name: str, body: Any) -> Document:
        """Returns a page of a time series' points, by step.

        Raises:
            ApiError: 400 INVALID_ARGUMENT for a bad page; 404 NOT_FOUND.
        """
        request = normalise("ExportTensorboardTimeSeriesDataRequest", body)
        _refuse_filter(request)
        if request.get("orderBy", "step") != "step":
            raise not_emulated(f"orderBy: the emulator orders by step; got {request['orderBy']!r}.")
        self._series(name)
        size = request.get("pageSize") or EXPORT_PAGE
        wanted = window(size, request.get("pageToken"), MAX_READ_LIMIT)

        def items() -> Iterator[tuple[Position, Point]]:
            last = wanted.after and wanted.after[1]
            for point in self._points.following(name, last):
                yield ("", int(point.get("step", 0))), point

        return page("timeSeriesDataPoints", items(), wanted)

    def _series(self, name: str) -> Document:
        return require(self._documents, TIME_SERIES.message, name)

    def _data(self, series: Document, limit: int | None) -> Document:
        return {
            "tensorboardTimeSeriesId": series["name"].rpartition("/")[2],
            "valueType": series["valueType"],
            "values": self._points.read(series["name"], limit),
        }

    def _write(self, run: str, request: Document, path: str) -> None:
        require(self._documents, RUN.message, run)
        data = request.get("timeSeriesData", [])
        number = sum(len(each.get("values", [])) for each in data)
        if number > MAX_WRITTEN:
            raise invalid_argument(
                f"{path}timeSeriesData: expected at most {MAX_WRITTEN} points, got {number}."
            )
        for index, each in enumerate(data):
            here = f"{path}timeSeriesData[{index}]"
            series = self._series(f"{run}/timeSeries/{each.get('tensorboardTimeSeriesId', '')}")
            points = each.get("values", [])
            _check_points(series, each, here)
            self._points.write(series["name"], points)
            if points:
                self._documents.update(series["name"], partial(_extend, points))


def _refuse_filter(request: Document) -> None:
    if request.get("filter"):
        raise not_emulated("filter: the emulator has none for points; leave it out.")


def _check_points(series: Document, data: Document, path: str) -> None:
    kind = series["valueType"]
    if data.get("valueType") != kind:
        raise invalid_argument(
            f"{path}.valueType: {series['name']} holds {kind}, got"
            f" {data.get('valueType', 'nothing')!r}."
        )
    for index, point in enumerate(data.get("values", [])):
        if VALUES[kind] not in point:
            raise invalid_argument(f"{path}.values[{index}]: expected {VALUES[kind]}, got none.")


def _extend(points: list[Point], series: Document) -> None:
    """Keeps the last step and moment of a series, and its most blobs, in its metadata."""
    metadata = series.get("metadata", {})
    steps = [int(point.get("step", 0)) for point in points]
    last = max([*steps, int(metadata.get("maxStep", min(steps)))])
    moments = [point["wallTime"] for point in points if "wallTime" in point]
    moments += [metadata["maxWallTime"]] if "maxWallTime" in metadata else []
    series["metadata"] = {"maxStep": str(last)}
    lengths = [len(point["blobs"].get("values", [])) for point in points if "blobs" in point]
    longest = max([*lengths, int(metadata.get("maxBlobSequenceLength", 0))])
    if longest:
        series["metadata"]["maxBlobSequenceLength"] = str(longest)
    if moments:
        series["metadata"]["maxWallTime"] = max(moments, key=datetime.fromisoformat)
