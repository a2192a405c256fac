"""A network's weights as one vector, which the loop trains in the network's place."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.errors import StopRequestedError
from trainer.tabular import model
from trainer.tabular.run import run
from trainer.tabular.weights import Weights

from .conftest import (
    LEARNING,
    MakeSettings,
    stop_after_steps,
    train,
    weights_of,
    without_speed,
)


def test_a_vector_has_each_weight_once_in_its_shape() -> None:
    network = keras.Sequential([keras.Input([3]), keras.layers.Dense(2), keras.layers.Dense(1)])
    weights = Weights(network)
    vector = weights.join()
    assert vector.dtype == np.float32
    assert vector.shape == (3 * 2 + 2 + 2 * 1 + 1,)
    for part, variable in zip(weights.split(vector), network.trainable_variables, strict=True):
        np.testing.assert_array_equal(part, variable)
    weights.put(tf.constant(vector + 1))
    np.testing.assert_array_equal(weights.join(), vector + 1)


@pytest.fixture
def _normalized(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network with variables that training changes and the gradient does not."""
    build = model.build

    def build_normalized(*arguments: Any) -> keras.Model:
        plain = build(*arguments)
        normalized = keras.layers.BatchNormalization(name="normalized")(plain.output)
        return keras.Model(plain.inputs, normalized)

    monkeypatch.setattr(model, "build", build_normalized)


@pytest.mark.usefixtures("_normalized")
def test_what_layers_count_themselves_is_trained_kept_and_exported(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    undisturbed = make_settings("penguins", at=str(tmp_path / "undisturbed"), **LEARNING)
    expected = train(undisturbed)
    assert expected["test"]["accuracy"] > expected["baselines"]["majority class"]["accuracy"] + 0.3

    settings = make_settings("penguins", at=str(tmp_path / "stopped"), **LEARNING)
    with monkeypatch.context() as patch:
        stop = stop_after_steps(patch, 5)
        with pytest.raises(StopRequestedError):
            run(settings, stop)
    assert without_speed(train(settings)) == without_speed(expected)
    assert weights_of(settings) == weights_of(undisturbed)
    # The means that the last layer counted begin at 0; the SavedModel lists them second to last.
    variables = tf.train.load_checkpoint(f"{settings.model_dir}/1/variables/variables")
    weights = [name for name in variables.get_variable_to_shape_map() if "weights/" in name]
    means = variables.get_tensor(f"weights/{len(weights) - 2}/.ATTRIBUTES/VARIABLE_VALUE")
    assert means.shape == (2,)
    assert means.all()
