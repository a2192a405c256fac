"""The SavedModel, as servers and clients see it."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.protobuf import saved_model_pb2

from table_schema.columns import Table
from table_schema.metrics import answers, score
from table_schema.tables import TABLES
from trainer import saving
from trainer.tabular import export, run
from trainer.tabular.data import Rows, Source
from trainer.tabular.heads import make_head
from trainer.tabular.loop import Loop
from trainer.tabular.model import build
from trainer.tabular.preprocess import Preprocessor
from trainer.tabular.settings import Settings
from trainer.tabular.statistics import measure

from .conftest import MakeSettings, Trained, read_table, train

# Reads JSON columns, answers them with the SavedModel, and prints JSON: TensorFlow and no more.
ASK = """
import json, sys
sys.modules["keras"] = None
import tensorflow as tf
signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
types = {name: spec.dtype for name, spec in signature.structured_input_signature[1].items()}
asked = json.load(sys.stdin)
answer = signature(**{name: tf.constant(values, types[name]) for name, values in asked.items()})
print(json.dumps({k: v.numpy().astype("U" if v.dtype == tf.string else "f").tolist()
                  for k, v in answer.items()}))
"""
TYPES = {"number": tf.float32, "integer": tf.int64, "category": tf.string, "boolean": tf.bool}


def signature_of(settings: Settings, name: str = "serving_default") -> Any:
    loaded = tf.saved_model.load(f"{settings.model_dir}/1")
    serve = loaded.signatures[name]
    serve.keep = loaded  # the variables live as long as the loaded object
    return serve


def tensors_of(rows: Rows) -> dict[str, Any]:
    return {name: tf.constant(values) for name, values in rows.features.items()}


def predictions_of(table: Table, answer: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Returns what `metrics.score` takes."""
    if table.label.kind == "regression":
        return np.array(answer["estimate"])
    if table.label.kind == "multiclass":
        return np.array(answer["probabilities"])
    second = np.array(answer["probability"])
    return np.stack([1 - second, second], axis=1)


def test_the_saved_model_answers_raw_rows_as_the_trainer_does(trained: Trained) -> None:
    settings, document = trained.settings, trained.document
    table = TABLES[settings.table]
    rows = read_table(settings.test_data, table)
    asked = {column: values.tolist() for column, values in rows.features.items()}
    done = subprocess.run(
        [sys.executable, "-c", ASK, f"{settings.model_dir}/1"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    predictions = predictions_of(table, answer)
    # The trainer's own predictions are behind the scores it wrote.
    metric = "log_loss" if table.label.classes else "rmse"
    found = score(predictions, rows.labels)[metric]
    assert found == pytest.approx(document["test"][metric], rel=1e-5)
    if table.label.classes:
        # The answers follow the threshold that the card shows, where there are two classes.
        threshold = document["confusion"].get("threshold", 0.5)
        answered = [table.label.classes[place] for place in answers(predictions, threshold)]
        assert answer["label"] == answered
        hits = [table.label.classes[place] for place in rows.labels]
        accuracy = np.mean(np.array(hits) == np.array(answered))
        assert accuracy == pytest.approx(document["test"]["accuracy"])
        matrix = np.array(document["confusion"]["matrix"])
        assert np.trace(matrix) / matrix.sum() == pytest.approx(accuracy)


def test_each_answer_is_the_trainers_on_unknown_and_missing_values(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    table = TABLES["flights"]
    strange = pd.read_csv(settings.test_data).head(40).astype(object)
    strange.loc[0:5, "carrier"] = "??"
    strange.loc[3:9, "dest"] = None
    strange.loc[5:15, "month"] = 13
    strange.loc[10:20, "dep_delay"] = None
    strange.loc[21, "distance"] = 1e12
    strange.loc[22:30, "pressure"] = None
    strange["late"] = ["no", "yes"] * 20
    path = Path(settings.model_dir).parent / "strange.csv"
    path.parent.mkdir()
    strange.to_csv(path, index=False)
    settings = dataclasses.replace(settings, test_data=str(path))

    seen: dict[int, np.ndarray[Any, Any]] = {}
    predict = Loop.predict

    def predict_noting(self: Loop, rows: Any) -> np.ndarray[Any, Any]:
        found = predict(self, rows)
        seen.setdefault(len(found), found)
        return found

    monkeypatch.setattr(Loop, "predict", predict_noting)
    monkeypatch.setattr(run, "temperature", lambda *_: 1.5)
    assert train(settings)["temperature"] == 1.5
    answer = signature_of(settings)(**tensors_of(read_table(str(path), table)))
    cooled = seen[40] ** (1 / 1.5)
    expected = (cooled / cooled.sum(axis=1, keepdims=True))[:, 1]
    np.testing.assert_allclose(answer["probability"], expected, rtol=0, atol=1e-6)
    assert len(np.unique(np.round(answer["probability"], 6))) > 20


def test_a_client_reads_the_signatures(trained: Trained) -> None:
    table = TABLES[trained.settings.table]
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(Path(trained.settings.model_dir, "1/saved_model.pb").read_bytes())
    signature = saved.meta_graphs[0].signature_def["serving_default"]
    for column in table.columns:
        tensor = signature.inputs[column.name]
        assert tf.as_dtype(tensor.dtype) == TYPES[column.kind]
        assert [dim.size for dim in tensor.tensor_shape.dim] == [-1]
        assert tf.make_ndarray(signature.defaults[column.name]).shape == (1,)
    outputs = {
        "binary": {"probability", "label"},
        "multiclass": {"probabilities", "label"},
        "regression": {"estimate"},
    }[table.label.kind]
    assert set(signature.outputs) == outputs
    examples = saved.meta_graphs[0].signature_def["serving_examples"]
    assert tf.as_dtype(examples.inputs["examples"].dtype) == tf.string
    assert set(examples.outputs) == outputs


def test_penguins_with_gaps_have_an_answer(trained: Trained) -> None:
    if trained.settings.table != "penguins":
        pytest.skip("a question about penguins")
    answer = signature_of(trained.settings)(
        bill_length_mm=tf.constant([math.nan]),
        sex=tf.constant([""]),
        island=tf.constant(["Biscoe"]),
        bill_depth_mm=tf.constant([14.0]),
        flipper_length_mm=tf.constant([217.0]),
        body_mass_g=tf.constant([5_000.0]),
        year=tf.constant([2008], tf.int64),
    )
    assert answer["label"].numpy()[0].decode() in TABLES["penguins"].label.classes
    assert answer["probabilities"].shape == (1, 3)
    assert float(tf.reduce_sum(answer["probabilities"])) == pytest.approx(1)


def test_a_feature_that_is_left_out_is_a_missing_one(trained: Trained) -> None:
    table = TABLES[trained.settings.table]
    rows = read_table(trained.settings.test_data, table)
    given = {name: values[:5] for name, values in tensors_of(rows).items()}
    serve = signature_of(trained.settings)
    for column in table.columns:
        # As a server does, with the default of the signature: one value for all rows.
        missing = tf.constant([column.missing], given[column.name].dtype)
        left_out = serve(**given | {column.name: missing})
        spelled = serve(**given | {column.name: tf.repeat(missing, 5)})
        for name, values in spelled.items():
            assert values.shape[0] == 5
            np.testing.assert_array_equal(left_out[name], values)


def test_json_has_a_number_for_a_gap(trained: Trained) -> None:
    """Whose float32 the model takes for a missing value, as it takes what overflows to infinity."""
    table = TABLES[trained.settings.table]
    rows = read_table(trained.settings.test_data, table)
    given = {name: values[:5] for name, values in tensors_of(rows).items()}
    serve = signature_of(trained.settings)
    for column in table.columns:
        dtype = given[column.name].dtype
        missing = serve(**given | {column.name: tf.constant([column.missing] * 5, dtype)})
        text = json.dumps([column.missing_in_json] * 5, allow_nan=False)
        in_json = serve(**given | {column.name: tf.constant(json.loads(text), dtype)})
        for name, values in missing.items():
            np.testing.assert_array_equal(in_json[name], values)


def test_the_model_says_that_rows_stay_apart(trained: Trained) -> None:
    assert Path(trained.settings.model_dir, "1", saving.BATCHING_FILE).is_file()


@pytest.mark.parametrize("mixes", [False, True])
def test_rows_that_are_mixed_are_found(trained: Trained, mixes: bool) -> None:
    table = TABLES[trained.settings.table]
    rows = read_table(trained.settings.test_data, table)
    name = next(column.name for column in table.columns if column.kind == "number")
    place = [column.name for column in table.columns].index(name)

    class Mixing:
        def serve(self, *values: Any) -> dict[str, Any]:
            known = tf.where(tf.math.is_finite(values[place]), values[place], 0.0)
            return {"estimate": tf.nn.softmax(known, axis=0) if mixes else known}

    serving: Any = Mixing()
    assert export._treats_rows_apart(serving, table, rows) == (not mixes)


def test_blanks_around_a_category_are_no_part_of_it(trained: Trained) -> None:
    table = TABLES[trained.settings.table]
    rows = read_table(trained.settings.test_data, table)
    given = {name: values[:9] for name, values in tensors_of(rows).items()}
    blank = tf.constant(["", " ", "  ", "\t", "\u00a0", "\u3000 ", "\r\n", "\x85", "\v\f"])
    around = {
        column.name: tf.strings.join([blank, given[column.name], blank])
        for column in table.columns
        if column.kind == "category"
    }
    assert around
    serve = signature_of(trained.settings)
    for name, values in serve(**given | around).items():
        np.testing.assert_array_equal(values, serve(**given)[name])


def test_serialized_examples_have_the_same_answers(trained: Trained) -> None:
    table = TABLES[trained.settings.table]
    rows = read_table(trained.settings.test_data, table)
    lists = {"number": "float_list", "integer": "int64_list", "category": "bytes_list"}
    examples = []
    for place in range(8):
        features = {}
        for column in table.columns:
            value = rows.features[column.name][place]
            if not pd.isna(value) and value != column.missing:  # others are left out
                value = value.encode() if column.kind == "category" else value
                features[column.name] = {lists[column.kind]: {"value": [value]}}
        example = tf.train.Example(features={"feature": features})
        examples.append(example.SerializeToString())
    found = signature_of(trained.settings, "serving_examples")(examples=tf.constant(examples))
    answer = signature_of(trained.settings)(**{n: v[:8] for n, v in tensors_of(rows).items()})
    for name, values in answer.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
@pytest.mark.parametrize("size", [0, 20_000])  # of the first file, and of a later one
def test_a_model_that_has_no_room_leaves_nothing(
    make_settings: MakeSettings, capfd: pytest.CaptureFixture[str], size: int
) -> None:
    import resource

    settings = make_settings("penguins")
    table = TABLES["penguins"]
    preprocessor = Preprocessor(table, measure(Source(settings.train_data, table), table, 1, 100))
    head = make_head(table, preprocessor.statistics, settings)
    rows = read_table(settings.test_data, table)
    folder = Path(settings.model_dir, "1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            export.export(preprocessor, head, build(preprocessor, head, settings), rows, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert raised.value.filename == str(folder)
    assert list(folder.parent.iterdir()) == []


def test_warm_up_requests_are_prediction_logs_of_test_rows(trained: Trained) -> None:
    table = TABLES[trained.settings.table]
    rows = read_table(trained.settings.test_data, table)
    path = Path(trained.settings.model_dir, "1/assets.extra/tf_serving_warmup_requests")
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    for record, count in zip(records, (1, min(64, len(rows))), strict=True):
        request = prediction_log_class().FromString(record).predict_log.request
        assert request.model_spec.signature_name == "serving_default"
        assert set(request.inputs) == {column.name for column in table.columns}
        for column in table.columns:
            asked = tf.make_ndarray(request.inputs[column.name])
            assert tf.as_dtype(request.inputs[column.name].dtype) == TYPES[column.kind]
            expected = tf.constant(rows.features[column.name][:count]).numpy()
            np.testing.assert_array_equal(asked, expected)


def prediction_log_class() -> Any:
    """Describes the messages of tensorflow_serving/apis/ that a warm-up request needs."""
    from tensorflow.core.framework import tensor_pb2

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="warm_up.proto", package="tensorflow.serving", syntax="proto3"
    )
    file.dependency.append(tensor_pb2.DESCRIPTOR.name)
    serving = ".tensorflow.serving."
    layout = {
        "ModelSpec": [("name", 1, ""), ("signature_name", 3, "")],
        "PredictRequest": [
            ("model_spec", 1, serving + "ModelSpec"),
            ("inputs", 2, serving + "PredictRequest.InputsEntry"),
        ],
        "PredictLog": [("request", 1, serving + "PredictRequest")],
        "PredictionLog": [("predict_log", 6, serving + "PredictLog")],
    }
    for name, fields in layout.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            added = message.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL)
            added.type = kinds.TYPE_MESSAGE if kind else kinds.TYPE_STRING
            if kind:
                added.type_name = kind
            if field == "inputs":
                added.label = kinds.LABEL_REPEATED
                entry = message.nested_type.add(name="InputsEntry")
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, label=1, type=kinds.TYPE_STRING)
                entry.field.add(
                    name="value",
                    number=2,
                    label=1,
                    type=kinds.TYPE_MESSAGE,
                    type_name=".tensorflow.TensorProto",
                )
    pool = descriptor_pool.DescriptorPool()
    for needed in _with_dependencies(tensor_pb2.DESCRIPTOR):
        pool.AddSerializedFile(needed.serialized_pb)
    pool.Add(file)
    found = pool.FindMessageTypeByName("tensorflow.serving.PredictionLog")
    return message_factory.GetMessageClass(found)


def _with_dependencies(file: Any) -> list[Any]:
    """Returns a file after those that it needs, each once."""
    found = [each for needed in file.dependencies for each in _with_dependencies(needed)]
    return list({each.name: each for each in [*found, file]}.values())


def test_training_rows_lie_beside_the_model_for_explanations(
    trained: Trained, tmp_path: Path
) -> None:
    settings, table = trained.settings, TABLES[trained.settings.table]
    rows = read_table(settings.train_data, table)
    written = json.loads(Path(settings.model_dir, "background.json").read_text(encoding="utf-8"))
    known = {
        json.dumps({c.name: rows.features[c.name][place] for c in table.columns}, default=str)
        for place in range(len(rows))
    }
    for row in written["rows"]:
        whole = {c.name: row.get(c.name, c.missing) for c in table.columns}
        typed = {name: rows.features[name].dtype.type(value) for name, value in whole.items()}
        assert json.dumps(typed, default=str) in known
    assert len(written["rows"]) == settings.background_rows
    export.write_background(table, rows, tmp_path, count=0, seed=0)
    assert list(tmp_path.iterdir()) == []
