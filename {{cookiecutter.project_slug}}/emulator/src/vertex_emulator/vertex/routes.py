"""The paths of Vertex AI's REST API and the methods that answer them.

`/v1beta1/` (the gcloud CLI) and `/ui/` (the SDK's polls of operations) are the same as `/v1/`.
"""

from starlette.routing import BaseRoute

from vertex_emulator.json_routes import Row, json_routes
from vertex_emulator.vertex.batch_jobs import BatchJobs
from vertex_emulator.vertex.datasets import Datasets
from vertex_emulator.vertex.endpoints import Endpoints
from vertex_emulator.vertex.jobs import Jobs
from vertex_emulator.vertex.models import Models
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.paths import ID, LOCATION
from vertex_emulator.vertex.pipelines import Pipelines
from vertex_emulator.vertex.tuning_jobs import TuningJobs

_JOBS = f"{LOCATION}/customJobs"
_BATCH_JOBS = f"{LOCATION}/batchPredictionJobs"
_PIPELINES = f"{LOCATION}/trainingPipelines"
_TUNING_JOBS = f"{LOCATION}/hyperparameterTuningJobs"
_DATASETS = f"{LOCATION}/datasets"
_MODELS = f"{LOCATION}/models"
_ENDPOINTS = f"{LOCATION}/endpoints"
_OPERATIONS = f"{LOCATION}/{{nesting:nesting}}operations"
_PAGE = ("filter", "pageSize", "pageToken")
_LIST = (*_PAGE, "readMask")


def routes(
    *,
    jobs: Jobs,
    batch_jobs: BatchJobs,
    pipelines: Pipelines,
    datasets: Datasets,
    tuning_jobs: TuningJobs,
    models: Models,
    endpoints: Endpoints,
    operations: Operations,
) -> list[BaseRoute]:
    """Returns the routes of all collections; predictions have theirs in `gateway`."""
    return json_routes(
        *_that_run(_JOBS, jobs),
        *_that_run(_BATCH_JOBS, batch_jobs),
        *_that_run(_PIPELINES, pipelines),
        *_that_run(_TUNING_JOBS, tuning_jobs),
        ("GET", _DATASETS, datasets.list_page, *_LIST, "orderBy"),
        ("POST", _DATASETS, datasets.create),
        ("GET", _DATASETS + ID, datasets.get, "readMask"),
        ("PATCH", _DATASETS + ID, datasets.patch),
        ("DELETE", _DATASETS + ID, datasets.delete),
        ("GET", _MODELS, models.list_page, *_LIST, "orderBy"),
        ("POST", _MODELS + ":upload", models.upload),
        ("GET", _MODELS + ID, models.get),
        ("GET", _MODELS + ID + ":listVersions", models.list_versions, *_LIST, "orderBy"),
        ("PATCH", _MODELS + ID, models.patch),
        ("DELETE", _MODELS + ID, models.delete),
        ("DELETE", _MODELS + ID + ":deleteVersion", models.delete_version),
        ("POST", _MODELS + ID + ":mergeVersionAliases", models.merge_version_aliases),
        ("GET", _ENDPOINTS, endpoints.list_page, *_LIST, "orderBy"),
        ("POST", _ENDPOINTS, endpoints.create, "endpointId"),
        ("GET", _ENDPOINTS + ID, endpoints.get),
        ("PATCH", _ENDPOINTS + ID, endpoints.patch),
        ("DELETE", _ENDPOINTS + ID, endpoints.delete),
        ("POST", _ENDPOINTS + ID + ":deployModel", endpoints.deploy),
        ("POST", _ENDPOINTS + ID + ":undeployModel", endpoints.undeploy),
        ("POST", _ENDPOINTS + ID + ":mutateDeployedModel", endpoints.mutate),
        ("GET", _OPERATIONS, operations.list_page, *_PAGE, "returnPartialSuccess"),
        ("GET", _OPERATIONS + ID, operations.get),
        ("POST", _OPERATIONS + ID + ":wait", operations.wait),
    )


def _that_run(path: str, collection: Jobs | BatchJobs | Pipelines | TuningJobs) -> list[Row]:
    """Returns the routes of what runs to an end: it is never changed, and may be cancelled."""
    return [
        ("GET", path, collection.list_page, *_LIST),
        ("POST", path, collection.create),
        ("GET", path + ID, collection.get),
        ("DELETE", path + ID, collection.delete),
        ("POST", path + ID + ":cancel", collection.cancel),
    ]
