"""What the trainer takes from TensorFlow beyond its documented interface.

When a test here fails, TensorFlow has changed: keep the upper bound in pyproject.toml, and change
the module that the message names before the bound is raised.
"""

import inspect
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2


def test_a_signature_has_the_names_and_defaults_of_a_python_signature(tmp_path: Path) -> None:
    """`tabular/export.py` gives a function its signature, as columns are known at run time only."""

    def serve(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"answer": values[0]}

    town = inspect.Parameter(
        "Town", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=tf.constant([""], tf.string)
    )
    serve.__signature__ = inspect.Signature([town])  # type: ignore[attr-defined]
    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, "Town")])
    tf.saved_model.save(module, str(tmp_path), {"serving_default": module.serve})
    saved = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    signature = saved.meta_graphs[0].signature_def["serving_default"]
    reason = f"TensorFlow {tf.__version__} makes other signatures: see trainer/tabular/export.py"
    assert list(signature.inputs) == ["Town"], reason
    assert list(signature.defaults) == ["Town"], reason


def test_a_session_of_hparams_takes_a_name() -> None:
    """`trainer/tabular/tensorboard_log.py` names each run, so that no two share a row."""
    from tensorboard.plugins.hparams import api

    reason = "TensorBoard's hparams changed: see trainer/tabular/tensorboard_log.py"
    assert "trial_id" in inspect.signature(api.hparams).parameters, reason
