"""The SavedModel: preprocessing and network behind signatures of raw values."""

import inspect
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from table_schema import tables
from table_schema.columns import Column, Label, Table
from table_schema.values import BLANKS
from trainer import contract
from trainer.console import say
from trainer.files import NO_ROOM, whole
from trainer.saving import BATCHING, BATCHING_FILE
from trainer.tabular.data import Rows, take
from trainer.tabular.heads import Head
from trainer.tabular.preprocess import DTYPES, Preprocessor
from trainer.tabular.tf_records import example_features

Tensor = Any

# TensorFlow Serving reads it with `--enable_batching --enable_per_model_batching_parameters`, the
# emulator always: requests that wait may share a call of the model. Source: BatchingParameters in
# tensorflow_serving/servables/tensorflow/session_bundle_config.proto.
COMPARED_ROWS = 32
BACKGROUND_FILE = "background.json"
WARM_UP_ROWS = 1, 64  # of the requests that a server answers before it says that it is ready


class ServingModel(tf.Module):  # type: ignore[misc]
    """What is saved; TensorFlow alone loads it, without Keras."""

    def __init__(self, preprocessor: Preprocessor, head: Head, model: keras.Model) -> None:
        table = preprocessor.table
        super().__init__(name=table.name)
        self.preprocessor = preprocessor
        self.weights = [weight.value for weight in model.weights]

        def answer(features: dict[str, Tensor]) -> dict[str, Tensor]:
            """Answers tensors by column: [rows], or [1] for one value that all rows share."""
            rows = tf.reduce_max([tf.size(column) for column in features.values()])
            whole = {
                name: tf.broadcast_to(_trimmed(column), [rows]) for name, column in features.items()
            }
            predictions = head.predictions(model(preprocessor(whole)))
            return head.answer(head.calibrated(predictions))

        def answer_examples(examples: Tensor) -> dict[str, Tensor]:
            parsed = tf.io.parse_example(examples, example_features(table))
            return answer(
                {c.name: tf.cast(_only(parsed[c.name], c), DTYPES[c.kind]) for c in table.columns}
            )

        self.serve = tf.function(
            _with_parameters(table, answer),
            input_signature=[
                tf.TensorSpec([None], DTYPES[column.kind], column.name) for column in table.columns
            ],
            autograph=False,
        )
        self.serve_examples = tf.function(
            answer_examples,
            input_signature=[tf.TensorSpec([None], tf.string, "examples")],
            autograph=False,
        )


def export(
    preprocessor: Preprocessor, head: Head, model: keras.Model, rows: Rows, folder: Path
) -> bool:
    """Writes the SavedModel; the folder appears when it is whole.

    `serving_default` takes a tensor [rows] for each column, by name. A feature that a request by
    gRPC leaves out takes the default that the signature carries: the column's missing value.
    Source: `SignatureDef.defaults` in tensorflow/core/protobuf/meta_graph.proto. A JSON request
    has them all, with `Column.missing_in_json` for a gap. A timestamp is its text, and any text
    that is no date of ISO 8601 is a gap. `serving_examples` takes
    `examples`, serialized tf.Example [rows]; features they leave out are missing too. Both answer
    `label`, the likeliest class, string [rows], with `probability`, that of the second of two
    classes, float32 [rows], or `probabilities`, float32 [rows, classes]; of a label that is a
    number `estimate`, float32 [rows], in the label's unit.

    Args:
        preprocessor: the one the model was trained with.
        head: the one the model was trained with.
        model: the trained network, with plain variables: under no distribution strategy.
        rows: where the warm-up requests come from.
        folder: `.../1`, as TensorFlow Serving wants a number there.

    Returns:
        Whether rows may be joined into one call, as each has its own prediction.

    Raises:
        OSError: it cannot be written; its `filename` is the folder.
    """
    serving = ServingModel(preprocessor, head, model)
    signatures = {"serving_default": serving.serve, "serving_examples": serving.serve_examples}
    apart = _treats_rows_apart(serving, preprocessor.table, rows)
    with _whole(folder) as unfinished:
        tf.saved_model.save(serving, str(unfinished), signatures)
        _write_warm_up(preprocessor.table, rows, unfinished / "assets.extra")
        if apart:
            (unfinished / BATCHING_FILE).write_text(BATCHING, encoding="utf-8")
    if not apart:
        say(
            "A row's prediction depends on the rows beside it, or on chance: servers will call the"
            " model for each request, which is slower. Is a layer in the network that mixes rows?",
            severity="WARNING",
        )
    return apart


def write_contract(
    table: Table, head: Head, rows: Rows, folder: Path, *, rows_joined: bool
) -> None:
    """Writes what the model takes and answers.

    Args:
        table: the model was trained on it.
        head: the one the model was trained with.
        rows: the sample is the first of them.
        folder: the one that holds `1`.
        rows_joined: as `export` returns it.
    """
    sample = {c.name: _as_json(c, rows.features[c.name][0]) for c in table.columns}
    contract.write(
        folder,
        inputs=[
            {
                "name": column.name,
                "kind": column.kind,
                "heading": column.heading,
                "about": column.about,
                "example": sample[column.name],
            }
            for column in table.columns
        ],
        outputs=_outputs(table.label, head.threshold),
        sample={name: value for name, value in sample.items() if value is not None},
        rows_joined=rows_joined,
        table=tables.document(table),
    )


def write_background(table: Table, rows: Rows, folder: Path, *, count: int, seed: int) -> None:
    """Writes training rows that explanations of predictions compare with.

    `cloud/serving/explanation.py` reads them: instances as JSON carries them, gaps left out.

    Args:
        table: the model was trained on it.
        rows: of the training.
        folder: the one that holds `1`.
        count: how many are drawn, at most; of 0 no file is written.
        seed: of the draw.
    """
    if not count:
        return
    drawn = take(rows, np.sort(np.random.default_rng(seed).permutation(len(rows))[:count]))
    found = []
    for place in range(len(drawn)):
        row = {c.name: _as_json(c, drawn.features[c.name][place]) for c in table.columns}
        found.append({name: value for name, value in row.items() if value is not None})
    with whole(folder / BACKGROUND_FILE) as unfinished:
        unfinished.write_text(json.dumps({"rows": found}, ensure_ascii=False), encoding="utf-8")


def _outputs(label: Label, threshold: float) -> dict[str, str]:
    """Says what each output of the signature means."""
    if label.kind == "regression":
        return {"estimate": label.about}
    if label.kind == "binary":
        first, second = label.classes
        return {
            "probability": f"of {second!r}, 0 to 1: {label.about}",
            "label": f"{second!r} from a probability of {threshold:.4g} up, or else {first!r}",
        }
    return {
        "probabilities": f"of {', '.join(label.classes)}, 0 to 1 each",
        "label": f"the likeliest: {', '.join(label.classes)}",
    }


def _as_json(column: Column, value: Any) -> Any:
    """Returns a raw value as JSON carries it; None for a gap."""
    plain = value.item() if hasattr(value, "item") else value
    text = plain.decode() if isinstance(plain, bytes) else plain
    is_gap = text == column.missing or text != text  # noqa: PLR0124, not a number
    return None if is_gap and column.kind != "boolean" else text


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Gives a folder to write to, which appears under its own name once it is whole."""
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        yield unfinished
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)  # it takes up the room that is wanting
        # TensorFlow has several errors for a full disk, and the system's words in each.
        reasons = [number for number in NO_ROOM if os.strerror(number) in str(error)]
        if not reasons:
            raise
        raise OSError(reasons[0], os.strerror(reasons[0]), str(folder)) from error


def _trimmed(column: Tensor) -> Tensor:
    """Returns texts without the blanks around them, as training has read them."""
    if column.dtype != tf.string:
        return column
    return tf.strings.regex_replace(column, BLANKS, "")


def _only(lists: Tensor, column: Column) -> Tensor:
    """Returns the value of each row's list, of one at most; an empty list is a gap."""
    tf.debugging.assert_less_equal(
        tf.shape(lists)[1], 1, f"Expected one value of the feature {column.name}, got more."
    )
    return tf.pad(lists, [[0, 0], [0, 1]], constant_values=column.missing)[:, 0]


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


def _write_warm_up(table: Table, rows: Rows, folder: Path) -> None:
    """Writes the requests that TensorFlow Serving sends itself when it loads the model.

    Each is a `PredictionLog`. Its few messages are put together here from TensorFlow's own
    `TensorProto`, by the numbers of their fields, so that no package of the server is needed.

    Source: https://www.tensorflow.org/tfx/serving/saved_model_warmup, and prediction_log.proto,
    predict.proto and model.proto in tensorflow_serving/apis/.
    """
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for count in WARM_UP_ROWS:
            model_spec = _field(1, table.name.encode()) + _field(3, b"serving_default")
            request = _field(1, model_spec)
            for column in table.columns:
                values = rows.features[column.name][:count]
                tensor = tf.make_tensor_proto(values, DTYPES[column.kind])
                name = _field(1, column.name.encode())
                request += _field(2, name + _field(2, tensor.SerializeToString()))
            writer.write(_field(6, _field(1, request)))  # PredictionLog.predict_log.request


def _treats_rows_apart(serving: ServingModel, table: Table, rows: Rows) -> bool:
    """Whether rows that are sent alone have the numbers that they have together."""
    count = min(len(rows), COMPARED_ROWS)
    values = [tf.constant(rows.features[c.name][:count], DTYPES[c.kind]) for c in table.columns]
    together = serving.serve(*values)
    for place in range(count):
        alone = serving.serve(*(each[place : place + 1] for each in values))
        for name, answers in together.items():
            if answers.dtype.is_floating and not np.allclose(
                alone[name][0], answers[place], rtol=1e-3, atol=1e-5
            ):
                return False
    return count > 1


def _field(number: int, content: bytes) -> bytes:
    """Returns a field of a protocol buffer that holds bytes: its tag, their length, and they.

    Source: https://protobuf.dev/programming-guides/encoding/.
    """
    size, varint = len(content), bytearray()
    while size > 0x7F:
        varint.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *varint, size]) + content
