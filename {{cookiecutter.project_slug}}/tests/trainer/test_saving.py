"""What a script of one's own gives to job.save: each slip is one sentence that names it."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from table_schema.metrics import rises
from trainer import job
from trainer.errors import UserError


@pytest.fixture(scope="module")
def network() -> Any:
    import keras

    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])


def test_a_model_is_saved_with_its_contract_and_scores(network: Any, tmp_path: Path) -> None:
    sample = {"pixels": np.array([1.0, 2.0, 3.0])}
    job.save(
        network,
        tmp_path,
        sample=sample,
        classes=("cat", "dog"),
        about={"pixels": "three of them", "label": "the animal"},
        scores={"loss": 0.5, "accuracy": 0.75},
    )
    assert (tmp_path / "1" / "saved_model.pb").is_file()
    contract = json.loads((tmp_path / "contract.json").read_text(encoding="utf-8"))
    [pixels] = contract["inputs"]
    assert (pixels["kind"], pixels["dtype"], pixels["shape"]) == ("tensor", "float32", [3])
    assert contract["sample"] == {"pixels": [1.0, 2.0, 3.0]}
    assert contract["outputs"] == {"label": "the animal", "probabilities": "probabilities"}
    evaluation = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["primary"] == {"metric": "loss", "higher_is_better": False}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"sample": [1.0]}, "save, sample: expected a dictionary by name"),
        ({"sample": {}}, "save, sample: expected a value for each input"),
        ({"sample": {"my x": [1.0, 2.0, 3.0]}}, "letters a to z, digits and _"),
        ({"sample": {"âge": [1.0, 2.0, 3.0]}}, "letters a to z, digits and _"),
        ({"sample": {"x": [[1.0], [2.0, 3.0]]}}, "save, sample, 'x': expected one array"),
        ({"sample": {"x": None}}, "save, sample, 'x': expected a number"),
        ({"shapes": {"y": (3,)}}, "save, shapes: expected sizes by the names of the sample"),
        ({"shapes": {"x": 3}}, "save, shapes: expected sizes by the names of the sample"),
        ({"classes": "ab"}, "save, classes: expected a list of different texts"),
        ({"classes": ("a", "a")}, "save, classes: expected a list of different texts"),
        ({"classes": (0, 1)}, "save, classes: expected a list of different texts"),
        ({"classes": ("a", "b", "c")}, "expected a model that answers [rows, 3]"),
        ({"scores": {"loss": math.nan}}, "save, scores, 'loss': expected a finite number"),
        ({"scores": {"loss": "good"}}, "save, scores, 'loss': expected a finite number"),
        ({"about": {"z": "what"}}, "save, about: expected names of x, prediction, got z"),
        ({"folder": "gs://bucket/model"}, "save, folder: expected a folder here"),
    ],
)
def test_a_slip_is_named(
    network: Any, tmp_path: Path, given: dict[str, Any], sentence: str
) -> None:
    arguments: dict[str, Any] = {"folder": tmp_path, "sample": {"x": [1.0, 2.0, 3.0]}} | given
    with pytest.raises(UserError) as raised:
        job.save(network, **arguments)
    assert sentence in str(raised.value)
    assert not list(tmp_path.iterdir())  # nothing half-written


def test_classes_want_probabilities_and_a_sample_is_one_row(tmp_path: Path) -> None:
    import keras

    logits = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, bias_initializer="ones")])
    with pytest.raises(UserError, match="end the model, or 'serve', with a softmax"):
        job.save(logits, tmp_path, sample={"x": [5.0, 5.0, 5.0]}, classes=("a", "b"))
    with pytest.raises(ValueError, match="shape") as raised:
        job.save(logits, tmp_path, sample={"x": [[1.0, 2.0, 3.0]]})
    assert "those of the sample, which is one row" in "".join(raised.value.__notes__)


@pytest.mark.parametrize(
    ("metric", "higher"),
    [("accuracy", True), ("auc", True), ("val_loss", False), ("mae", False), ("log-loss", False)],
)
def test_the_name_of_a_metric_tells_its_direction(metric: str, higher: bool) -> None:
    assert rises(metric) is higher
