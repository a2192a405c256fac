"""Hyperparameter tunings, through Google's own client: trials that really run."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from custom_jobs import entries, output
from google.api_core import exceptions
from tunings import CODE, X, create, run, tuning, wait

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import start

LABEL = "ml.googleapis.com/trial_id"


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
    assert job.trials[1].start_time < job.trials[0].end_time  # two at a time
    printed = output(clients, job.name)
    wanted = [
        f"{{'x': '{trial.parameters[0].value}'}} {trial.id}"
        f" gs://tuned-bucket/one/{trial.id}/model/ True"
        for trial in job.trials
    ]
    assert sorted(printed) == sorted(wanted)
    assert {each["labels"].get(LABEL) for each in entries(clients, job.name)} == {
        *("1", "2", "3"), None
    }  # fmt: skip
    listed = [each.name for each in clients.jobs.list_custom_jobs(parent=clients.location)]
    assert not {trial.custom_job for trial in job.trials} & set(listed)
    with pytest.raises(exceptions.BadRequest, match=f"is a trial's; delete {job.name}"):
        clients.jobs.delete_custom_job(name=job.trials[0].custom_job)


def test_trials_fail_each_in_its_way(clients: Clients, tmp_path: Path) -> None:
    """One that exits, one without the metric, one on a machine that fails, one of broken lines."""
    code = f"""
import os, pathlib, sys, hypertune
trial, mark = os.environ["CLOUD_ML_TRIAL_ID"], pathlib.Path({str(tmp_path / "mark")!r})
report = hypertune.HyperTune().report_hyperparameter_tuning_metric
if trial == "1":
    raise ValueError("no such optimizer")
elif trial == "2":
    report("loss", 1.0, 1)
elif trial == "3":
    report("score", 3.0, 1)
    if not mark.exists():
        mark.touch()
        os._exit(139)
    report("score", 4.0, 2)
elif trial == "4":
    with open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w") as file:
        file.write('{{"timestamp": 1, "score": "nan", "global_step": "1"}}\\nsomething\\n')
        file.write('{{"timestamp": 1, "score": "7", "global_step": "1"}}')
"""
    fields = {"max_trial_count": 4, "max_failed_trial_count": 3}
    job = run(clients, tuning(code, study_measurement_selection_type="BEST_MEASUREMENT", **fields))
    assert job.state.name == "JOB_STATE_SUCCEEDED", job
    one, two, three, four = job.trials
    assert one.state.name == two.state.name == "INFEASIBLE"
    assert "ValueError: no such optimizer" in one.infeasible_reason
    assert two.infeasible_reason == "The trial never reported 'score', only 'loss'."
    assert three.state.name == four.state.name == "SUCCEEDED"
    assert three.final_measurement.metrics[0].value == 4
    assert [each.step_count for each in three.measurements][-1] == 2
    assert four.final_measurement.metrics[0].value == 7
    warned = [
        each["textPayload"]
        for each in entries(clients, job.name)
        if each["severity"] == "WARNING" and each["labels"].get(LABEL) == "4"
    ]
    assert len(warned) == 2
    assert "expected a finite number as score" in warned[0]
    assert "expected a JSON object; got 'something'" in warned[1]


def test_too_many_failed_trials_fail_the_tuning(clients: Clients) -> None:
    code = (
        "import os, time\nif os.environ['CLOUD_ML_TRIAL_ID'] == '1': raise SystemExit(1)\n"
        "time.sleep(600)"
    )
    job = run(clients, tuning(code, max_trial_count=9, max_failed_trial_count=1))
    assert job.state.name == "JOB_STATE_FAILED"
    assert job.error.code == 3
    assert "As many trials as maxFailedTrialCount says, 1, have failed." in job.error.message
    assert [trial.state.name for trial in job.trials] == ["INFEASIBLE", "INFEASIBLE"]
    assert job.trials[1].infeasible_reason == "The trial's job was cancelled."


def test_a_tuning_is_cancelled_and_forgotten(clients: Clients) -> None:
    code = CODE + "import time; print('begun'); time.sleep(600)"
    name = create(clients, tuning(code, max_trial_count=5))
    while output(clients, name) != ["begun", "begun"]:
        time.sleep(0.05)
    trials = clients.jobs.get_hyperparameter_tuning_job(name=name).trials
    assert [trial.state.name for trial in trials] == ["ACTIVE", "ACTIVE"]
    assert [len(trial.measurements) for trial in trials] == [3, 3]
    with pytest.raises(exceptions.BadRequest, match="cancel it before deleting it"):
        clients.jobs.delete_hyperparameter_tuning_job(name=name)
    clients.jobs.cancel_hyperparameter_tuning_job(name=name)
    job = wait(clients, name)
    assert job.state.name == "JOB_STATE_CANCELLED"
    assert job.error.code == 1
    assert [trial.state.name for trial in job.trials] == ["INFEASIBLE", "INFEASIBLE"]
    clients.jobs.delete_hyperparameter_tuning_job(name=name).result(timeout=60)
    assert entries(clients, name) == []
    for call, gone in (
        (clients.jobs.get_hyperparameter_tuning_job, name),
        (clients.jobs.cancel_hyperparameter_tuning_job, name),
        (clients.jobs.get_custom_job, trials[0].custom_job),
    ):
        with pytest.raises(exceptions.NotFound):
            call(name=gone)


def test_a_trial_that_falls_behind_is_stopped(clients: Clients) -> None:
    code = """
import os, sys, time, hypertune
report = hypertune.HyperTune().report_hyperparameter_tuning_metric
is_bad = sys.argv[1] == "--x=6"
for step in (1, 2):
    report("score", -step if is_bad else step, step)
time.sleep(600 if is_bad else 0)
"""
    x = {"parameter_id": "x", "integer_value_spec": {"min_value": 1, "max_value": 6}}
    study: dict[str, Any] = {
        "study_algorithm": "GRID_SEARCH",
        "study_median_automated_stopping_spec": {},
    }
    job = run(clients, tuning(code, x, max_trial_count=10, **study))  # of which the grid has 6
    assert job.state.name == "JOB_STATE_SUCCEEDED", job
    assert [trial.parameters[0].value for trial in job.trials] == [1, 2, 3, 4, 5, 6]
    assert job.trials[5].state.name == "SUCCEEDED"
    assert job.trials[5].final_measurement.metrics[0].value == -2
    said = [each.get("textPayload", "") for each in entries(clients, job.name)]
    assert any(each.startswith("Trial 6 is stopped early: its best value") for each in said)


def test_lists_filter_and_page(clients: Clients) -> None:
    names = [
        create(clients, tuning("", display_name=f"tuned-{number}", labels={"kind": "tuned"}))
        for number in range(3)
    ]
    for name in names:
        job = wait(clients, name)
        assert job.state.name == "JOB_STATE_FAILED"
        assert "All trials have failed." in job.error.message
        assert job.trials[0].infeasible_reason == (
            "The trial never reported 'score', no metric at all."
        )

    def listed(condition: str, **request: Any) -> list[str]:
        found = clients.jobs.list_hyperparameter_tuning_jobs(
            request={"parent": clients.location, "filter": condition, **request}
        )
        return [each.name for each in found]

    assert listed('labels.kind="tuned"', page_size=1) == names[::-1]
    assert listed('display_name="tuned-1" AND state="JOB_STATE_FAILED"') == [names[1]]
    with pytest.raises(exceptions.BadRequest, match="unknown field 'colour'"):
        listed('colour="red"')
    url = f"{clients.url}/v1/{clients.location}/hyperparameterTuningJobs?readMask=name"
    answer = requests.get(f"{url}&pageSize=1", timeout=60).json()["hyperparameterTuningJobs"]
    assert [list(each) for each in answer] == [["name"]]


def test_a_tuning_survives_the_emulator(tmp_path: Path) -> None:
    """Killed with -9 in mid-study, it goes on: each trial runs once and counts once."""
    code = CODE + "import os, time; print(os.environ['CLOUD_ML_TRIAL_ID']); time.sleep(1)"
    first = start(tmp_path / "data")
    clients = Clients(first.url)
    search = {"study_algorithm": "ALGORITHM_UNSPECIFIED"}
    name = create(clients, tuning(code, X, max_trial_count=5, **search))
    while len(output(clients, name)) < 3:
        time.sleep(0.05)
    before = clients.jobs.get_hyperparameter_tuning_job(name=name).trials
    first.process.kill()
    first.process.wait()
    if sys.platform != "win32":
        time.sleep(1)  # what ran goes on without it
    second = start(tmp_path / "data")
    try:
        clients = Clients(second.url)
        job = wait(clients, name)
        assert job.state.name == "JOB_STATE_SUCCEEDED", job
        assert [trial.id for trial in job.trials] == list("12345")
        for old, new in zip(before, job.trials, strict=False):
            assert old.parameters == new.parameters
            assert old.custom_job == new.custom_job
        assert [len(trial.measurements) for trial in job.trials] == [3] * 5
        assert sorted(output(clients, name)) == list("12345")
    finally:
        second.stop()
