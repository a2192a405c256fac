"""How a model of your own is saved: its SavedModel, its contract and its scores."""

import base64
import json
import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from table_schema.metrics import rises
from trainer import console, contract, files
from trainer.errors import UserError

VERSION = "1"  # TensorFlow Serving looks for numbered folders
# A model server that finds this file answers the rows of several requests with one call.
BATCHING_FILE = "batching_params.pbtxt"
BATCHING = "max_batch_size { value: 1024 }\nbatch_timeout_micros { value: 0 }\n"
IMAGES = b"\x89PNG", b"\xff\xd8\xff"  # how files of PNG and JPEG begin
INPUT = re.compile("[A-Za-z][A-Za-z0-9_]*")


def save(
    model: Any,
    folder: str | Path,
    *,
    sample: Mapping[str, Any],
    serve: Callable[..., Any] | None = None,
    about: Mapping[str, str] | None = None,
    shapes: Mapping[str, tuple[int | None, ...]] | None = None,
    classes: tuple[str, ...] = (),
    rows_joined: bool = True,
    scores: Mapping[str, float] | None = None,
    higher_is_better: bool | None = None,
    test_rows: str = "",
) -> None:
    """Saves a trained model so that it can be deployed, asked and compared.

    Writes the SavedModel to `1/` of the folder, what it takes and answers to `contract.json`, and
    the scores to `evaluation.json`. The sample is sent through what was written, so a model that
    cannot be served is found here.

    Args:
        model: a Keras model.
        folder: `folders().model`.
        sample: one instance, the value of each input by its name: a number, a truth value, a text,
            bytes (a file's, as of a PNG image), or an array or list of numbers. It decides the
            dtypes, float32, int64, bool and string, and the shapes of the inputs, each with the
            rows in front.
        serve: function of TensorFlow that gets a tensor for each input, by name and with the rows
            in front, and returns a tensor or a dictionary of them, the rows in front; by default
            the model, of one input as a tensor and of several as a dictionary.
        about: what inputs and outputs mean, by name.
        shapes: of one row, by input, where they are not the sample's; None stands for any size.
        classes: names of the classes, where what `serve` returns is float32 [rows, classes]: the
            answer is then `label`, the likeliest, and `probabilities`.
        rows_joined: whether a server may answer the rows of several requests with one call; wrong
            where a row's answer depends on the rows beside it.
        scores: on the test rows, by metric; by the first of them versions are compared.
        higher_is_better: the direction of that one; by default by its name: an error, a loss, an
            `mae` or the like is better where it is lower.
        test_rows: tells one set of test rows from another, such as its name or checksum: only
            scores on the same rows are compared.

    Raises:
        UserError: an argument is of another kind than described, the model does not answer its
            sample, or there are not as many classes as it answers.
        OSError: a file cannot be written.
    """
    import tensorflow as tf

    about, shapes, folder = about or {}, shapes or {}, Path(folder)
    _check_arguments(
        str(folder),
        sample=sample,
        about=about,
        shapes=shapes,
        classes=classes,
        scores=scores or {},
    )
    rows = {name: _as_row(name, value) for name, value in sample.items()}
    specs = [
        tf.TensorSpec([None, *shapes.get(name, row.shape)], row.dtype, name)
        for name, row in rows.items()
    ]
    answer = _answer(model, serve, classes)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{VERSION}"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _export(model, unfinished, answer, specs)
        answered = _ask(unfinished, rows, classes)
        if unknown := about.keys() - rows.keys() - set(answered):
            raise UserError(
                f"save, about: expected names of {', '.join([*rows, *answered])}, got"
                f" {', '.join(sorted(unknown))}."
            )
        if rows_joined:
            (unfinished / BATCHING_FILE).write_text(BATCHING, encoding="utf-8")
        shutil.rmtree(folder / VERSION, ignore_errors=True)
        unfinished.rename(folder / VERSION)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    values = {name: _as_json(value) for name, value in sample.items()}
    contract.write(
        folder,
        inputs=[
            {
                "name": name,
                "kind": _kind(sample[name], row),
                "heading": name,
                "about": about.get(name, name),
                "dtype": row.dtype.name,
                "shape": list(shapes.get(name, row.shape)),
                "example": values[name],
            }
            for name, row in rows.items()
        ],
        outputs={name: about.get(name, name) for name in answered},
        sample=values,
        rows_joined=rows_joined,
    )
    if scores:
        rising = rises(next(iter(scores))) if higher_is_better is None else higher_is_better
        _write_scores(folder, scores, higher_is_better=rising, test_rows=test_rows)
        console.say(f"Test: {', '.join(f'{name} {each:.4f}' for name, each in scores.items())}.")


def _check_arguments(
    folder: str,
    *,
    sample: Any,
    about: Any,
    shapes: Any,
    classes: Any,
    scores: Any,
) -> None:
    """Raises UserError where an argument of `save` is of another kind than it describes."""
    if folder.startswith("gs:"):
        raise UserError(f"save, folder: expected a folder here, folders().model, got {folder!r}.")
    for name, value in {
        "sample": sample,
        "about": about,
        "shapes": shapes,
        "scores": scores,
    }.items():
        if not isinstance(value, Mapping):
            raise UserError(f"save, {name}: expected a dictionary by name, got {value!r}.")
    if not sample:
        raise UserError("save, sample: expected a value for each input of the model, got none.")
    for name in sample:
        if not isinstance(name, str) or not INPUT.fullmatch(name):
            raise UserError(
                "save, sample: expected names of the letters a to z, digits and _ that begin with a"
                f" letter, as TensorFlow's signatures take them, got {name!r}."
            )
    for name, shape in shapes.items():
        if name not in sample or not isinstance(shape, tuple | list):
            raise UserError(
                "save, shapes: expected sizes by the names of the sample, such as (None,), got"
                f" {name!r}: {shape!r}."
            )
    names = [each for each in classes if isinstance(each, str)]
    if isinstance(classes, str) or len(names) < len(classes) or len(set(names)) < len(names):
        raise UserError(f"save, classes: expected a list of different texts, got {classes!r}.")
    for name, value in scores.items():
        try:
            is_number = math.isfinite(float(value))
        except (TypeError, ValueError):
            is_number = False
        if not is_number:
            raise UserError(f"save, scores, {name!r}: expected a finite number, got {value!r}.")


def _as_row(name: str, value: Any) -> Any:
    """Returns one row's value as a tensor of a dtype that JSON has a value for."""
    import numpy as np
    import tensorflow as tf

    if isinstance(value, str | bytes):
        return tf.constant(value)
    try:
        array = np.asarray(value)
    except ValueError as error:  # of lists of different lengths
        raise UserError(f"save, sample, {name!r}: expected one array, got {value!r}.") from error
    for kinds, dtype in (("f", tf.float32), ("iu", tf.int64), ("b", tf.bool), ("U", tf.string)):
        if array.dtype.kind in kinds:
            return tf.constant(array, dtype)
    raise UserError(
        f"save, sample, {name!r}: expected a number, a truth value, a text, bytes, or an array or"
        f" list of such, got {value!r}."
    )


def _as_json(value: Any) -> Any:
    """Returns a value as TensorFlow Serving takes it in JSON; bytes in base 64.

    Source: https://www.tensorflow.org/tfx/serving/api_rest#encoding_binary_values.
    """
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value.tolist() if hasattr(value, "tolist") else value


def _kind(value: Any, row: Any) -> str:
    if isinstance(value, bytes):
        return "image" if value.startswith(IMAGES) else "bytes"
    if row.shape.rank:
        return "tensor"
    return {"float32": "number", "int64": "integer", "bool": "boolean"}.get(row.dtype.name, "text")


def _answer(
    model: Any, serve: Callable[..., Any] | None, classes: tuple[str, ...]
) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Returns the function of all inputs by name that gives all outputs by name."""
    import tensorflow as tf

    def answer(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        if serve is not None:
            found = serve(**inputs)
        else:
            found = model(next(iter(inputs.values())) if len(inputs) == 1 else dict(inputs))
        if not classes:
            return found if isinstance(found, Mapping) else {"prediction": found}
        shape = found.shape if hasattr(found, "shape") else "several outputs"
        if isinstance(found, Mapping) or found.shape.rank != 2 or found.shape[1] != len(classes):
            raise UserError(
                f"save, classes: expected a model that answers [rows, {len(classes)}], a"
                f" probability for each of {', '.join(classes)}; it answers {shape}. Leave classes"
                " out to serve the answer as it is."
            )
        likeliest = tf.gather(tf.constant(classes), tf.argmax(found, axis=1))
        return {"label": likeliest, "probabilities": found}

    return answer


def _export(model: Any, folder: Path, answer: Callable[..., Any], specs: list[Any]) -> None:
    """Writes the SavedModel with `answer` as its default signature."""
    import keras

    names = [spec.name for spec in specs]

    def endpoint(*tensors: Any) -> Any:
        return answer(dict(zip(names, tensors, strict=True)))

    archive = keras.export.ExportArchive()
    try:
        archive.track(model)
        archive.add_endpoint("serving_default", endpoint, input_signature=specs)
        archive.write_out(str(folder), verbose=False)
    except UserError:
        raise
    except Exception as error:
        taken = ", ".join(f"{each.name} {each.dtype.name} {list(each.shape)}" for each in specs)
        error.add_note(
            f"job.save calls the model, or 'serve', with tensors of these shapes: {taken}. They are"
            " those of the sample, which is one row, with the rows in front."
        )
        raise


def _ask(folder: Path, rows: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """Sends the sample through a SavedModel; returns the names of what it answers.

    Raises:
        UserError: it does not answer one row for one row, or answers what is no number.
    """
    import numpy as np
    import tensorflow as tf

    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    try:
        answered = signature(**{name: row[tf.newaxis] for name, row in rows.items()})
    except tf.errors.OpError as error:
        reason = error.message.strip().splitlines()[-1]
        raise UserError(f"save: the model does not answer its sample: {reason}") from error
    for name, value in answered.items():
        if value.shape.rank == 0 or value.shape[0] != 1:
            raise UserError(
                f"save: expected an answer for each row, got {name!r} of shape {value.shape} for"
                " one row."
            )
        if value.dtype.is_floating and not np.isfinite(value.numpy()).all():
            raise UserError(
                f"save: expected finite numbers, got {name!r} of {value.numpy().tolist()} for the"
                " sample: did the loss become nan?"
            )
    total = float(answered["probabilities"].numpy().sum()) if classes else 1.0
    if abs(total - 1) > 0.01:
        raise UserError(
            f"save, classes: expected probabilities, which add up to 1, got a sum of {total:.3g}"
            " for the sample: end the model, or 'serve', with a softmax."
        )
    return sorted(answered)


def _write_scores(
    folder: Path, scores: Mapping[str, float], *, higher_is_better: bool, test_rows: str
) -> None:
    document = {
        "primary": {"metric": next(iter(scores)), "higher_is_better": higher_is_better},
        "test": {name: float(value) for name, value in scores.items()},
        "test_fingerprint": test_rows,
    }
    with files.whole(folder / "evaluation.json") as unfinished:
        unfinished.write_text(json.dumps(document, indent=2), encoding="utf-8")
