"""The calls of Google's public samples, each with the names of those that make them.

`builder` are the samples of python-aiplatform, `notebook` those of vertex-ai-samples.
"""

import importlib
import importlib.util
import time
from typing import Any

import requests
from google.cloud import aiplatform
from google.cloud.aiplatform import hyperparameter_tuning as hpt
from google.cloud.aiplatform.metadata.schema.system import artifact_schema, execution_schema

from benchmarks.sample_world import (
    BUCKET,
    DISTRIBUTED_SCRIPT,
    MACHINE,
    PREDICTION,
    SAMPLES,
    SKLEARN_SCRIPT,
    TABLE_SCRIPT,
    TENSORFLOW_SCRIPT,
    TRAINING,
    TUNING_SCRIPT,
    XGBOOST_SCRIPT,
    DiffersError,
    World,
    sample,
)

__all__ = ["SAMPLES"]
GPU = {"accelerator_type": "NVIDIA_TESLA_K80", "accelerator_count": 1}
METRICS = {"accuracy": 0.9, "loss": 0.1}


# Custom training


@sample(
    "builder: custom_training_job_sample",
    "builder: create_training_pipeline_custom_job_sample",
    "notebook: custom/sdk-custom-image-classification-online",
)
def train_deploy_and_predict(world: World) -> None:
    job = aiplatform.CustomTrainingJob(
        display_name=world.name("job"),
        script_path=world.script(TENSORFLOW_SCRIPT),
        container_uri=f"{TRAINING}/tf-gpu.2-8:latest",
        model_serving_container_image_uri=f"{PREDICTION}/tf2-gpu.2-8:latest",
    )
    model = job.run(
        model_display_name=world.name("model"),
        args=["--epochs=1"],
        replica_count=1,
        machine_type=MACHINE,
        training_fraction_split=0.8,
        validation_fraction_split=0.1,
        test_fraction_split=0.1,
        sync=True,
        **GPU,
    )
    model.wait()
    endpoint = model.deploy(
        deployed_model_display_name=world.name("deployed"),
        traffic_split={"0": 100},
        machine_type=MACHINE,
        min_replica_count=1,
        max_replica_count=1,
        **GPU,
    )
    answer = endpoint.predict(instances=[[1.0, 2.0], [3.0, 4.0]])
    assert len(answer.predictions) == 2
    endpoint.undeploy(deployed_model_id=answer.deployed_model_id)
    endpoint.delete()
    model.delete()


@sample("builder: create_training_pipeline_custom_package_job_sample")
def train_a_package(world: World) -> None:
    job = aiplatform.CustomPythonPackageTrainingJob(
        display_name=world.name("job"),
        python_package_gcs_uri=world.package,
        python_module_name="aiplatform_custom_trainer_script.task",
        container_uri=f"{TRAINING}/sklearn-cpu.1-6:latest",
        model_serving_container_image_uri=f"{PREDICTION}/sklearn-cpu.1-6:latest",
    )
    model = job.run(
        model_display_name=world.name("model"), args=[], replica_count=1, machine_type=MACHINE
    )
    model.wait()
    assert model.uri


@sample(
    "builder: create_training_pipeline_custom_container_job_sample",
    "notebook: custom/custom_training_container_and_model_registry",
)
def train_in_a_container(world: World) -> None:
    def run(**options: Any) -> Any:
        job = aiplatform.CustomContainerTrainingJob(
            display_name=world.name("job"),
            container_uri="us-docker.pkg.dev/p/r/own:latest",
            model_serving_container_image_uri=f"{PREDICTION}/sklearn-cpu.1-6:latest",
            **options,
        )
        return job.run(model_display_name=world.name("model"), machine_type=MACHINE)

    assert run(command=["python", "-c", SKLEARN_SCRIPT]).uri
    raise DiffersError("`command` names what the image would run")


@sample(
    "builder: create_and_import_dataset_tabular_gcs_sample",
    "notebook: sdk/SDK_End_to_End_Tabular_Custom_Training",
)
def train_on_a_managed_table(world: World) -> None:
    table = aiplatform.TabularDataset.create(display_name="table", gcs_source=world.table)
    table.wait()
    assert set(table.column_names) == {"x", "y"}
    job = aiplatform.CustomTrainingJob(
        display_name=world.name("job"),
        script_path=world.script(TABLE_SCRIPT),
        container_uri=f"{TRAINING}/tf-cpu.2-9:latest",
        requirements=["gcsfs", "pandas"],
        model_serving_container_image_uri=f"{PREDICTION}/tf2-cpu.2-9:latest",
    )
    model = job.run(table, replica_count=1, model_display_name=world.name("model"))
    endpoint = model.deploy(machine_type=MACHINE)
    assert len(endpoint.predict([[0.5], [1.5]]).predictions) == 2
    endpoint.undeploy_all()
    endpoint.delete()
    table.delete()


@sample("notebook: training/get_started_with_vertex_distributed_training")
def train_distributed(world: World) -> None:
    job = aiplatform.CustomTrainingJob(
        display_name=world.name("job"),
        script_path=world.script(DISTRIBUTED_SCRIPT),
        container_uri=f"{TRAINING}/tf-cpu.2-8:latest",
    )
    assert job.run(args=[], replica_count=2, machine_type=MACHINE, sync=True) is None
    assert job.state.name == "PIPELINE_STATE_SUCCEEDED"


@sample("notebook: tensorboard/tensorboard_custom_training_with_prebuilt_container")
def train_with_a_tensorboard(world: World) -> None:
    board = aiplatform.Tensorboard.create(display_name=world.name("board"))
    job = aiplatform.CustomTrainingJob(
        display_name=world.name("job"),
        script_path=world.script(TENSORFLOW_SCRIPT),
        container_uri=f"{TRAINING}/tf-cpu.2-8:latest",
    )
    job.run(
        replica_count=1,
        machine_type=MACHINE,
        base_output_dir=f"gs://{BUCKET}/board",
        tensorboard=board.resource_name,
        service_account="trainer@p.iam.gserviceaccount.com",
    )
    assert list(world.bucket.list_blobs(prefix="board/logs/"))
    raise DiffersError("the curves are in the bucket, and not in the TensorBoard resource")


@sample("builder: create_custom_job_with_experiment_sample")
def train_in_an_experiment(world: World) -> None:
    experiment = world.experiment()
    run = world.run_of(experiment)
    job = aiplatform.CustomJob.from_local_script(
        display_name=world.name("job"),
        script_path=world.script("print('trained')"),
        container_uri=f"{TRAINING}/tf-cpu.2-8:latest",
    )
    job.run(
        service_account="trainer@p.iam.gserviceaccount.com",
        experiment=experiment,
        experiment_run=run,
    )
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    raise DiffersError("what the job's own calls log goes to Google; the job itself runs")


# Models, endpoints, batch prediction


@sample("builder: upload_model_sample", "builder: model_registry/create_model_sample")
def upload(world: World) -> None:
    model = world.upload(
        serving_container_predict_route="/predict",
        serving_container_health_route="/health",
        serving_container_ports=[8080],
        serving_container_environment_variables={"A": "b"},
        description="a model",
        sync=True,
    )
    model.wait()
    assert model.display_name
    assert model.resource_name


@sample("builder: create_endpoint_sample")
def create_an_endpoint(world: World) -> None:
    endpoint = aiplatform.Endpoint.create(display_name=world.name("endpoint"))
    assert endpoint.display_name
    endpoint.delete()


@sample(
    "builder: deploy_model_custom_trained_model_sample",
    "builder: deploy_model_with_dedicated_resources_sample",
)
def deploy(world: World) -> None:
    endpoint = aiplatform.Endpoint.create(display_name=world.name("endpoint"))
    model = aiplatform.Model(model_name=world.model.resource_name)
    model.deploy(
        endpoint=endpoint,
        deployed_model_display_name="deployed",
        traffic_percentage=100,
        machine_type=MACHINE,
        min_replica_count=1,
        max_replica_count=1,
        metadata=(),
        sync=True,
        **GPU,
    )
    model.wait()
    assert endpoint.predict([[0, 0]]).predictions == ["low"]
    endpoint.undeploy_all()
    endpoint.delete()


@sample(
    "builder: create_batch_prediction_job_dedicated_resources_sample",
    "notebook: custom/sdk-custom-image-classification-batch",
)
def predict_a_batch(world: World) -> None:
    job = aiplatform.Model(world.model.resource_name).batch_predict(
        job_display_name=world.name("batch"),
        gcs_source=world.rows,
        gcs_destination_prefix=f"gs://{BUCKET}/batch",
        instances_format="jsonl",
        predictions_format="jsonl",
        machine_type=MACHINE,
        starting_replica_count=1,
        max_replica_count=1,
        sync=True,
        **GPU,
    )
    job.wait()
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert any("prediction.results" in blob.name for blob in job.iter_outputs())


@sample("notebook: prediction/get_started_with_tf_serving")
def serve_with_tensorflow_serving(world: World) -> None:
    model = aiplatform.Model.upload(
        display_name=world.name("model"),
        artifact_uri=world.tensorflow_export,
        serving_container_image_uri="us-docker.pkg.dev/p/r/tensorflow/serving:2.19.1",
        serving_container_args=[
            "--rest_api_port=8080",
            "--model_name=m",
            "--model_base_path=$(AIP_STORAGE_URI)",
        ],
        serving_container_health_route="/v1/models/m",
        serving_container_predict_route="/v1/models/m:predict",
    )
    endpoint = model.deploy(machine_type=MACHINE)
    assert len(endpoint.predict([[1.0, 2.0]]).predictions) == 1
    endpoint.delete(force=True)


@sample("notebook: custom/get_started_vertex_training_xgboost")
def serve_xgboost(world: World) -> None:
    if importlib.util.find_spec("xgboost") is None:
        raise DiffersError("runs where xgboost is installed beside the emulator")
    job = aiplatform.CustomTrainingJob(
        display_name=world.name("job"),
        script_path=world.script(XGBOOST_SCRIPT),
        container_uri=f"{TRAINING}/xgboost-cpu.1-7:latest",
        model_serving_container_image_uri=f"{PREDICTION}/xgboost-cpu.1-7:latest",
    )
    endpoint = job.run(replica_count=1, machine_type=MACHINE).deploy(machine_type=MACHINE)
    assert len(endpoint.predict([[0.0, 0.0], [1.0, 1.0]]).predictions) == 2
    endpoint.delete(force=True)


@sample("notebook: prediction/get_started_with_raw_predict")
def predict_raw(world: World) -> None:
    endpoint = aiplatform.Model(world.model.resource_name).deploy(machine_type=MACHINE)
    url = f"{aiplatform.initializer.global_config.api_endpoint}/v1/{endpoint.resource_name}"
    answer = requests.post(f"{url}:rawPredict", json={"instances": [[1, 1]]}, timeout=60)
    assert answer.json()["predictions"] == ["high"]
    endpoint.delete(force=True)
    raise DiffersError("by another client: the SDK's `raw_predict` asks Google's own address")


@sample(
    "builder: model_registry/create_default_model_sample",
    "builder: model_registry/create_aliased_model_sample",
    "builder: model_registry/create_model_registry_sample",
    "builder: model_registry/upload_new_model_version_sample",
    "builder: model_registry/upload_new_default_model_version_sample",
    "builder: model_registry/upload_new_aliased_model_version_sample",
    "builder: model_registry/assign_aliases_model_version_sample",
    "builder: model_registry/assign_aliases_to_model_version_sample",
    "builder: model_registry/delete_aliases_model_version_sample",
    "builder: model_registry/get_model_version_info_sample",
    "builder: model_registry/get_registered_model_version_sample",
    "builder: model_registry/list_model_versions_sample",
    "builder: model_registry/list_model_versions_with_model_registry_sample",
    "builder: model_registry/delete_model_version_sample",
    "builder: model_registry/delete_model_sample",
    "notebook: model_registry/get_started_with_model_registry",
)
def keep_versions(world: World) -> None:
    first = world.upload(is_default_version=True, version_aliases=["v1"])
    world.upload(parent_model=first.resource_name, is_default_version=False)
    world.upload(
        parent_model=first.resource_name,
        is_default_version=True,
        version_aliases=["stable"],
        version_description="the third",
    )
    registry = aiplatform.models.ModelRegistry(model=first.name)
    assert [each.version_id for each in registry.list_versions()] == ["3", "2", "1"]
    registry.add_version_aliases(new_aliases=["second"], version="2")
    assert registry.get_version_info(version="second").version_id == "2"
    assert registry.get_model(version="stable").version_id == "3"
    registry.remove_version_aliases(target_aliases=["second"], version="2")
    registry.delete_version(version="2")
    assert len(aiplatform.Model(first.name).versioning_registry.list_versions()) == 2
    aiplatform.Model(model_name=first.name).delete()


@sample("builder: model_registry/upload_new_model_version_using_custom_training_pipeline_sample")
def train_a_version(world: World) -> None:
    table = aiplatform.TabularDataset.create(display_name="table", gcs_source=world.table)
    job = aiplatform.CustomTrainingJob(
        display_name=world.name("job"),
        script_path=world.script(SKLEARN_SCRIPT),
        container_uri=f"{TRAINING}/sklearn-cpu.1-6:latest",
        model_serving_container_image_uri=f"{PREDICTION}/sklearn-cpu.1-6:latest",
    )
    model = job.run(
        dataset=aiplatform.TabularDataset(table.name),
        args=[],
        replica_count=1,
        machine_type=MACHINE,
        accelerator_count=0,
        model_id=world.name("trained"),
        model_version_aliases=["candidate"],
        model_version_description="trained",
        is_default_version=True,
    )
    assert "candidate" in model.version_aliases


# Tuning


def _tuning(world: World, **options: Any) -> Any:
    image = "us-docker.pkg.dev/p/r/own:latest"
    pool = {
        "machine_spec": {"machine_type": MACHINE, **GPU},
        "replica_count": 1,
        "container_spec": {"image_uri": image, "command": ["python", "-c", TUNING_SCRIPT]},
    }
    return aiplatform.HyperparameterTuningJob(
        display_name=world.name("tuning"),
        custom_job=aiplatform.CustomJob(display_name="trial", worker_pool_specs=[pool]),
        metric_spec={"loss": "minimize"},
        parameter_spec={
            "learning_rate": hpt.DoubleParameterSpec(min=0.001, max=0.1, scale="log"),
            "units": hpt.IntegerParameterSpec(min=4, max=128, scale="linear"),
            "activation": hpt.CategoricalParameterSpec(values=["relu", "selu"]),
            "batch_size": hpt.DiscreteParameterSpec(values=[128, 256], scale="linear"),
        },
        max_trial_count=options.pop("trials", 4),
        parallel_trial_count=2,
        labels={"my_key": "my_value"},
        **options,
    )


@sample(
    "builder: get_hyperparameter_tuning_job_sample",
    "builder: delete_hyperparameter_tuning_job_sample",
    "notebook: training/hyperparameter_tuning_tensorflow",
    "notebook: training/hyperparameter_tuning_xgboost",
    "notebook: training/distributed_hyperparameter_tuning",
    "notebook: tensorboard/tensorboard_vertex_ai_hyperparameter_tuning",
)
def tune(world: World) -> None:
    job = _tuning(world, search_algorithm="random")
    job.run()
    found = aiplatform.HyperparameterTuningJob.get(job.resource_name)
    best = min(found.trials, key=lambda trial: trial.final_measurement.metrics[0].value)
    assert {each.parameter_id for each in best.parameters} >= {"learning_rate", "units"}
    job.delete()


@sample("builder: create_hyperparameter_tuning_job_sample")
def tune_a_container(world: World) -> None:
    _tuning(world).run()
    raise DiffersError("`command` names what the image would run")


@sample("builder: cancel_hyperparameter_tuning_job_sample")
def cancel_a_tuning(world: World) -> None:
    job = _tuning(world, trials=100)
    job.run(sync=False)
    job.wait_for_resource_creation()
    job.cancel()
    while job.state.name not in ("JOB_STATE_CANCELLED", "JOB_STATE_SUCCEEDED"):
        time.sleep(0.1)


# Experiments


@sample(
    "builder: upload_tensorboard_log_one_time_sample",
    "builder: upload_tensorboard_log_continuously_sample",
)
def upload_curves(world: World) -> None:
    board = aiplatform.Tensorboard.create(display_name=world.name("board"))
    logs = {"tensorboard_id": board.name, "logdir": str(world.event_files)}
    aiplatform.upload_tb_log(tensorboard_experiment_name=world.name("once"), **logs)
    aiplatform.start_upload_tb_log(tensorboard_experiment_name=world.name("always"), **logs)
    try:
        time.sleep(5)  # it looks for new files now and then
    finally:
        aiplatform.end_upload_tb_log()
    found = aiplatform.TensorboardExperiment.list(tensorboard_name=board.resource_name)
    assert len(found) == 2
    for each in found:
        assert aiplatform.TensorboardRun.list(tensorboard_experiment_name=each.resource_name)


@sample(
    "builder: init_sample",
    "builder: experiment_tracking/create_experiment_sample",
    "builder: experiment_tracking/create_experiment_default_tensorboard_sample",
    "builder: experiment_tracking/create_experiment_without_default_tensorboard_sample",
    "builder: experiment_tracking/get_experiment_backing_tensorboard_sample",
    "builder: experiment_tracking/delete_experiment_sample",
    "builder: create_tensorboard_sample",
    "builder: delete_tensorboard_instance_sample",
    "builder: experiment_tracking/delete_tensorboard_instance_sample",
    "notebook: experiments/delete_outdated_tensorboard_experiments",
)
def keep_experiments(world: World) -> None:
    board = aiplatform.Tensorboard.create(display_name=world.name("board"))
    world.experiment()
    plain = world.experiment(experiment_tensorboard=False)
    assert aiplatform.Experiment(plain).get_backing_tensorboard_resource() is None
    name = world.experiment(experiment_tensorboard=board, experiment_description="first")
    experiment = aiplatform.Experiment(name)
    assert experiment.get_backing_tensorboard_resource().resource_name == board.resource_name
    world.run_of(name)
    experiment.delete(delete_backing_tensorboard_runs=True)
    for each in aiplatform.TensorboardExperiment.list(tensorboard_name=board.resource_name):
        each.delete()
    aiplatform.Tensorboard(board.name).delete()


@sample(
    "builder: experiment_tracking/create_experiment_run_sample",
    "builder: experiment_tracking/resume_experiment_run_sample",
    "builder: experiment_tracking/end_experiment_run_sample",
    "builder: experiment_tracking/update_experiment_run_state_sample",
    "builder: experiment_tracking/delete_experiment_run_sample",
    "builder: experiment_tracking/log_params_sample",
    "builder: experiment_tracking/log_metrics_sample",
    "builder: experiment_tracking/log_time_series_metrics_sample",
    "builder: experiment_tracking/log_classification_metrics_sample",
    "builder: experiment_tracking/get_experiment_run_params_sample",
    "builder: experiment_tracking/get_experiment_run_metrics_sample",
    "builder: experiment_tracking/get_experiment_run_time_series_metric_data_frame_sample",
    "builder: experiment_tracking/get_experiment_run_classification_metrics_sample",
    "builder: experiment_tracking/get_experiment_run_artifacts_sample",
    "builder: experiment_tracking/get_experiment_data_frame_sample",
    "notebook: experiments/get_started_with_vertex_experiments",
    "notebook: experiments/comparing_local_trained_models",
    "notebook: ml_metadata/sdk-metric-parameter-tracking-for-locally-trained-models",
)
def log_a_run(world: World) -> None:
    name = world.experiment()
    run = world.name("run")
    aiplatform.start_run(run)
    aiplatform.log_params({"learning_rate": 0.1, "units": 64, "activation": "relu"})
    aiplatform.log_metrics(METRICS)
    for step in range(3):
        aiplatform.log_time_series_metrics({"loss": 1 / (step + 1)}, step=step)
    aiplatform.log_time_series_metrics({"loss": 0.2})
    aiplatform.log_classification_metrics(
        labels=["cat", "dog"], matrix=[[9, 1], [1, 9]], fpr=[0.1], tpr=[0.7], threshold=[0.5]
    )
    aiplatform.end_run()
    with aiplatform.start_run(run, resume=True) as resumed:
        resumed.log_metrics({"loss": 0.05})
    found = aiplatform.ExperimentRun(run, experiment=name)
    assert found.get_params()["units"] == 64
    assert found.get_metrics()["loss"] == 0.05
    assert len(found.get_time_series_data_frame()) == 4
    assert found.get_classification_metrics()[0]["labels"] == ["cat", "dog"]
    assert found.get_artifacts()
    assert found.get_state() == "COMPLETE"
    found.update_state(aiplatform.gapic.Execution.State.FAILED)
    frame = aiplatform.get_experiment_df(name)
    assert frame["param.units"].tolist() == [64]
    assert frame["time_series_metric.loss"].tolist() == [0.2]
    assert len(aiplatform.Experiment(name).get_data_frame()) == 1
    aiplatform.ExperimentRun(run, experiment=name).delete(delete_backing_tensorboard_run=True)


@sample(
    "builder: experiment_tracking/log_model_sample",
    "builder: experiment_tracking/get_experiment_model_sample",
    "builder: experiment_tracking/get_experiment_run_models_sample",
    "builder: experiment_tracking/get_model_info_sample",
    "builder: experiment_tracking/load_experiment_model_sample",
)
def log_a_model(world: World) -> str:
    name, run, artifact = world.experiment(), world.name("run"), world.name("model")
    aiplatform.start_run(run)
    linear = importlib.import_module("sklearn.linear_model")
    model = linear.LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    aiplatform.log_model(model, artifact_id=artifact, display_name="line", input_example=[[1.0]])
    aiplatform.end_run()
    logged = aiplatform.get_experiment_model(artifact)
    assert logged.get_model_info()["framework_name"] == "sklearn"
    assert round(logged.load_model().predict([[2.0]])[0], 3) == 4
    assert len(aiplatform.ExperimentRun(run, experiment=name).get_experiment_models()) == 1
    return artifact


@sample("builder: experiment_tracking/register_experiment_model_sample")
def register_a_logged_model(world: World) -> None:
    logged = aiplatform.get_experiment_model(log_a_model(world))
    image = f"{PREDICTION}/sklearn-cpu.1-6:latest"
    registered = logged.register_model(display_name="line", serving_container_image_uri=image)
    endpoint = registered.deploy(machine_type=MACHINE)
    assert round(endpoint.predict([[3.0]]).predictions[0], 3) == 6
    endpoint.delete(force=True)
    raise DiffersError("the SDK wants `serving_container_image_uri` for scikit-learn above 1.6")


@sample(
    "builder: experiment_tracking/create_artifact_sample",
    "builder: experiment_tracking/create_artifact_with_sdk_sample",
    "builder: experiment_tracking/create_context_with_sdk_sample",
    "builder: experiment_tracking/create_execution_with_sdk_sample",
    "builder: experiment_tracking/assign_artifact_as_execution_input_sample",
    "builder: experiment_tracking/assign_artifact_as_execution_output_sample",
    "builder: experiment_tracking/get_artifact_sample",
    "builder: experiment_tracking/get_artifact_with_uri_sample",
    "builder: experiment_tracking/get_context_sample",
    "builder: experiment_tracking/get_execution_sample",
    "builder: experiment_tracking/get_execution_input_artifacts_sample",
    "builder: experiment_tracking/get_execution_output_artifacts_sample",
    "builder: experiment_tracking/list_artifact_sample",
    "builder: experiment_tracking/list_artifact_with_sdk_sample",
    "builder: experiment_tracking/list_context_sample",
    "builder: experiment_tracking/list_execution_sample",
    "builder: experiment_tracking/list_execution_with_sdk_sample",
    "builder: experiment_tracking/delete_artifact_sample",
    "builder: experiment_tracking/delete_context_sample",
    "builder: experiment_tracking/delete_execution_sample",
    "notebook: experiments/build_model_experimentation_lineage_with_prebuild_code",
    "notebook: ml_metadata/sdk-metric-parameter-tracking-for-custom-jobs",
)
def keep_lineage(world: World) -> None:
    world.experiment()
    uri = world.put("lineage/data.csv", "x\n1\n")
    data = artifact_schema.Dataset(uri=uri, display_name="data").create()
    made = aiplatform.Artifact.create(
        schema_title="system.Model", resource_id=world.name("made"), uri=world.table
    )
    assert aiplatform.Artifact.get_with_uri(uri=uri).resource_name == data.resource_name
    context = aiplatform.Context.create(
        schema_title="system.Experiment", resource_id=world.name("context"), metadata={"a": 1}
    )
    with execution_schema.ContainerExecution(display_name="train").create() as execution:
        execution.assign_input_artifacts([data])
        execution.assign_output_artifacts([made])
    aiplatform.start_run(world.name("run"))
    job = aiplatform.CustomJob.from_local_script(
        display_name=world.name("job"),
        script_path=world.script("print('trained')"),
        container_uri=f"{TRAINING}/sklearn-cpu.1-6:latest",
    )
    with aiplatform.start_execution(
        schema_title="system.ContainerExecution", display_name="train"
    ) as training:
        training.assign_input_artifacts([data])
        job.run()
        training.assign_output_artifacts([made])
    aiplatform.end_run()
    found = aiplatform.Execution.get(execution.name)
    assert [each.name for each in found.get_input_artifacts()] == [data.name]
    assert [each.name for each in found.get_output_artifacts()] == [made.name]
    assert found.state.name == "COMPLETE"
    context.add_artifacts_and_executions([made.resource_name], [execution.resource_name])
    assert [each.name for each in context.get_artifacts()] == [made.name]
    assert aiplatform.Artifact.list(filter=f'uri="{uri}"')
    assert aiplatform.Execution.list(filter='display_name="train"', order_by="create_time desc")
    assert aiplatform.Context.list(filter='schema_title="system.Experiment"')
    assert aiplatform.Context.get(context.name).metadata["a"] == 1
    for each in (execution, made, context):
        each.delete()


# What needs no other service, and is not called here.
NOT_RUN = {
    "builder: create_training_pipeline_custom_training_managed_dataset_sample": "not emulated:"
    " images",
    "builder: create_custom_job_with_experiment_autologging_sample": "not tried: wants MLflow",
    "builder: experiment_tracking/autologging_with_auto_run_creation_sample": "not tried: wants"
    " MLflow",
    "builder: experiment_tracking/autologging_with_manual_run_creation_sample": "not tried: wants"
    " MLflow",
    "notebook: custom/SDK_Custom_Container_Prediction": "not emulated: an image of one's own that"
    " serves",
    "notebook: custom/get_started_with_vertex_endpoint_and_shared_vm": "not emulated: pools of"
    " resources",
    "notebook: experiments/get_started_with_custom_training_autologging_local_script": "not tried:"
    " wants MLflow",
    "notebook: experiments/get_started_with_vertex_experiments_autologging": "not tried: wants"
    " MLflow",
    "notebook: prediction/get_started_with_dedicated_endpoint": "not emulated: an address of the"
    " endpoint's own",
    "notebook: training/get_started_vertex_training_lightgbm": "not emulated: an image of one's own"
    " that serves",
}
