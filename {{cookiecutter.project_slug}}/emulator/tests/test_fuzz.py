"""Requests that no client would send to Vertex AI and Cloud Logging: none breaks the emulator.

The methods, parameters and bodies come from Google's discovery documents. FUZZ_EXAMPLES=20000 in
the environment takes as many, other ones each time.
"""

import copy
import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
import requests
import tunings
from custom_jobs import run, spec
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.discovery import validator
from vertex_emulator.testing.running import RunningEmulator

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10000"))
LOCATION = "projects/test-project/locations/us-central1"
COLLECTIONS = (
    "hyperparameterTuningJobs",
    "customJobs", "trainingPipelines", "datasets", "models", "endpoints", "operations",
    "metadataStores", "tensorboards",
)  # fmt: skip
CUSTOM_TASK = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
STATUSES = {
    400: {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "UNIMPLEMENTED"},
    404: {"NOT_FOUND"},
    409: {"ABORTED", "ALREADY_EXISTS"},
    413: {"INVALID_ARGUMENT"},
}


def _document(name: str) -> dict[str, Any]:
    folder = files("googleapiclient.discovery_cache.documents")
    document: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return document


def _methods(resource: dict[str, Any]) -> Iterator[tuple[str, str, list[str], str | None]]:
    """Yields HTTP method, path, parameters of the query and schema of the body."""
    for method in resource.get("methods", {}).values():
        query = [name for name, each in method["parameters"].items() if each["location"] == "query"]
        path = method.get("flatPath") or method["path"]
        yield method["httpMethod"], f"/{path}", query, method.get("request", {}).get("$ref")
    for below in resource.get("resources", {}).values():
        yield from _methods(below)


_VERTEX = _document("aiplatform.v1")
_LOCATIONS = _VERTEX["resources"]["projects"]["resources"]["locations"]["resources"]
_LOGGING = _document("logging.v2")
SCHEMAS = _VERTEX["schemas"] | _LOGGING["schemas"]
METHODS = [method for name in COLLECTIONS for method in _methods(_LOCATIONS[name])]
LIST_ENTRIES = next(method for method in _methods(_LOGGING) if method[1] == "/v2/entries:list")
IN_TREES = re.compile("/(metadataStores|tensorboards)/")
# Tried more often than their number would have it, for they do more than refuse.
EMULATED = [
    LIST_ENTRIES,
    *(
        method
        for method in METHODS
        if re.search(
            r"/(hyperparameterTuningJobs|"
            r"customJobs|trainingPipelines|datasets|models|endpoints|operations|metadataStores|"
            r"contexts|executions|artifacts|tensorboards|experiments|runs|timeSeries)"
            r"(/\{[^/]*\})?(:(cancel|upload|listVersions|"
            r"deleteVersion|mergeVersionAliases|deployModel|undeployModel|mutateDeployedModel|"
            r"predict|rawPredict|wait|addContext\w*|removeContextChildren|addExecutionEvents|"
            r"queryContext\w*|queryExecution\w*|batchCreate|batchRead|write|read|export\w*))?$",
            method[1],
        )
    ),
]

texts = st.sampled_from(
    ["", "x", "..", "../../escaped", "gs://b/..", "default", "\0", "🚲"]
) | st.text(max_size=12)
numbers = st.sampled_from([0, 1, -1, 100, 2**31, 2**63, 10**30, 0.5, 1e308])
WORDS = r"""
( ) AND OR NOT - = != < <= > >= : =~ !~ " ' \ . * display_name displayName state labels labels.a
labels."a create_time createTime done severity timestamp jsonPayload.a resource.labels.job_id "x" 7
-1 1e5 true JOB_STATE_FAILED "JOB_STATE_FAILED" ERROR "ERROR" "2026-01-01T00:00:00Z" "2026-01-01"
"0001-01-01T00:00:00+23:59" "[" "(a+" in_context metadata.a.number_value parent_contexts is_default
"""
filters = st.lists(st.sampled_from(WORDS.split()) | texts, max_size=9).map(" ".join)
masks = st.lists(
    st.sampled_from(
        ["display_name", "displayName", "traffic_split", "labels", "name", "*", "", "__", "a.b"]
    )
    | texts,
    max_size=3,
).map(",".join)
durations = st.sampled_from(["0s", "1s", "0.01s", "-1s", "1", "s", "nans", "1e9s", "99999999999s"])
tokens = texts | st.sampled_from(["WyIiLCAxXQ==", "WyIiLCAtMV0=", "bnVsbA==", "e30=", "W10="])
QUERIES = {
    "filter": filters,
    "updateMask": masks,
    "update_mask": masks,
    "readMask": masks,
    "pageToken": tokens,
    "timeout": durations,
}
TITLES = {
    "system.Experiment": "contexts", "system.Run": "executions", "system.Artifact": "artifacts",
}  # fmt: skip
# Values that a request of random text would hardly ever have, with which it does something.
FITTING: dict[str, list[Any]] = {
    "schemaTitle": [*TITLES],
    "tensorboardTimeSeriesId": ["some-node"],
    "valueType": ["SCALAR"],
    "scalar": [{"value": 0.5}, {"value": "NaN"}, {}],
}
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@dataclass
class Fuzzed:
    """The emulator that is fuzzed, with one of each resource in it."""

    running: RunningEmulator
    folder: Path
    connection: http.client.HTTPConnection
    ids: dict[str, list[str]]

    def send(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Sends a request as it is, without the normalising that clients do."""
        self.connection.request(method, path, body, {"content-type": "application/json"})
        with self.connection.getresponse() as answer:
            return answer.status, answer.read()


def post(url: str, path: str, body: Any) -> None:
    """Makes what later requests name."""
    requests.post(f"{url}/v1/{path}", json=body, timeout=60).raise_for_status()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "elsewhere").mkdir()
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "vertex_emulator",
                "--port",
                "0",
                "--data-dir",
                str(folder / "data"),
            ],
            cwd=folder / "elsewhere",
            env={**os.environ, "TMPDIR": str(folder / "elsewhere")},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    with process.stdout:
        url = process.stdout.readline().split()[-1]
    running = RunningEmulator(process, url, folder / "data")
    clients = Clients(url)
    job = run(clients, spec("print('{}')"))
    tuned = tunings.run(clients, tunings.tuning(max_trial_count=1, parallel_trial_count=1))
    pipeline = requests.post(
        f"{url}/v1/{LOCATION}/trainingPipelines",
        json={
            "displayName": "x",
            "trainingTaskDefinition": CUSTOM_TASK,
            "trainingTaskInputs": spec("print('{}')")["job_spec"],
        },
        timeout=60,
    )
    model = clients.models.upload_model(
        parent=LOCATION,
        model={"display_name": "x", "container_spec": {"image_uri": "example.com/none:1"}},
    ).result(timeout=60)
    endpoint = clients.endpoints.create_endpoint(
        parent=LOCATION, endpoint={"display_name": "x"}
    ).result(timeout=60)
    operations = requests.get(f"{url}/v1/{endpoint.name}/operations", timeout=60).json()
    board = clients.tensorboards.create_tensorboard(
        parent=LOCATION, tensorboard={"display_name": "x"}
    ).result(timeout=60)
    post(url, f"{LOCATION}/metadataStores?metadataStoreId=default", {})
    for title, collection in TITLES.items():
        path = f"{LOCATION}/metadataStores/default/{collection}?{collection[:-1]}Id=some-node"
        post(url, path, {"schemaTitle": title})
    trained = f"{board.name}/experiments"
    post(url, f"{trained}?tensorboardExperimentId=some-node", {})
    post(url, f"{trained}/some-node/runs?tensorboardRunId=some-node", {"displayName": "x"})
    path = f"{trained}/some-node/runs/some-node/timeSeries?tensorboardTimeSeriesId=some-node"
    post(url, path, {"displayName": "x", "valueType": "SCALAR"})
    nested = ("contexts", "executions", "artifacts", "experiments", "runs", "timeSeries")
    known = {name: ["some-node"] for name in nested} | {
        name: [resource.rpartition("/")[2]]
        for name, resource in {
            "customJobs": job.name,
            "hyperparameterTuningJobs": tuned.name,
            "trainingPipelines": pipeline.json()["name"],
            "models": model.model,
            "endpoints": endpoint.name,
            "operations": operations["operations"][0]["name"],
            "metadataStores": "/default",
            "tensorboards": board.name,
        }.items()
    }
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=60)
    yield Fuzzed(running, folder, connection, known)
    connection.close()
    if process.poll() is None:
        running.stop()


@st.composite
def values(draw: st.DrawFn, field: dict[str, Any], depth: int) -> Any:
    """A value of a field of the discovery document, or now and then of another type."""
    if depth == 0 or draw(st.integers(0, 11)) == 0:
        return draw(anything)
    if "$ref" in field:
        return draw(bodies(field["$ref"], depth - 1))
    kind = field.get("type")
    if kind == "array":
        return [draw(values(field["items"], depth - 1)) for _ in range(draw(st.integers(0, 2)))]
    if kind == "object" and "additionalProperties" in field:
        inner = values(field["additionalProperties"], depth - 1)
        return draw(st.dictionaries(texts, inner, max_size=2))
    formats = {"google-duration": durations, "google-fieldmask": masks}
    kinds = {"boolean": st.booleans(), "integer": st.integers(-2, 10**6), "number": numbers}
    fitting = formats.get(field.get("format", ""), kinds.get(str(kind), texts))
    return draw(st.sampled_from(field["enum"]) if "enum" in field else fitting)


@st.composite
def bodies(draw: st.DrawFn, schema: str, depth: int = 6) -> Any:
    """An object with some fields of a schema, now and then one that it does not have."""
    fields = SCHEMAS[schema].get("properties", {})
    names = (
        draw(st.lists(st.sampled_from(sorted(fields)), max_size=6, unique=True)) if fields else []
    )
    body = {name: draw(values(fields[name], depth)) for name in names}
    if "displayName" in fields and draw(st.booleans()):
        body["displayName"] = "x"
    for name, fitting in FITTING.items():
        if name in fields and draw(st.booleans()):
            body[name] = draw(st.sampled_from(fitting))
    if draw(st.integers(0, 19)) == 0:
        body[draw(texts)] = draw(anything)
    return body


@st.composite
def almost_jobs(draw: st.DrawFn) -> Any:
    """A job like those that clients send, but for one value; what it runs does nothing."""
    job: Any = {
        "displayName": "x",
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {"machineType": "n1-standard-4"},
                    "replicaCount": "1",
                    "containerSpec": {
                        "imageUri": "image",
                        "command": ["no-such-program"],
                        "args": ["a"],
                        "env": [{"name": "A", "value": "/gcs/b/../../escaped"}],
                    },
                }
            ],
            "scheduling": {"timeout": "60s"},
            "baseOutputDirectory": {"outputUriPrefix": "gs://b/x"},
        },
        "labels": {"a": "b"},
    }
    return draw(changed(job))


@st.composite
def changed(draw: st.DrawFn, job: Any) -> Any:
    """What is given with anything else at one place."""
    place = job
    while isinstance(place, (dict, list)) and place:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or draw(st.integers(0, 3)) == 0:
            place[key] = draw(anything)
            break
        place = place[key]
    return job


@st.composite
def almost_tunings(draw: st.DrawFn) -> Any:
    """A tuning like those that clients send, but for one value; its trials fail at once."""
    tuning = tunings.tuning("", tunings.X, tunings.OPTIMIZER, display_name="x")
    [pool] = tuning["trial_job_spec"]["worker_pool_specs"]
    pool["container_spec"]["command"] = ["no-such-program"]
    algorithms = ["ALGORITHM_UNSPECIFIED", "GRID_SEARCH", "RANDOM_SEARCH"]
    tuning["study_spec"]["algorithm"] = draw(st.sampled_from(algorithms))
    return draw(changed(copy.deepcopy(tuning)))


@st.composite
def almost_pipelines(draw: st.DrawFn) -> Any:
    """A training pipeline whose job is almost one like those that clients send."""
    job = draw(almost_jobs())
    inputs = job.get("jobSpec") if isinstance(job, dict) else job
    pipeline = {
        "displayName": "x",
        "trainingTaskDefinition": CUSTOM_TASK,
        "trainingTaskInputs": inputs,
        "modelToUpload": draw(bodies("GoogleCloudAiplatformV1Model", 2)),
    }
    del pipeline[draw(st.sampled_from([*pipeline, "modelToUpload", "modelToUpload"]))]
    return pipeline


@st.composite
def fuzzed_requests(draw: st.DrawFn) -> dict[str, Any]:
    method, template, query, schema = draw(
        st.sampled_from(METHODS if draw(st.integers(0, 7)) == 0 else EMULATED)
    )
    if draw(st.integers(0, 19)) == 0:
        method = draw(
            st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
        )
    body: Any = draw(bodies(schema)) if schema else None
    if template.endswith("/customJobs") and draw(st.booleans()):
        body = draw(almost_jobs())
    if template.endswith("/hyperparameterTuningJobs") and draw(st.booleans()):
        body = draw(almost_tunings())
    if template.endswith("/trainingPipelines") and draw(st.booleans()):
        body = draw(almost_pipelines())
    chosen = draw(st.lists(st.sampled_from([*query, "unknown"]), max_size=4, unique=True))
    return {
        "method": method,
        "template": template,
        "api": draw(st.sampled_from(["v1", "v1", "v1beta1", "ui"])),
        # What is there stays, so that the rest is not about nothing.
        "id": draw(
            texts if method == "DELETE" and IN_TREES.search(template) else st.none() | texts
        ),
        "version": draw(
            st.sampled_from(["", "", "@1", "@default", "@x", "@", "@-1", "@..", "@1@1"])
        ),
        "query": {name: draw(QUERIES.get(name, texts | numbers.map(str))) for name in chosen},
        "body": draw(st.just(json.dumps(body).encode()) | st.just(b"") | st.binary(max_size=20))
        if draw(st.integers(0, 9)) == 0
        else json.dumps(body).encode()
        if body is not None
        else b"",
    }


def _path(request: dict[str, Any], ids: dict[str, list[str]]) -> str:
    def fill(found: re.Match[str]) -> str:
        collection = found[1]
        if collection in ("projects", "locations"):
            return {"projects": "test-project", "locations": "us-central1"}[collection]
        text = request["id"]
        if text is None:
            text = ids.get(collection, ["1"])[0]
            if collection == "models":
                text += request["version"]
        return quote(text, safe="").replace(".", "%2E")

    path = re.sub(r"\{(\w+)Id\}", fill, request["template"])
    if path.startswith("/v1/"):
        path = f"/{request['api']}/{path.removeprefix('/v1/')}"
    return path


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)
@given(request_=fuzzed_requests())
def test_no_request_breaks_the_emulator(fuzzed: Fuzzed, request_: dict[str, Any]) -> None:
    path = _path(request_, fuzzed.ids)
    query = urlencode(request_["query"])
    method = request_["method"]
    status, content = fuzzed.send(method, f"{path}?{query}" if query else path, request_["body"])
    answer = json.loads(content)
    event(str(status))
    if status == 200:
        schema = (
            "ListLogEntriesResponse"
            if path.startswith("/v2/")
            else validator("aiplatform.v1").response_schema(method, f"/v1/{path.split('/', 2)[2]}")
        )
        assert schema is not None
        validator("logging.v2" if path.startswith("/v2/") else "aiplatform.v1").check(
            schema, answer
        )
        return
    assert set(answer["error"]) == {"code", "message", "status"}
    assert answer["error"]["code"] == status
    assert answer["error"]["status"] in STATUSES[status], answer


def test_no_request_left_a_trace_elsewhere(fuzzed: Fuzzed) -> None:
    """No traceback, nothing written outside the data folder, no job that failed by our fault."""
    clients = Clients(fuzzed.running.url)
    for job in clients.jobs.list_custom_jobs(parent=LOCATION):
        assert "Internal error" not in job.error.message, job
    for tuned in clients.jobs.list_hyperparameter_tuning_jobs(parent=LOCATION):
        assert "Internal error" not in tuned.error.message, tuned
    url = f"{fuzzed.running.url}/v1/{LOCATION}/trainingPipelines?pageSize=100"
    for pipeline in requests.get(url, timeout=60).json()["trainingPipelines"]:
        assert "Internal error" not in pipeline.get("error", {}).get("message", ""), pipeline
    for name in ("..", "/"):
        assert not list((fuzzed.folder / name).glob("*escaped*"))
    assert {path.name for path in fuzzed.folder.iterdir()} == {"data", "elsewhere", "stderr"}
    assert list((fuzzed.folder / "elsewhere").iterdir()) == []
    known = {"address.json", "lock", "blobs", "jobs", "servers", "batches", "proxy"}
    inside = {path.name for path in fuzzed.running.data_dir.iterdir()}
    assert {name for name in inside if not name.startswith("emulator.sqlite")} <= known
    assert all(path.name.isdigit() for path in (fuzzed.running.data_dir / "jobs").iterdir())
    fuzzed.running.stop()
    assert (fuzzed.folder / "stderr").read_text() == ""
