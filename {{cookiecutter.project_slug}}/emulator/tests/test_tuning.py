"""Hyperparameter tunings, through Google's own client: trials that really run."""

from custom_jobs import entries, output
from tunings import CODE, run, tuning

from vertex_emulator.testing.clients import Clients


def test_a_tuning_runs_its_trials_and_reads_what_they_report(clients: Clients) -> None:
    code = CODE + (
        "import os\n"
        "print(given, os.environ['CLOUD_ML_TRIAL_ID'], os.environ['AIP_MODEL_DIR'],"
        " int(os.environ['OMP_NUM_THREADS']) * 2 <= max(2, os.cpu_count()))\n"
    )
    job = run(clients, tuning(code, max_trial_count=3))
    assert job.state.name == "JOB_STATE_SUCCEEDED", job
    assert [trial.id for trial in job.trials] == ["1", "2", "3"]
    for trial in job.trials:
        assert trial.state.name == "SUCCEEDED"
        assert [each.step_count for each in trial.measurements] == [1, 2, 3]
        [x] = [each.value for each in trial.parameters]
        [metric] = trial.final_measurement.metrics
        assert metric.metric_id == "score"
        assert abs(metric.value - (1.03 - (x - 0.3) ** 2)) < 1e-9
        assert trial.start_time <= trial.end_time
        custom = clients.jobs.get_custom_job(name=trial.custom_job)
        [pool] = custom.job_spec.worker_pool_specs
        assert list(pool.container_spec.args) == [f"--x={x}"]
    printed = output(clients, job.name)
    wanted = [
        f"{{'x': '{trial.parameters[0].value}'}} {trial.id}"
        f" gs://tuned-bucket/one/{trial.id}/model/ True"
        for trial in job.trials
    ]
    assert sorted(printed) == sorted(wanted)
    label = "ml.googleapis.com/trial_id"
    assert {each["labels"].get(label) for each in entries(clients, job.name)} == {
        *("1", "2", "3"), None
    }  # fmt: skip
    listed = [each.name for each in clients.jobs.list_custom_jobs(parent=clients.location)]
    assert not {trial.custom_job for trial in job.trials} & set(listed)
