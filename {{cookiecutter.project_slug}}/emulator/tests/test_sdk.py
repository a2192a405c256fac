"""The high-level SDK, `google.cloud.aiplatform`, as its users call it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tunings
from custom_jobs import output, spec
from google.cloud import aiplatform
from google.cloud.aiplatform import hyperparameter_tuning
from times_model import IMAGE

from vertex_emulator.testing.clients import Clients

pytestmark = pytest.mark.usefixtures("sdk")


@pytest.fixture(scope="module")
def upload(sdk: None, clients: Clients, exports: Path) -> Callable[..., Any]:
    """Uploads a model that multiplies by 2 or 3, as a new model or as a version."""
    for file in exports.rglob("*"):
        if file.is_file():
            name = f"exports/{file.relative_to(exports).as_posix()}"
            clients.storage.bucket("sdk-bucket").blob(name).upload_from_filename(file)

    def call(factor: int, **options: Any) -> Any:
        return aiplatform.Model.upload(
            display_name="sdk-times",
            artifact_uri=f"gs://sdk-bucket/exports/{factor}",
            serving_container_image_uri=IMAGE,
            serving_container_args=[
                "--rest_api_port=$(AIP_HTTP_PORT)",
                "--model_name=times",
                "--model_base_path=$(AIP_STORAGE_URI)",
            ],
            serving_container_health_route="/v1/models/times",
            serving_container_predict_route="/v1/models/times:predict",
            **options,
        )

    return call


def custom_job(name: str, code: str) -> Any:
    pools = spec(code)["job_spec"]["worker_pool_specs"]
    return aiplatform.CustomJob(display_name=name, worker_pool_specs=pools, labels={"made": "sdk"})


def test_a_job_runs_to_its_end(clients: Clients) -> None:
    job = custom_job("sdk-runs", "print('done')")
    job.run()
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert job.start_time <= job.end_time
    found = aiplatform.CustomJob.list(filter='display_name="sdk-runs"')
    assert [each.resource_name for each in found] == [job.resource_name]
    assert aiplatform.CustomJob.get(job.resource_name).labels == {"made": "sdk"}
    job.delete()
    assert aiplatform.CustomJob.list(filter='display_name="sdk-runs"') == []


def test_a_tuning_runs_to_its_end() -> None:
    tuning = aiplatform.HyperparameterTuningJob(
        display_name="sdk-tunes",
        custom_job=custom_job("sdk-tunes", tunings.CODE),
        metric_spec={"score": "maximize"},
        parameter_spec={
            "x": hyperparameter_tuning.DoubleParameterSpec(min=0, max=1, scale="linear"),
            "units": hyperparameter_tuning.DiscreteParameterSpec(values=[16, 32], scale="log"),
            "activation": hyperparameter_tuning.CategoricalParameterSpec(values=["relu", "elu"]),
            "layers": hyperparameter_tuning.IntegerParameterSpec(min=1, max=3, scale="unspecified"),
        },
        max_trial_count=2,
        parallel_trial_count=2,
    )
    tuning.run()
    assert tuning.state.name == "JOB_STATE_SUCCEEDED"
    assert [trial.state.name for trial in tuning.trials] == ["SUCCEEDED", "SUCCEEDED"]
    assert tuning.trials[0].final_measurement.metrics[0].metric_id == "score"
    found = aiplatform.HyperparameterTuningJob.list(filter='display_name="sdk-tunes"')
    assert [each.resource_name for each in found] == [tuning.resource_name]
    tuning.delete()


def test_a_failed_job_raises_its_reason() -> None:
    job = custom_job("sdk-fails", "raise ValueError('the reason')")
    with pytest.raises(RuntimeError, match="ValueError: the reason"):
        job.run()
    assert job.state.name == "JOB_STATE_FAILED"
    assert "the reason" in job.error.message


def test_a_job_is_cancelled() -> None:
    job = custom_job("sdk-cancelled", "import time; time.sleep(600)")
    job.submit()
    assert job.state.name in ("JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING")
    job.cancel()
    while job.state.name != "JOB_STATE_CANCELLED":
        assert job.state.name != "JOB_STATE_SUCCEEDED"
        time.sleep(0.05)
    job.delete()


@pytest.mark.parametrize(
    "image", ["us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest", "python:3.12"]
)
def test_a_script_becomes_a_job(clients: Clients, tmp_path: Path, image: str) -> None:
    """`from_local_script` makes a package, or for other images a command of a shell."""
    script = tmp_path / "task.py"
    script.write_text("import sys\nprint(sys.prefix, __file__, *sys.argv[1:], sep='\\n')\n")
    job = aiplatform.CustomJob.from_local_script(
        display_name="sdk-script",
        script_path=str(script),
        container_uri=image,
        args=["--epochs", "1"],
        machine_type="n1-standard-4",
    )
    job.run()
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    prefix, file, *args = output(clients, job.resource_name)[-4:]
    # Installed by the job's own interpreter, and nothing of it beside the job's folder.
    assert Path(prefix).name == "python"
    assert Path(file).is_relative_to(Path(prefix).parent)
    assert args == ["--epochs", "1"]


def test_versions_and_aliases(upload: Callable[..., Any]) -> None:
    first = upload(2, version_aliases=["stable"], version_description="doubles")
    assert (first.version_id, sorted(first.version_aliases)) == ("1", ["default", "stable"])
    second = upload(3, parent_model=first.resource_name, is_default_version=False)
    assert (second.version_id, list(second.version_aliases)) == ("2", [])
    third = upload(
        2,
        parent_model=first.resource_name,
        is_default_version=True,
        version_aliases=["candidate"],
    )
    assert sorted(third.version_aliases) == ["candidate", "default"]

    registry = first.versioning_registry
    assert [each.version_id for each in registry.list_versions()] == ["3", "2", "1"]
    registry.add_version_aliases(["stable"], "2")
    assert registry.get_version_info("stable").version_id == "2"
    registry.remove_version_aliases(["stable"], "2")
    assert registry.get_version_info("2").version_aliases == []
    assert registry.get_model("candidate").version_id == "3"
    registry.delete_version("candidate")
    assert {each.version_id: each.version_aliases for each in registry.list_versions()} == {
        "1": [],
        "2": ["default"],
    }

    [found] = aiplatform.Model.list(filter='display_name="sdk-times"')
    assert found.resource_name == first.resource_name
    changed = found.update(display_name="sdk-renamed", labels={"kind": "times"})
    assert (changed.display_name, changed.labels) == ("sdk-renamed", {"kind": "times"})
    found.delete()
    assert aiplatform.Model.list(filter='labels.kind="times"') == []


def test_an_endpoint_serves_versions(upload: Callable[..., Any]) -> None:
    model = upload(2)
    version = upload(3, parent_model=model.resource_name)
    endpoint = aiplatform.Endpoint.create(display_name="sdk-endpoint", labels={"made": "sdk"})
    [listed] = aiplatform.Endpoint.list(
        filter='display_name="sdk-endpoint"', order_by="create_time"
    )
    assert listed.resource_name == endpoint.resource_name

    endpoint.deploy(model, machine_type="n1-standard-2", deployed_model_display_name="two")
    answer = endpoint.predict(instances=[{"x": 5.0}])
    assert answer.predictions == [{"y": 10.0, "twice": 10.0}]
    assert (answer.model_version_id, answer.model_resource_name) == ("1", model.resource_name)

    endpoint.deploy(
        version,
        machine_type="n1-standard-2",
        traffic_percentage=100,
        deployed_model_display_name="three",
    )
    assert endpoint.predict(instances=[{"x": 5.0}]).predictions[0]["y"] == 15.0
    ids = {each.display_name: each.id for each in endpoint.list_models()}
    assert endpoint.traffic_split == {ids["three"]: 100}

    endpoint.update(traffic_split={ids["two"]: 100, ids["three"]: 0}, display_name="sdk-renamed")
    assert endpoint.display_name == "sdk-renamed"
    assert endpoint.predict(instances=[{"x": 5.0}]).predictions[0]["y"] == 10.0

    endpoint.undeploy(deployed_model_id=ids["three"])
    assert [each.id for each in endpoint.list_models()] == [ids["two"]]
    endpoint.undeploy_all()
    assert endpoint.list_models() == []
    endpoint.delete()
    assert aiplatform.Endpoint.list(filter='labels.made="sdk"') == []
    model.delete()
