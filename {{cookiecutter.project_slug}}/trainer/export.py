"""The SavedModel: preprocessing and network behind one signature of named raw values."""

import inspect
import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer.columns import Kind, Table
from trainer.model import log_probabilities
from trainer.preprocess import Preprocessor

Tensor = Any

DTYPES: dict[Kind, Any] = {"number": tf.float32, "integer": tf.int64, "category": tf.string}


class ServingModel(tf.Module):  # type: ignore[misc]
    """What is saved; TensorFlow alone loads it, without Keras."""

    def __init__(self, table: Table, preprocessor: Preprocessor, model: keras.Model) -> None:
        super().__init__(name=table.name)
        self.preprocessor = preprocessor
        self.weights = [weight.value for weight in model.weights]
        self.serve = tf.function(
            _with_parameters(table, lambda features: answer(table, preprocessor, model, features)),
            input_signature=[
                tf.TensorSpec([None], DTYPES[column.kind], column.name) for column in table.columns
            ],
        )


def answer(
    table: Table, preprocessor: Preprocessor, model: keras.Model, features: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Answers raw values.

    Args:
        table: the table's description.
        preprocessor: the one the model was trained with.
        model: the trained network.
        features: tensors by column: [rows], or [1] for one value that all rows share.

    Returns:
        `label`, the likeliest class, string [rows]; and of a binary label `probability`, that of
        its second class, float32 [rows]; of others `probabilities`, float32 [rows, classes].
    """
    rows = tf.reduce_max([tf.size(values) for values in features.values()])
    features = {name: tf.broadcast_to(values, [rows]) for name, values in features.items()}
    probabilities = tf.exp(log_probabilities(model(preprocessor(features))))
    label = tf.gather(tf.constant(table.label.classes), tf.argmax(probabilities, axis=1))
    if table.label.kind == "binary":
        return {"probability": probabilities[:, 1], "label": label}
    return {"probabilities": probabilities, "label": label}


def export(table: Table, preprocessor: Preprocessor, model: keras.Model, folder: Path) -> None:
    """Writes the SavedModel; the folder appears when it is whole.

    A feature that a request leaves out takes the default that the signature carries: the column's
    missing value. Source: `SignatureDef.defaults` in tensorflow/core/protobuf/meta_graph.proto.

    Args:
        table: the table's description.
        preprocessor: the one the model was trained with.
        model: the trained network, with plain variables: under no distribution strategy.
        folder: `.../1`, as TensorFlow Serving wants a number there.
    """
    serving = ServingModel(table, preprocessor, model)
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    tf.saved_model.save(serving, str(unfinished), {"serving_default": serving.serve})
    if folder.exists():
        shutil.rmtree(folder)
    unfinished.rename(folder)


def _with_parameters(table: Table, function: Any) -> Any:
    """Returns the function of one dictionary as one of a parameter a column, with defaults."""

    def serve(*values: Tensor) -> dict[str, Tensor]:
        names = (column.name for column in table.columns)
        return dict(function(dict(zip(names, values, strict=True))))

    # TensorFlow makes the signature's inputs and defaults out of the Python signature.
    serve.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                column.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=tf.constant([column.missing], DTYPES[column.kind]),
            )
            for column in table.columns
        ]
    )
    return serve
