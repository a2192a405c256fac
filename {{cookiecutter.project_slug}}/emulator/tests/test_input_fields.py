"""Every field that Google's API lets a request give is given back, or refused by name."""

import io
import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from google.cloud import aiplatform_v1

from vertex_emulator.errors import ApiError
from vertex_emulator.metadata.contexts import Contexts
from vertex_emulator.metadata.executions import Artifacts, Executions
from vertex_emulator.metadata.job_runs import JobRuns
from vertex_emulator.metadata.nodes import ARTIFACT, CONTEXT, EXECUTION
from vertex_emulator.metadata.stores import Stores
from vertex_emulator.object_store.objects import Objects
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Documents
from vertex_emulator.tensorboards import instances, levels
from vertex_emulator.tensorboards.instances import Tensorboards
from vertex_emulator.tensorboards.points import Points
from vertex_emulator.vertex import (
    batch_jobs,
    dataset_export,
    datasets,
    endpoints,
    jobs,
    models,
    pipelines,
    tuning_jobs,
)
from vertex_emulator.vertex.messages import read_mask
from vertex_emulator.vertex.operations import Operations
from vertex_emulator.vertex.resources import new_id
from vertex_emulator.vertex.trials import Trials

LOCATION = "projects/p/locations/l"
MACHINE = {"machineType": "n1-standard-4"}
RESOURCES = {"machineSpec": MACHINE, "minReplicaCount": 1}
MODEL = {
    "displayName": "m",
    "containerSpec": {
        "imageUri": "us-docker.pkg.dev/p/tensorflow/serving:2.19.1",
        "args": ["--rest_api_port=8080", "--model_name=m"],
        "healthRoute": "/v1/models/m",
        "predictRoute": "/v1/models/m:predict",
    },
}
JOB = {
    "displayName": "j",
    "jobSpec": {
        "workerPoolSpecs": [
            {
                "machineSpec": MACHINE,
                "replicaCount": "1",
                "containerSpec": {"imageUri": "i", "command": ["python"]},
            }
        ]
    },
}
BATCH = {
    "displayName": "b",
    "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://bucket/in.jsonl"]}},
    "outputConfig": {
        "predictionsFormat": "jsonl",
        "gcsDestination": {"outputUriPrefix": "gs://bucket/out"},
    },
    "dedicatedResources": {"machineSpec": MACHINE},
}
PIPELINE = {
    "displayName": "t",
    "trainingTaskDefinition": pipelines.CUSTOM_TASK,
    "trainingTaskInputs": JOB["jobSpec"],
    "modelToUpload": {"displayName": "m"},
}
DATASET = {
    "displayName": "d",
    "metadataSchemaUri": datasets.TABLES[0],
    "metadata": {"inputConfig": {"gcsSource": {"uri": ["gs://bucket/table.csv"]}}},
}
TUNING = {
    "displayName": "h",
    "maxTrialCount": 4,
    "parallelTrialCount": 2,
    "studySpec": {
        "metrics": [{"metricId": "auc"}],
        "parameters": [{"parameterId": "x", "doubleValueSpec": {"maxValue": 1}}],
    },
    "trialJobSpec": JOB["jobSpec"],
}
DEEPEST = 6  # parts of a path
# What a request gives and an answer has elsewhere, or in another form.
ELSEWHERE = {
    "Model": {"versionAliases"},  # with `default` beside them
    "DeployedModel": {"id", "model"},
    "TrainingPipeline": {"modelToUpload"},  # as a Model, of which it must be one
    **{  # a new etag
        message: {"etag"}
        for message in (
            "Context", "Execution", "Artifact", "Tensorboard", "TensorboardExperiment",
            "TensorboardRun", "TensorboardTimeSeries",
        )
    },
}  # fmt: skip
# Lists of messages, messages that stand for any JSON, and maps are leaves.
SAMPLES: dict[str, Any] = {
    "TYPE_STRING": "text", "TYPE_BOOL": True, "TYPE_INT32": 1, "TYPE_INT64": "1",
    "TYPE_FLOAT": 0.5, "TYPE_DOUBLE": 0.5, "TYPE_BYTES": "AAAA",
}  # fmt: skip
WELL_KNOWN = {
    "Value": "text", "Struct": {"k": "text"}, "Duration": "3s",
    "Timestamp": "2026-01-01T00:00:00Z",
}  # fmt: skip


class Emulator:
    """The collections without processes: what would run is only submitted."""

    def __init__(self, folder: Path) -> None:
        database = Database(folder / "emulator.sqlite")
        self.documents = Documents(database)
        objects = Objects(database, folder / "blobs")
        objects.buckets.create("bucket", "p", {})
        objects.write("bucket", "in.jsonl", io.BytesIO(b"{}\n"), "text/plain")
        objects.write("bucket", "table.csv", io.BytesIO(b"text,y\n1,2\n"), "text/csv")
        objects.write("bucket", "model/1/saved_model.pb", io.BytesIO(b""), "text/plain")
        operations = Operations(self.documents)
        self.models = models.Models(database, self.documents, objects, operations)
        runs = JobRuns(database, self.documents, operations)
        self.jobs = jobs.Jobs(self.documents, Mock(), operations, Mock(), runs)
        self.pipelines = pipelines.Pipelines(
            database,
            self.documents,
            operations,
            jobs=self.jobs,
            models=self.models,
            exports=dataset_export.DatasetExports(self.documents, objects),
            runner=Mock(),
        )
        self.datasets = datasets.Datasets(self.documents, operations)
        dataset = self.create_dataset(DATASET)["name"].rpartition("/")[2]
        self.input_config = {
            "datasetId": dataset,
            "gcsDestination": {"outputUriPrefix": "gs://bucket/splits"},
        }
        self.tuning_jobs = tuning_jobs.TuningJobs(
            database,
            self.documents,
            Mock(),
            operations,
            trials=Trials(database, self.documents),
            tuner=Mock(),
        )
        self.batch_jobs = batch_jobs.BatchJobs(
            self.documents, objects, self.models, operations, Mock()
        )
        self.endpoints = endpoints.Endpoints(
            self.documents,
            self.models,
            operations,
            fleet=Mock(),
            gateway=Mock(),
            request_logs=Mock(),
        )
        self.model = self.upload(MODEL)["name"]
        created = self.endpoints.create(LOCATION, {}, {"displayName": "e"})
        self.endpoint = created["response"]["name"]

        self.nodes = {
            "Context": Contexts(database, self.documents, operations),
            "Execution": Executions(database, self.documents, operations),
            "Artifact": Artifacts(database, self.documents, operations),
        }
        stores = Stores(database, self.documents, operations)
        self.store = stores.create(LOCATION, {}, {})["response"]["name"]
        points = Points(database)
        self.boards = Tensorboards(database, self.documents, objects, operations, points)
        self.curves = {
            level.message: levels.Collection(level, database, self.documents, operations, points)
            for level in (levels.EXPERIMENT, levels.RUN, levels.TIME_SERIES)
        }
        board = self.create_tensorboard({"displayName": "b"})["name"]
        trained = self.create_curve("TensorboardExperiment", {}, board)["name"]
        run = self.create_curve("TensorboardRun", {}, trained)["name"]
        self.parents = {
            "TensorboardExperiment": board, "TensorboardRun": trained, "TensorboardTimeSeries": run,
        }  # fmt: skip

    def create_tensorboard(self, tensorboard: Any) -> Any:
        return self.boards.create(LOCATION, tensorboard)["response"]

    def create_curve(self, message: str, resource: Any, parent: str = "") -> Any:
        collection = self.curves[message]
        query = {collection.level.id_parameter: new_id()}
        named = {"displayName": new_id()} | resource
        return collection.create(parent or self.parents[message], query, named)

    def upload(self, model: Any) -> Any:
        made = self.models.upload(LOCATION, {"model": model})["response"]
        return self.models.get(made["model"])

    def create_endpoint(self, endpoint: Any) -> Any:
        return self.endpoints.create(LOCATION, {}, {"displayName": "e"} | endpoint)["response"]

    def create_job(self, job: Any) -> Any:
        return self.jobs.create(LOCATION, job)

    def create_dataset(self, dataset: Any) -> Any:
        return self.datasets.create(LOCATION, dataset)["response"]

    def create_pipeline(self, pipeline: Any) -> Any:
        config = self.input_config | pipeline.get("inputDataConfig", {})
        return self.pipelines.create(LOCATION, pipeline | {"inputDataConfig": config})

    def create_tuning_job(self, job: Any) -> Any:
        return self.tuning_jobs.create(LOCATION, job)

    def create_batch_job(self, job: Any) -> Any:
        return self.batch_jobs.create(LOCATION, {"model": self.model} | job)

    def deploy(self, deployed: Any) -> Any:
        """Returns the DeployedModel that the operation is to bring up."""
        body = {"deployedModel": {"model": self.model} | deployed}
        name = self.endpoints.deploy(self.endpoint, body, "v1")["name"]
        self.endpoints._operations.wait(name, "30s")
        return self.endpoints._operations.get(name)["response"]["deployedModel"]


def node(message: str) -> Callable[[Emulator, Any], Any]:
    return lambda emulator, given: emulator.nodes[message].create(emulator.store, {}, given)


def curve(message: str) -> Callable[[Emulator, Any], Any]:
    return lambda emulator, given: emulator.create_curve(message, given)


CALLS: dict[str, tuple[Callable[[Emulator, Any], Any], Any]] = {
    "Model": (Emulator.upload, MODEL),
    "Endpoint": (Emulator.create_endpoint, {"displayName": "e"}),
    "CustomJob": (Emulator.create_job, JOB),
    "Dataset": (Emulator.create_dataset, DATASET),
    "HyperparameterTuningJob": (Emulator.create_tuning_job, TUNING),
    "TrainingPipeline": (Emulator.create_pipeline, PIPELINE),
    "BatchPredictionJob": (Emulator.create_batch_job, BATCH),
    "DeployedModel": (Emulator.deploy, {"dedicatedResources": RESOURCES}),
    "Context": (node("Context"), {"schemaTitle": "system.Experiment"}),
    "Execution": (node("Execution"), {"schemaTitle": "system.Run"}),
    "Artifact": (node("Artifact"), {"schemaTitle": "system.Artifact"}),
    "Tensorboard": (Emulator.create_tensorboard, {"displayName": "b"}),
    "TensorboardExperiment": (curve("TensorboardExperiment"), {}),
    "TensorboardRun": (curve("TensorboardRun"), {}),
    "TensorboardTimeSeries": (curve("TensorboardTimeSeries"), {"valueType": "SCALAR"}),
}
OUTPUT_ONLY = {
    "Model": models.OUTPUT_ONLY,
    "Endpoint": endpoints.OUTPUT_ONLY,
    "CustomJob": jobs.OUTPUT_ONLY,
    "Dataset": datasets.OUTPUT_ONLY,
    "HyperparameterTuningJob": tuning_jobs.OUTPUT_ONLY,
    "TrainingPipeline": pipelines.OUTPUT_ONLY,
    "BatchPredictionJob": batch_jobs.OUTPUT_ONLY,
    "DeployedModel": endpoints.DEPLOYED_OUTPUT_ONLY,
    "Context": CONTEXT.output_only,
    "Execution": EXECUTION.output_only,
    "Artifact": ARTIFACT.output_only,
    "Tensorboard": instances.OUTPUT_ONLY,
    "TensorboardExperiment": levels.EXPERIMENT.output_only,
    "TensorboardRun": levels.RUN.output_only,
    "TensorboardTimeSeries": levels.TIME_SERIES.output_only,
}


@cache
def schemas() -> dict[str, Any]:
    folder = files("googleapiclient.discovery_cache.documents")
    document: dict[str, Any] = json.loads((folder / "aiplatform.v1.json").read_text())
    return {
        name.removeprefix("GoogleCloudAiplatformV1"): schema["properties"]
        for name, schema in document["schemas"].items()
        if "properties" in schema
    }


def leaves(descriptor: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields the path of each scalar, list or map that a message may have, with a value."""
    for field in descriptor.fields:
        here = (*path, field.camelcase_name)
        value = sample(field)
        below = field.message_type
        is_leaf = below is None or field.is_repeated or below.name in WELL_KNOWN
        if is_leaf or len(here) == DEEPEST:
            yield here, value
        elif not any(each.message_type is descriptor for each in below.fields):
            yield from leaves(below, here)


def sample(field: Any) -> Any:
    below = field.message_type
    if below is not None and below.GetOptions().map_entry:
        return {"k": sample(below.fields_by_name["value"])}
    if below is not None:
        value = WELL_KNOWN.get(below.name, {})
    elif field.enum_type is not None:
        value = field.enum_type.values[-1].name
    else:
        kinds = {getattr(field, name): name for name in SAMPLES}
        value = SAMPLES[kinds[field.type]]
    return [value] if field.is_repeated else value


def put(document: Any, path: tuple[str, ...], value: Any) -> Any:
    """Returns a copy of a document with another value at a path."""
    first, *rest = path
    return document | {first: put(document.get(first, {}), tuple(rest), value) if rest else value}


def at(document: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return document


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    return Emulator(tmp_path_factory.mktemp("fields"))


@pytest.mark.parametrize("message", CALLS)
def test_no_field_vanishes(emulator: Emulator, message: str) -> None:
    call, base = CALLS[message]
    left_out = {*OUTPUT_ONLY[message], *ELSEWHERE.get(message, ())}
    given, vanished = 0, []
    for path, value in leaves(getattr(aiplatform_v1, message).pb().DESCRIPTOR):
        if path[0] in left_out or at(base, path) is not None or value in ({}, [{}]):
            continue
        try:
            answer = call(emulator, put(base, path, value))
        except ApiError as error:
            named = (path[0], path[-1], "oneof")  # of which the base has another
            if not any(word in error.message for word in named):
                vanished.append((path, error.message))
        else:
            given += 1
            if at(answer, path) != value:
                vanished.append((path, at(answer, path)))
    assert not vanished
    assert given > 2


@pytest.mark.parametrize("message", CALLS)
def test_output_only_is_what_google_says(message: str) -> None:
    google = {name for name, field in schemas()[message].items() if field.get("readOnly")}
    known = {each.camelcase_name for each in getattr(aiplatform_v1, message).pb().DESCRIPTOR.fields}
    assert set(OUTPUT_ONLY[message]) == google & known | ({"name"} & known)


@pytest.mark.parametrize(
    ("call", "fields", "part"),
    [
        (Emulator.create_endpoint, {"dedicatedEndpointEnabled": True}, "dedicatedEndpointEnabled"),
        (Emulator.create_endpoint, {"trafficSplit": {"7": 100}}, "'7' is not deployed here"),
        (Emulator.create_endpoint, {"labels": {"Team": "ml"}}, "'Team'"),
        (Emulator.create_batch_job, BATCH | {"labels": {"team": "a b"}}, "'a b'"),
        (
            Emulator.deploy,
            {"sharedResources": "projects/p/locations/l/deploymentResourcePools/a"},
            "deployedModel.sharedResources: pools",
        ),
        (
            Emulator.create_tuning_job,
            TUNING | {"parallelTrialCount": 5},
            "parallelTrialCount: expected 1 to the maxTrialCount, 4, got 5",
        ),
        (Emulator.create_tuning_job, TUNING | {"maxTrialCount": 0}, "maxTrialCount: expected at"),
        (
            Emulator.create_tuning_job,
            TUNING | {"trialJobSpec": {}},
            "trialJobSpec.workerPoolSpecs: expected 1 to 4 worker pools",
        ),
        (
            Emulator.create_pipeline,
            PIPELINE
            | {"trainingTaskDefinition": "gs://google-cloud-aiplatform/automl_tables.yaml"},
            "trainingTaskDefinition: the emulator runs the custom task only",
        ),
        (
            Emulator.create_pipeline,
            PIPELINE | {"trainingTaskInputs": {"workerPoolSpec": []}},
            "trainingTaskInputs: unable to parse them into the inputs of the custom task",
        ),
        (
            Emulator.create_pipeline,
            PIPELINE | {"trainingTaskInputs": {"worker_pool_specs": []}},
            "trainingTaskInputs.workerPoolSpecs: expected 1 to 4",
        ),
        (
            Emulator.create_pipeline,
            PIPELINE | {"modelToUpload": {}},
            "modelToUpload.displayName: expected 1 to 128 characters",
        ),
        (
            Emulator.create_pipeline,
            PIPELINE | {"parentModel": f"{LOCATION}/models/1"},
            f"The Model does not exist: {LOCATION}/models/1",
        ),
        (
            Emulator.create_pipeline,
            PIPELINE | {"inputDataConfig": {"datasetId": "7"}},
            f"inputDataConfig.datasetId: the Dataset does not exist: {LOCATION}/datasets/7",
        ),
        (
            Emulator.create_pipeline,
            PIPELINE | {"inputDataConfig": {"predefinedSplit": {"key": "z"}}},
            "inputDataConfig.predefinedSplit.key: expected one of the columns text, y, got 'z'",
        ),
        (
            Emulator.create_pipeline,
            PIPELINE | {"inputDataConfig": {"fractionSplit": {"trainingFraction": 1.5}}},
            "inputDataConfig.fractionSplit: expected fractions from 0 whose sum",
        ),
        (
            Emulator.create_dataset,
            DATASET | {"metadataSchemaUri": f"{datasets.SCHEMAS}image_1.0.0.yaml"},
            "metadataSchemaUri: the emulator keeps data sets of tables only",
        ),
        (Emulator.create_dataset, DATASET | {"metadata": 7}, "gcsSource.uri: expected a list of"),
    ],
)
def test_what_is_refused(
    emulator: Emulator, call: Callable[[Emulator, Any], Any], fields: Any, part: str
) -> None:
    with pytest.raises(ApiError) as caught:
        call(emulator, fields)
    assert part in caught.value.message


def test_a_patch_of_an_endpoint_checks_labels(emulator: Emulator) -> None:
    with pytest.raises(ApiError, match="'Team'"):
        emulator.endpoints.patch(emulator.endpoint, "labels", {"labels": {"Team": "ml"}})


def test_a_read_mask_is_honoured(emulator: Emulator) -> None:
    emulator.create_job(JOB | {"labels": {"a": "b"}})

    def listed(mask: str) -> Any:
        return emulator.jobs.list_page(LOCATION, {"readMask": mask, "pageSize": "1"})["customJobs"]

    assert listed("display_name,jobSpec.workerPoolSpecs,labels") == [JOB | {"labels": {"a": "b"}}]
    assert listed("jobSpec.scheduling.timeout,error") == [{"jobSpec": {}}]
    assert listed("*")[0]["state"] == "JOB_STATE_QUEUED"
    for mask in ("nothing", "jobSpec.nothing", "jobSpec.workerPoolSpecs.diskSpec", "name,"):
        with pytest.raises(ApiError, match="readMask: expected fields of CustomJob"):
            listed(mask)
    [model] = emulator.models.list_page(LOCATION, {"readMask": "displayName", "pageSize": "1"})[
        "models"
    ]
    assert model.keys() == {"displayName"}
    versions = emulator.models.list_versions(emulator.model, {"readMask": "versionId"})
    assert versions == {"models": [{"versionId": "1"}]}
    assert read_mask("Endpoint", "trafficSplit") == [["trafficSplit"]]
    assert listed("labels,displayName,jobSpec.scheduling,jobSpec")[0] == JOB | {
        "labels": {"a": "b"}
    }
