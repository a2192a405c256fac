"""Training pipelines as the SDK's classes make them: a job, and what it trained as a Model."""

import time
from pathlib import Path
from typing import Any

import pytest
from custom_jobs import output
from google.cloud import aiplatform

from vertex_emulator.testing.clients import Clients

pytestmark = pytest.mark.usefixtures("sdk")
IMAGE = "us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest"
SERVING = "us-central1-docker.pkg.dev/p/docker-hub/tensorflow/serving:2.19.1"
TRAIN = """
import os, sys
from google.cloud import storage
from {package}.helper import text
bucket, _, path = os.environ["AIP_MODEL_DIR"].removeprefix("gs://").partition("/")
storage.Client().bucket(bucket).blob(path + "1/saved_model.pb").upload_from_string(text)
print(*sys.argv[1:], os.environ["FLAVOUR"])
"""


def container_job(code: str, **options: Any) -> Any:
    return aiplatform.CustomContainerTrainingJob(
        display_name="container-pipeline",
        container_uri="python:3.12",
        command=["python", "-c", code],
        **options,
    )


def backing_job(job: Any) -> Any:
    name = job.to_dict()["trainingTaskMetadata"]["backingCustomJob"]
    return aiplatform.CustomJob.get(name)


def test_a_script_becomes_a_model(clients: Clients, tmp_path: Path) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "helper.py").write_text("text = 'a model'\n")
    (folder / "task.py").write_text(TRAIN.format(package="aiplatform_custom_trainer_script"))
    job = aiplatform.CustomTrainingJob(
        display_name="script-pipeline",
        script_path=str(folder),
        container_uri=IMAGE,
        requirements=["google-cloud-storage"],
        model_serving_container_image_uri=SERVING,
        model_serving_container_predict_route="/v1/models/m:predict",
        labels={"made": "pipeline"},
    )
    model = job.run(
        args=["--epochs=1"],
        environment_variables={"FLAVOUR": "sweet"},
        base_output_dir="gs://sdk-bucket/script-pipeline",
        model_display_name="script-model",
        model_id="script_model",
        service_account="trainer@p.iam.gserviceaccount.com",
        enable_web_access=True,
        timeout=600,
    )
    assert (model.display_name, model.name, model.version_id) == (
        "script-model",
        "script_model",
        "1",
    )
    assert model.uri == "gs://sdk-bucket/script-pipeline/model"
    assert model.container_spec.image_uri == SERVING
    assert model.labels == {"made": "pipeline"}
    assert model.to_dict()["trainingPipeline"] == job.resource_name
    assert job.state.name == "PIPELINE_STATE_SUCCEEDED"
    assert job.get_model().resource_name == model.resource_name
    custom = backing_job(job)
    assert custom.display_name == "script-pipeline-custom-job"
    assert output(clients, custom.resource_name)[-1] == "--epochs=1 sweet"
    found = aiplatform.CustomTrainingJob.list(
        filter='labels.made="pipeline" AND state="PIPELINE_STATE_SUCCEEDED"'
        ' AND training_task_definition:"*custom_task*" AND display_name:"script-*"'
    )
    assert [each.resource_name for each in found] == [job.resource_name]

    # The next version of it, by the same package.
    package = custom.to_dict()["jobSpec"]["workerPoolSpecs"][0]["pythonPackageSpec"]
    again = aiplatform.CustomPythonPackageTrainingJob(
        display_name="package-pipeline",
        python_package_gcs_uri=package["packageUris"][0],
        python_module_name="aiplatform_custom_trainer_script.task",
        container_uri=IMAGE,
        model_serving_container_image_uri=SERVING,
    )
    second = again.run(
        environment_variables={"FLAVOUR": "sour"},
        parent_model=model.resource_name,
        model_version_aliases=["sour"],
        is_default_version=False,
        model_version_description="another flavour",
    )
    assert second.version_id == "2"
    assert list(second.version_aliases) == ["sour"]
    assert second.resource_name == model.resource_name
    job.delete()
    again.delete()
    assert aiplatform.CustomTrainingJob.list(filter='labels.made="pipeline"') == []
    assert aiplatform.Model(model.resource_name).version_id == "1"  # the default still


def test_a_container_without_a_model() -> None:
    job = container_job("import os; print(os.environ['AIP_CHECKPOINT_DIR'])")
    assert job.run(args=["--a"], sync=False) is None
    job.wait()
    assert job.state.name == "PIPELINE_STATE_SUCCEEDED"
    with pytest.raises(RuntimeError, match="is not configured to upload a Model"):
        job.get_model()


def test_a_pipeline_fails_with_its_job_or_without_a_model() -> None:
    job = container_job("raise ValueError('the reason')")
    with pytest.raises(RuntimeError, match="ValueError: the reason"):
        job.run()
    assert job.state.name == "PIPELINE_STATE_FAILED"
    job = container_job("print('nothing exported')", model_serving_container_image_uri=SERVING)
    with pytest.raises(RuntimeError, match="artifactUri: there are no objects under gs://sdk-buc"):
        job.run()
    assert backing_job(job).state.name == "JOB_STATE_SUCCEEDED"
    assert aiplatform.Model.list(filter='display_name="container-pipeline-model"') == []


def test_a_pipeline_is_cancelled() -> None:
    job = container_job("import time; time.sleep(600)")
    job.submit()
    with pytest.raises(Exception, match="cancel it before deleting it"):
        job.delete()
    job.cancel()
    while job.state.name != "PIPELINE_STATE_CANCELLED":
        assert job.state.name in ("PIPELINE_STATE_RUNNING", "PIPELINE_STATE_CANCELLING")
        time.sleep(0.05)
    assert backing_job(job).state.name == "JOB_STATE_CANCELLED"
    job.cancel()  # one that has ended stays as it is
    assert job.state.name == "PIPELINE_STATE_CANCELLED"
    job.delete()


def test_an_image_without_a_command_is_refused() -> None:
    job = aiplatform.CustomContainerTrainingJob(display_name="c", container_uri="python:3.12")
    with pytest.raises(Exception, match=r"trainingTaskInputs.workerPoolSpecs\[0\].containerSpec"):
        job.run()
