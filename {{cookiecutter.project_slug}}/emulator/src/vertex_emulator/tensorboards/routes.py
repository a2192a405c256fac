"""The paths of TensorBoards and of what they hold, and the methods that answer them."""

from starlette.routing import BaseRoute

from vertex_emulator.json_routes import Row, json_routes
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Documents
from vertex_emulator.tensorboards.data import Data
from vertex_emulator.tensorboards.instances import Tensorboards
from vertex_emulator.tensorboards.levels import EXPERIMENT, RUN, TIME_SERIES, Collection
from vertex_emulator.tensorboards.points import Points
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.paths import ID, LOCATION

_TENSORBOARDS = f"{LOCATION}/tensorboards"
_EXPERIMENTS = _TENSORBOARDS + "/{tensorboard:id}/experiments"
_RUNS = _EXPERIMENTS + "/{experiment:id}/runs"
_SERIES = _RUNS + "/{run:id}/timeSeries"
_LIST = ("filter", "orderBy", "pageSize", "pageToken", "readMask")


def routes(
    database: Database, documents: Documents, objects: Objects, operations: Operations
) -> list[BaseRoute]:
    """Returns the routes of TensorBoards."""
    points = Points(database)
    tensorboards = Tensorboards(database, documents, objects, operations, points)
    experiments, runs, series = (
        Collection(level, database, documents, operations, points)
        for level in (EXPERIMENT, RUN, TIME_SERIES)
    )
    data = Data(database, documents, points)
    return json_routes(
        ("GET", _TENSORBOARDS, tensorboards.list_page, *_LIST),
        ("POST", _TENSORBOARDS, tensorboards.create),
        ("GET", _TENSORBOARDS + ID, tensorboards.get),
        ("PATCH", _TENSORBOARDS + ID, tensorboards.patch),
        ("DELETE", _TENSORBOARDS + ID, tensorboards.delete),
        ("GET", _TENSORBOARDS + ID + ":batchRead", data.batch_read, "timeSeries"),
        *_collection(_EXPERIMENTS, experiments),
        ("POST", _EXPERIMENTS + ID + ":write", data.write_experiment),
        ("POST", _EXPERIMENTS + ID + ":batchCreate", series.create_batch_below),
        *_collection(_RUNS, runs),
        ("POST", _RUNS + ":batchCreate", runs.create_batch),
        ("POST", _RUNS + ID + ":write", data.write_run),
        *_collection(_SERIES, series),
        ("GET", _SERIES + ID + ":read", data.read, "maxDataPoints", "filter"),
        ("POST", _SERIES + ID + ":exportTensorboardTimeSeries", data.export),
    )


def _collection(path: str, collection: Collection) -> list[Row]:
    return [
        ("GET", path, collection.list_page, *_LIST),
        ("POST", path, collection.create, collection.level.id_parameter),
        ("GET", path + ID, collection.get),
        ("PATCH", path + ID, collection.patch),
        ("DELETE", path + ID, collection.delete),
    ]
