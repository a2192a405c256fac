"""What a trial reports to a hyperparameter tuning, and what a tuning may search."""

import json
from pathlib import Path

import pytest

from trainer import job, trials
from trainer.tabular.search_space import search_space
from trainer.tabular.settings import parse

DATA = ["--train-data=a.csv", "--eval-data=b.csv", "--test-data=c.csv"]


def test_a_trial_reports_as_the_package_of_google_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cloudml-hypertune 0.1.0.dev6 writes a line for each metric, with its value as text."""
    place = tmp_path / "new" / "output.metrics"
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(place))
    monkeypatch.setenv("CLOUD_ML_TRIAL_ID", "7")
    job.report({"auc": 0.5}, 1)
    job.report({"auc": 1, "log_loss": 0.25}, 2)
    entries = [json.loads(line) for line in place.read_text().splitlines()]
    moments = [entry.pop("timestamp") for entry in entries]
    assert moments == sorted(moments)
    same = {"trial": "7", "checkpoint_path": ""}
    assert entries == [
        same | {"auc": "0.5", "global_step": "1"},
        same | {"auc": "1.0", "global_step": "2"},
        same | {"log_loss": "0.25", "global_step": "2"},
    ]


def test_a_trial_reports_to_the_default_file_and_a_job_that_is_none_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "output.metrics"
    monkeypatch.setattr(trials, "DEFAULT_FILE", str(place))
    monkeypatch.delenv("CLOUD_ML_HP_METRIC_FILE", raising=False)
    monkeypatch.delenv("CLOUD_ML_TRIAL_ID", raising=False)
    trials.report({"auc": 0.5}, 1)
    assert not place.exists()
    monkeypatch.setenv("CLOUD_ML_TRIAL_ID", "1")
    trials.report({"auc": 0.5}, 1)
    assert json.loads(place.read_text())["auc"] == "0.5"


def test_the_search_space_is_of_flags_and_metrics_of_the_trainer() -> None:
    space = search_space([*DATA, "--table=penguins"])
    assert {"learning-rate", "hidden-units"} <= space["parameters"].keys() <= set(space["flags"])
    assert (space["metric"], space["metrics"]["auc"], space["metrics"]["log_loss"]) == (
        "log_loss",
        True,
        False,
    )
    decided = parse([*DATA, *space["trial_arguments"], f"{space['metric_flag']}=auc"])
    assert (decided.boosting_rows, decided.explain, decided.folds) == (0, 0, 1)
    assert decided.watched == "auc"
    assert search_space([*DATA, "--table=flights_delay"])["metric"] == "rmse"
