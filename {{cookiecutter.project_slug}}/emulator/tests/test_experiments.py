"""Vertex AI's experiments: metadata stores and TensorBoards, as Google's clients call them."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from custom_jobs import create, entries, spec
from custom_jobs import run as run_job
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform, aiplatform_v1
from raw_requests import ask

from vertex_emulator.testing.clients import PROJECT, REGION, Clients, check_contract
from vertex_emulator.testing.plugin import write_credentials

STORE = f"projects/{PROJECT}/locations/{REGION}/metadataStores/default"
CONTEXTS = f"{STORE}/contexts"
SERIES = aiplatform_v1.TensorboardTimeSeries(display_name="loss", value_type="SCALAR")
_numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def sdk(clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Points the SDK at the emulator; each answer is as Google describes it."""
    send = requests.Session.send

    def checked(session: Any, request: Any, **options: Any) -> Any:
        response = send(session, request, **options)
        if response.url.startswith(f"{clients.url}/v1/"):
            check_contract(response)
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", checked)
        credentials = write_credentials(tmp_path_factory.mktemp("credentials"))
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
        aiplatform.init(
            project=PROJECT,
            location=REGION,
            api_endpoint=clients.url,
            api_transport="rest",
            credentials=AnonymousCredentials(),
        )
        yield
        aiplatform.initializer.global_config.__init__()  # as before `init`


@pytest.fixture
def experiment() -> str:
    """The name of a new experiment, which is the SDK's current one."""
    name = f"experiment-{next(_numbers)}"
    aiplatform.init(experiment=name)
    return name


@pytest.fixture(scope="module")
def series(clients: Clients) -> Any:
    """A time series of scalars in a TensorBoard of its own."""
    client = clients.tensorboards
    board = client.create_tensorboard(
        parent=clients.location, tensorboard={"display_name": "curves"}
    ).result()
    trained = client.create_tensorboard_experiment(
        parent=board.name,
        tensorboard_experiment={"source": "a job"},
        tensorboard_experiment_id="trained",
    )
    run = client.create_tensorboard_run(
        parent=trained.name, tensorboard_run={"display_name": "one"}, tensorboard_run_id="one"
    )
    return client.create_tensorboard_time_series(parent=run.name, tensorboard_time_series=SERIES)


@pytest.fixture(scope="module")
def store() -> str:
    """The metadata store that the SDK makes before the first experiment."""
    aiplatform.Experiment.get_or_create("any-experiment")
    return STORE


def refusal(clients: Clients, method: str, path: str, body: Any) -> str:
    """The code, the status and the message of the error that a request is answered with."""
    content = b"" if body is None else json.dumps(body).encode()
    status, answer = ask(clients, path, method, content)
    assert answer["error"]["code"] == status
    return f"{status} {answer['error']['status']} {answer['error']['message']}"


def points(series: Any, values: dict[int, float]) -> dict[str, Any]:
    """A request that writes a scalar by step."""
    name, _, series_id = series.name.partition("/timeSeries/")
    scalars = [{"step": step, "scalar": {"value": value}} for step, value in values.items()]
    data = {"tensorboard_time_series_id": series_id, "value_type": "SCALAR", "values": scalars}
    return {"tensorboard_run": name, "time_series_data": [data]}


def test_a_run_is_tracked(experiment: str) -> None:
    with aiplatform.start_run("run-1"):
        aiplatform.log_params({"learning_rate": 0.1, "optimizer": "adam"})
        aiplatform.log_metrics({"auc": 0.9, "errors": 0})
        aiplatform.log_params({"epochs": 3})
        for value in (1.0, 0.5, 0.25):
            aiplatform.log_time_series_metrics({"loss": value})
        aiplatform.log_classification_metrics(
            display_name="test rows", labels=["no", "yes"], matrix=[[9, 1], [2, 8]],
            fpr=[0.0, 0.5], tpr=[0.1, 0.9], threshold=[0.9, 0.1],
        )  # fmt: skip

    [row] = aiplatform.get_experiment_df().to_dict("records")
    assert row == {
        "experiment_name": experiment,
        "run_name": "run-1",
        "run_type": "system.ExperimentRun",
        "state": "COMPLETE",
        "param.learning_rate": 0.1,
        "param.optimizer": "adam",
        "param.epochs": 3.0,
        "metric.auc": 0.9,
        "metric.errors": 0.0,
        "time_series_metric.loss": 0.25,
    }
    run = aiplatform.ExperimentRun.get("run-1", experiment=experiment)
    assert run.get_params() == {"learning_rate": 0.1, "optimizer": "adam", "epochs": 3.0}
    assert list(run.get_time_series_data_frame()["loss"]) == [1.0, 0.5, 0.25]
    [found] = run.get_classification_metrics()
    assert (found["display_name"], found["matrix"]) == ("test rows", [[9, 1], [2, 8]])
    assert found["threshold"] == [0.9, 0.1]
    assert aiplatform.ExperimentRun.get("run-2", experiment=experiment) is None


def test_runs_go_on_and_go(experiment: str) -> None:
    for number in range(2):
        aiplatform.start_run(f"run-{number}")
        aiplatform.log_metrics({"auc": number})
        aiplatform.end_run(state=aiplatform.gapic.Execution.State.FAILED)
    aiplatform.start_run("run-1", resume=True)
    aiplatform.log_metrics({"loss": 2})
    aiplatform.end_run()
    with pytest.raises(exceptions.Conflict, match=r"experiment-.*-run-1 already exists"):
        aiplatform.start_run("run-1")

    runs = {run.name: run for run in aiplatform.ExperimentRun.list(experiment=experiment)}
    assert {name: run.get_metrics() for name, run in runs.items()} == {
        "run-0": {"auc": 0.0},
        "run-1": {"auc": 1.0, "loss": 2.0},
    }
    assert [runs[name].get_state() for name in sorted(runs)] == ["FAILED", "COMPLETE"]
    runs["run-0"].update_state(aiplatform.gapic.Execution.State.CANCELLED)
    assert runs["run-0"].get_state() == "CANCELLED"

    board = aiplatform.Experiment(experiment).get_backing_tensorboard_resource()
    names = aiplatform.TensorboardRun.list(
        tensorboard_experiment_name=experiment, tensorboard_id=board.name
    )
    assert {run.display_name for run in names} == {"run-0", "run-1"}
    runs["run-0"].delete(delete_backing_tensorboard_run=True)
    assert list(aiplatform.get_experiment_df(experiment)["run_name"]) == ["run-1"]
    aiplatform.Experiment(experiment).delete(delete_backing_tensorboard_runs=True)
    assert aiplatform.Experiment.get(experiment) is None
    assert experiment not in {each.name for each in aiplatform.Experiment.list()}
    assert not aiplatform.TensorboardRun.list(
        tensorboard_experiment_name=experiment, tensorboard_id=board.name
    )


def test_what_a_run_read_and_wrote(experiment: str, clients: Clients) -> None:
    run = aiplatform.start_run("run-1")
    with aiplatform.start_execution(
        schema_title="system.ContainerExecution", display_name="train", metadata={"epochs": 3}
    ) as execution:
        rows = aiplatform.Artifact.create(
            schema_title="system.Dataset", uri="gs://bucket/rows.csv", metadata={"rows": 7}
        )
        execution.assign_input_artifacts([rows])
        model = aiplatform.Artifact.create(schema_title="system.Model", uri="gs://bucket/model")
        execution.assign_output_artifacts([model])
        execution.assign_output_artifacts([model])
    aiplatform.end_run()

    assert execution.state.name == "COMPLETE"
    assert [each.uri for each in execution.get_input_artifacts()] == ["gs://bucket/rows.csv"]
    assert [each.uri for each in execution.get_output_artifacts()] == ["gs://bucket/model"]
    assert aiplatform.Artifact.get_with_uri("gs://bucket/rows.csv").metadata == {"rows": 7.0}
    assert [each.name for each in run.get_executions()] == [execution.name]
    graph = clients.metadata.query_context_lineage_subgraph(context=run.resource_name)
    assert {event.artifact: event.type_.name for event in graph.events} == {
        rows.resource_name: "INPUT",
        model.resource_name: "OUTPUT",
    }
    rows.delete()
    assert execution.get_input_artifacts() == []
    again = aiplatform.start_execution(resource_id=execution.name, resume=True)
    assert again.state.name == "RUNNING"


def test_a_job_is_a_run(experiment: str, clients: Clients) -> None:
    """One that names its run, one that gets one, and those that name what is not there."""
    names = "AIP_EXPERIMENT_NAME", "AIP_EXPERIMENT_RUN_NAME"
    code = f"import os; print(*map(os.environ.get, {names}))"
    run = aiplatform.start_run("run-1")
    aiplatform.end_run()
    job = spec(code)
    job["job_spec"] |= {
        "experiment": f"{CONTEXTS}/{experiment}",
        "experiment_run": run.resource_name,
    }
    name = run_job(clients, job).name
    assert f"{CONTEXTS}/{experiment} {run.resource_name}" in [
        entry.get("textPayload") for entry in entries(clients, name)
    ]
    found = aiplatform.ExperimentRun.get("run-1", experiment=experiment)
    assert [each.resource_name for each in found.get_logged_custom_jobs()] == [name]

    job["job_spec"]["experiment_run"] = ""
    made = create(clients, job)
    number = made.rpartition("/")[2]
    assert number in {each.name for each in aiplatform.ExperimentRun.list(experiment=experiment)}
    given = clients.jobs.get_custom_job(name=made).job_spec.experiment_run
    assert given == f"{CONTEXTS}/{experiment}-{number}"

    own, other = f"{CONTEXTS}/{experiment}", f"{CONTEXTS}/any-experiment"
    aiplatform.Experiment.get_or_create("any-experiment")
    for named, its_run, sentence in (
        ("none", "", "jobSpec.experiment: The Context does not exist"),
        (run.resource_name, "", "jobSpec.experiment: expected a context of system.Experiment"),
        ("", run.resource_name, "jobSpec.experimentRun: expected jobSpec.experiment"),
        (own, own, "jobSpec.experimentRun: expected a context of system.ExperimentRun"),
        (other, run.resource_name, "jobSpec.experimentRun: .* is no run of"),
    ):
        job["job_spec"] |= {"experiment": named, "experiment_run": its_run}
        with pytest.raises(exceptions.GoogleAPICallError, match=sentence):
            create(clients, job)


def test_a_run_has_a_tensorboard_of_its_own(experiment: str) -> None:
    aiplatform.init(experiment="without-curves", experiment_tensorboard=False)
    run = aiplatform.start_run("run-1")
    with pytest.raises(RuntimeError, match="backing tensorboard"):
        aiplatform.log_time_series_metrics({"loss": 1.0})
    board = aiplatform.Tensorboard.create(display_name="own", labels={"made": "here"})
    aiplatform.init(experiment="with-own-curves", experiment_tensorboard=board)
    backing = aiplatform.Experiment("with-own-curves").get_backing_tensorboard_resource()
    assert backing.resource_name == board.resource_name
    run.assign_backing_tensorboard(board)
    run.log_time_series_metrics({"loss": 0.5}, step=7)
    run.end_run()
    aiplatform.init(experiment=experiment)
    assert list(run.get_time_series_data_frame()["step"]) == [7]
    [found] = aiplatform.Tensorboard.list(filter='display_name="own" AND labels.made="here"')
    assert found.gca_resource.run_count == 1
    found.delete()
    assert aiplatform.Tensorboard.list(filter='display_name="own"') == []


def test_one_tensorboard_of_a_location_is_the_default(experiment: str) -> None:
    [first] = aiplatform.Tensorboard.list(filter="is_default=true")
    second = aiplatform.Tensorboard.create(display_name="second", is_default=True)
    assert [each.name for each in aiplatform.Tensorboard.list(filter="is_default=true")] == [
        second.name
    ]
    first.update(is_default=True, description="again")
    [found] = aiplatform.Tensorboard.list(filter="is_default=true")
    assert (found.name, found.gca_resource.description) == (first.name, "again")
    assert "second" in {each.display_name for each in aiplatform.Tensorboard.list(
        filter="is_default=false"
    )}  # fmt: skip
    second.delete()


def test_a_run_is_changed_from_two_places(experiment: str, clients: Clients) -> None:
    """The SDK merges over gRPC, and over REST it would fail: the emulator merges a known state."""
    aiplatform.start_run("run-1")
    aiplatform.log_params({"epochs": 3, "rate": 0.1})
    one = aiplatform.ExperimentRun.get("run-1", experiment=experiment)
    one.log_metrics({"auc": 0.9})
    aiplatform.log_params({"rate": 0.2, "layers": 2})
    one.log_params({"epochs": 4})
    aiplatform.end_run()
    found = aiplatform.ExperimentRun.get("run-1", experiment=experiment)
    assert found.get_params() == {"epochs": 4.0, "rate": 0.2, "layers": 2.0}
    assert (found.get_metrics(), found.get_state()) == ({"auc": 0.9}, "COMPLETE")

    stale = {"name": found.resource_name, "etag": "1", "description": "x"}
    with pytest.raises(exceptions.Conflict, match=r"Specified Context `etag`: `1` does not match"):
        clients.metadata.update_context(context=stale)
    with pytest.raises(exceptions.BadRequest, match="etag"):
        clients.metadata.delete_context({"name": found.resource_name, "etag": "1"})


def test_a_change_of_an_older_state_of_an_execution_is_refused(experiment: str) -> None:
    one = aiplatform.start_execution(schema_title="system.Run", display_name="one")
    other = aiplatform.Execution.get(one.name)
    one.update(description="first")
    assert int(one.gca_resource.etag) > int(other.gca_resource.etag)
    with pytest.raises(exceptions.Conflict, match=r"Specified Execution `etag`: `\d+` does not"):
        other.update(description="second")


@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        ('metadata.learning_rate.number_value = 0.1 AND display_name="filtered-*"', {"filtered-a"}),
        ('metadata."rate:1".number_value > 0.2', {"filtered-b"}),
        ("metadata.is_last.bool_value = true", {"filtered-b"}),
        ('metadata.kind.string_value = "linear"', {"filtered-a"}),
        ("metadata.nested.struct_value.fields.depth.number_value = 2", {"filtered-b"}),
        (f'parent_contexts:"{CONTEXTS}/filtered-a"', {"filtered-b"}),
        (f'child_contexts:"{CONTEXTS}/filtered-b"', {"filtered-a"}),
        (f'name="{CONTEXTS}/filtered-b" OR display_name="other"', {"filtered-b"}),
    ],
)  # fmt: skip
def test_filters(clients: Clients, store: str, filter_: str, names: set[str]) -> None:
    metadata: dict[str, Any] = {
        "filtered-a": {" learning_rate ": 0.1, "kind": "linear", "rate:1": 0.1},
        "filtered-b": {"is_last": True, "rate:1": 0.3, "nested": {"depth": 2}},
    }
    if not aiplatform.Context.get("filtered-a"):
        for name, values in metadata.items():
            aiplatform.Context.create(
                "system.Experiment", resource_id=name, display_name=name, metadata=values
            )
        clients.metadata.add_context_children(
            context=f"{CONTEXTS}/filtered-a", child_contexts=[f"{CONTEXTS}/filtered-b"]
        )
    found = clients.metadata.list_contexts(request={"parent": store, "filter": filter_})
    assert {each.display_name for each in found} == names


def test_a_point_is_the_last_of_its_step(clients: Clients, series: Any) -> None:
    client = clients.tensorboards
    client.write_tensorboard_run_data(points(series, {step: step / 10 for step in range(1500)}))
    client.write_tensorboard_run_data(points(series, {0: 5.0, -1: float("inf")}))
    data = client.read_tensorboard_time_series_data(
        {"tensorboard_time_series": series.name, "max_data_points": -1}
    ).time_series_data
    assert [(each.step, each.scalar.value) for each in data.values][:3] == [
        (-1, float("inf")), (0, 5.0), (1, 0.1),
    ]  # fmt: skip
    assert len(data.values) == 1501
    board = series.name.partition("/experiments/")[0]
    [batch] = client.batch_read_tensorboard_time_series_data(
        {"tensorboard": board, "time_series": [series.name]}
    ).time_series_data
    assert (len(batch.values), batch.values[-1].step) == (1000, 1499)
    exported = client.export_tensorboard_time_series_data(
        {"tensorboard_time_series": series.name, "page_size": 700}
    )
    assert [each.step for each in exported] == list(range(-1, 1500))
    changed = client.get_tensorboard_time_series(name=series.name)
    assert changed.metadata.max_step == 1499


def test_runs_and_series_in_batches(clients: Clients, series: Any) -> None:
    client = clients.tensorboards
    trained = series.name.partition("/runs/")[0]
    requests_ = [
        {"parent": trained, "tensorboard_run_id": name, "tensorboard_run": {"display_name": name}}
        for name in ("two", "three")
    ]
    made = client.batch_create_tensorboard_runs(parent=trained, requests=requests_)
    names = [run.name for run in made.tensorboard_runs]
    with pytest.raises(exceptions.Conflict, match="runs/three"):
        client.batch_create_tensorboard_runs(
            parent=trained,
            requests=[
                {"parent": trained, "tensorboard_run_id": "four",
                 "tensorboard_run": {"display_name": "four"}},
                requests_[1],
            ],
        )  # fmt: skip
    listed = client.list_tensorboard_runs(
        {"parent": trained, "filter": 'display_name="t*" OR display_name="four"', "page_size": 1}
    )
    assert [run.name for run in listed] == names[::-1]
    both = client.batch_create_tensorboard_time_series(
        parent=trained,
        requests=[{"parent": name, "tensorboard_time_series": SERIES} for name in names],
    ).tensorboard_time_series
    client.write_tensorboard_experiment_data(
        tensorboard_experiment=trained,
        write_run_data_requests=[points(each, {1: 0.5}) for each in both],
    )
    renamed = client.update_tensorboard_run(
        tensorboard_run={"name": names[0], "display_name": "last"}, update_mask="displayName"
    )
    assert renamed.display_name == "last"
    client.delete_tensorboard_run(name=names[0]).result()
    with pytest.raises(exceptions.NotFound, match="TensorboardTimeSeries does not exist"):
        client.read_tensorboard_time_series_data(tensorboard_time_series=both[0].name)


EXPERIMENT = {"schemaTitle": "system.Experiment"}


@pytest.mark.parametrize(
    ("path", "body", "part"),
    [
        ("contexts?contextId=A", EXPERIMENT, "400 INVALID_ARGUMENT contextId: expected 4 to 128"),
        ("contexts", {}, "400 INVALID_ARGUMENT schemaTitle: expected one such as"),
        ("contexts", {"schemaTitle": "system.Model"}, "400 INVALID_ARGUMENT schemaTitle: system."),
        ("contexts", {"schemaTitle": "system.Experment"}, "404 NOT_FOUND schemaTitle: the Meta"),
        ("contexts", EXPERIMENT | {"schemaVersion": "1"}, "400 INVALID_ARGUMENT schemaVersion: "),
        ("contexts", {"metadata": 7}, "400 INVALID_ARGUMENT Invalid Context: Failed to parse"),
        ("contexts", {"displayName": "x" * 129}, "400 INVALID_ARGUMENT displayName: expected at"),
        ("contexts", {"metadata": {"a": "x" * 204_800}}, "400 INVALID_ARGUMENT metadata: exp"),
        ("contexts?contextId=bad-one", EXPERIMENT, "409 ALREADY_EXISTS Context with name projects"),
        ("contexts/none:addContextChildren", {}, "404 NOT_FOUND The Context does not exist"),
        ("contexts/bad-one:addContextChildren", {"childContexts": [f"{CONTEXTS}/bad-one"]},
         "400 INVALID_ARGUMENT childContexts[0]: "),
        ("contexts/bad-one:addContextArtifactsAndExecutions", {"artifacts": ["none"]},
         "404 NOT_FOUND The Artifact does not exist: none"),
        ("executions/none:addExecutionEvents", {}, "404 NOT_FOUND The Execution does not exist"),
        ("executions/bad-one:addExecutionEvents", {"events": [{"type": "INPUT"}]},
         "400 INVALID_ARGUMENT events[0].artifact: expected"),
        ("executions/bad-one:addExecutionEvents", {"events": [{"artifact": "a"}]},
         "400 INVALID_ARGUMENT events[0].type: expected INPUT"),
    ],
)  # fmt: skip
def test_bad_nodes(clients: Clients, store: str, path: str, body: Any, part: str) -> None:
    for collection, title in (("contexts", "system.Experiment"), ("executions", "system.Run")):
        made = f"/v1/{store}/{collection}?{collection[:-1]}Id=bad-one"
        ask(clients, made, "POST", json.dumps({"schemaTitle": title}).encode())
    assert refusal(clients, "POST", f"/v1/{store}/{path}", body).startswith(part)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("contexts?filter=uri=1", "filter: unknown field 'uri'"),
        ("artifacts?filter=in_context()", "in_context: expected the resource name of one context"),
        ("artifacts?filter=in_contxt(%22a%22)", "a function 'in_contxt' (known: in_context)"),
        ("contexts?filter=in_context(%22a%22)", "(known: none)"),
        ("executions?orderBy=nothing", "orderBy: "),
    ],
)
def test_bad_lists(clients: Clients, store: str, path: str, part: str) -> None:
    assert part in refusal(clients, "GET", f"/v1/{store}/{path}", None)


SCALAR = {"valueType": "SCALAR"}


@pytest.mark.parametrize(
    ("request_", "body", "part"),
    [
        ("POST /timeSeries", SCALAR | {"displayName": "loss"}, "409 ALREADY_EXISTS displayName: "),
        ("POST /timeSeries", {"displayName": "x"}, "400 INVALID_ARGUMENT valueType: expected SCAL"),
        ("POST /timeSeries?tensorboardTimeSeriesId=A", SCALAR,
         "400 INVALID_ARGUMENT tensorboardTimeSeriesId: expected"),
        ("POST :write", {"timeSeriesData": [{"tensorboardTimeSeriesId": "7"}]},
         "404 NOT_FOUND The TensorboardTimeSeries does not exist"),
        ("POST :write", {"timeSeriesData": [{"tensorboardTimeSeriesId": "ID"}]},
         "400 INVALID_ARGUMENT timeSeriesData[0].valueType: "),
        ("POST :write", {"timeSeriesData": [
            SCALAR | {"tensorboardTimeSeriesId": "ID", "values": [{"step": 1}]}]},
         "400 INVALID_ARGUMENT timeSeriesData[0].values[0]: expected scalar"),
        ("POST :write", {"timeSeriesData": [{"values": [{}] * 5001}]},
         "400 INVALID_ARGUMENT timeSeriesData: expected at most 5000 points, got 5001"),
        ("GET /timeSeries/ID:read?maxDataPoints=0x1", None, "400 INVALID_ARGUMENT maxDataPoints: "),
        ("GET /timeSeries/ID:read?filter=step=1", None, "400 UNIMPLEMENTED filter: the emulator"),
        ("PATCH /timeSeries/ID", {"valueType": "TENSOR"}, "400 INVALID_ARGUMENT valueType: it can"),
        ("PATCH ?updateMask=name", {}, "400 INVALID_ARGUMENT updateMask: expected some of"),
        ("PATCH ?updateMask=displayName", {}, "400 INVALID_ARGUMENT displayName: expected 1 to"),
    ],
)  # fmt: skip
def test_bad_curves(clients: Clients, series: Any, request_: str, body: Any, part: str) -> None:
    run, _, series_id = series.name.partition("/timeSeries/")
    method, _, path = request_.replace("ID", series_id).partition(" ")
    body = body and json.loads(json.dumps(body).replace('"ID"', f'"{series_id}"'))
    assert refusal(clients, method, f"/v1/{run}{path}", body).startswith(part)


def test_a_store_goes_with_what_it_holds(clients: Clients) -> None:
    client = clients.metadata
    store = client.create_metadata_store(
        parent=clients.location, metadata_store={"description": "x"}, metadata_store_id="another"
    ).result()
    made = client.create_artifact(
        parent=store.name, artifact={"schema_title": "system.Artifact"}, artifact_id="kept"
    )
    assert store.name in [
        each.name for each in client.list_metadata_stores(parent=clients.location)
    ]
    client.delete_metadata_store(name=store.name).result()
    with pytest.raises(exceptions.NotFound):
        client.get_artifact(name=made.name)
    with pytest.raises(exceptions.NotFound, match="MetadataStore does not exist"):
        client.list_artifacts(parent=store.name)
