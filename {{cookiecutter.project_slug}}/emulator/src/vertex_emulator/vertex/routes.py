"""The paths of Vertex AI's REST API and the methods that answer them.

`/v1beta1/` (the gcloud CLI) and `/ui/` (the SDK's polls of operations) are the same as `/v1/`.
"""

from starlette.routing import BaseRoute

from vertex_emulator.json_routes import json_routes
from vertex_emulator.vertex.batch_jobs import BatchJobs
from vertex_emulator.vertex.datasets import Datasets
from vertex_emulator.vertex.endpoints import Endpoints
from vertex_emulator.vertex.jobs import Jobs
from vertex_emulator.vertex.models import Models
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.paths import ID as _ID
from vertex_emulator.vertex.paths import LOCATION as _LOCATION
from vertex_emulator.vertex.pipelines import Pipelines
from vertex_emulator.vertex.tuning_jobs import TuningJobs

_JOBS = f"{_LOCATION}/customJobs"
_BATCH_JOBS = f"{_LOCATION}/batchPredictionJobs"
_PIPELINES = f"{_LOCATION}/trainingPipelines"
_TUNING_JOBS = f"{_LOCATION}/hyperparameterTuningJobs"
_DATASETS = f"{_LOCATION}/datasets"
_MODELS = f"{_LOCATION}/models"
_ENDPOINTS = f"{_LOCATION}/endpoints"
_OPERATIONS = f"{_LOCATION}/{{nesting:nesting}}operations"
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
        ("GET", _JOBS, jobs.list_page, *_LIST),
        ("POST", _JOBS, jobs.create),
        ("GET", _JOBS + _ID, jobs.get),
        ("DELETE", _JOBS + _ID, jobs.delete),
        ("POST", _JOBS + _ID + ":cancel", jobs.cancel),
        ("GET", _BATCH_JOBS, batch_jobs.list_page, *_LIST),
        ("POST", _BATCH_JOBS, batch_jobs.create),
        ("GET", _BATCH_JOBS + _ID, batch_jobs.get),
        ("DELETE", _BATCH_JOBS + _ID, batch_jobs.delete),
        ("POST", _BATCH_JOBS + _ID + ":cancel", batch_jobs.cancel),
        ("GET", _PIPELINES, pipelines.list_page, *_LIST),
        ("POST", _PIPELINES, pipelines.create),
        ("GET", _PIPELINES + _ID, pipelines.get),
        ("DELETE", _PIPELINES + _ID, pipelines.delete),
        ("POST", _PIPELINES + _ID + ":cancel", pipelines.cancel),
        ("GET", _TUNING_JOBS, tuning_jobs.list_page, *_LIST),
        ("POST", _TUNING_JOBS, tuning_jobs.create),
        ("GET", _TUNING_JOBS + _ID, tuning_jobs.get),
        ("DELETE", _TUNING_JOBS + _ID, tuning_jobs.delete),
        ("POST", _TUNING_JOBS + _ID + ":cancel", tuning_jobs.cancel),
        ("GET", _DATASETS, datasets.list_page, *_LIST, "orderBy"),
        ("POST", _DATASETS, datasets.create),
        ("GET", _DATASETS + _ID, datasets.get, "readMask"),
        ("PATCH", _DATASETS + _ID, datasets.patch),
        ("DELETE", _DATASETS + _ID, datasets.delete),
        ("GET", _MODELS, models.list_page, *_LIST, "orderBy"),
        ("POST", _MODELS + ":upload", models.upload),
        ("GET", _MODELS + _ID, models.get),
        ("GET", _MODELS + _ID + ":listVersions", models.list_versions, *_LIST, "orderBy"),
        ("PATCH", _MODELS + _ID, models.patch),
        ("DELETE", _MODELS + _ID, models.delete),
        ("DELETE", _MODELS + _ID + ":deleteVersion", models.delete_version),
        ("POST", _MODELS + _ID + ":mergeVersionAliases", models.merge_version_aliases),
        ("GET", _ENDPOINTS, endpoints.list_page, *_LIST, "orderBy"),
        ("POST", _ENDPOINTS, endpoints.create, "endpointId"),
        ("GET", _ENDPOINTS + _ID, endpoints.get),
        ("PATCH", _ENDPOINTS + _ID, endpoints.patch),
        ("DELETE", _ENDPOINTS + _ID, endpoints.delete),
        ("POST", _ENDPOINTS + _ID + ":deployModel", endpoints.deploy),
        ("POST", _ENDPOINTS + _ID + ":undeployModel", endpoints.undeploy),
        ("POST", _ENDPOINTS + _ID + ":mutateDeployedModel", endpoints.mutate),
        ("GET", _OPERATIONS, operations.list_page, *_PAGE, "returnPartialSuccess"),
        ("GET", _OPERATIONS + _ID, operations.get),
        ("POST", _OPERATIONS + _ID + ":wait", operations.wait),
    )
