"""Each way to train that is compared still trains, on a sample."""

import time
from pathlib import Path

import pytest

from benchmarks import training
from cloud.datasets import makers

# What Keras' own recipes warn of is not ours to fix.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("flights")
    makers.write_csvs("flights", place, rows=6_000)
    return place


@pytest.mark.parametrize("name", training.WAYS)
def test_every_way_trains_and_is_measured(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(training.STARTED, str(time.time()))
    found = training.WAYS[name](folder)
    assert 0.6 < found["auc"] <= 1
    assert found["rows_per_second"] > 0
    assert found["seconds"] > 0
    assert found["memory"] > 10e6


@pytest.mark.parametrize("name", ["LogisticRegression", "HistGradientBoostingClassifier"])
def test_the_models_of_scikit_learn_are_scored_on_the_test_rows(name: str, folder: Path) -> None:
    found = training.QUALITIES[name](folder, training.PLAIN)
    assert 0.8 < found["auc"] <= 1
    assert found["log_loss"] < 0.5
