"""The whole road in this process, on small real tables."""

import dataclasses
import json
import math
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from trainer.checkpoint import POINTER
from trainer.columns import TABLES, Column, Label, Table
from trainer.data import read
from trainer.errors import StopRequestedError, UserError
from trainer.run import run
from trainer.settings import Settings

from .conftest import MakeSettings, settings_in

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


def train(settings: Settings) -> dict[str, Any]:
    return run(settings, threading.Event())


@dataclasses.dataclass(frozen=True)
class Trained:
    settings: Settings
    document: dict[str, Any]


@pytest.fixture(scope="module", params=TABLES)
def trained(
    request: pytest.FixtureRequest,
    data: dict[str, dict[str, Path]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Trained:
    """A training of each table that several tests look at."""
    folder = str(tmp_path_factory.mktemp("trained"))
    settings = settings_in(folder, data[request.param], table=request.param, epochs=3)
    return Trained(settings, train(settings))


def signature_of(settings: Settings) -> Any:
    loaded = tf.saved_model.load(f"{settings.model_dir}/1")
    serve = loaded.signatures["serving_default"]
    serve.keep = loaded  # the variables live as long as the loaded object
    return serve


def without_speed(document: dict[str, Any]) -> dict[str, Any]:
    kept = ("test", "baselines", "best_epoch", "epochs")
    history = [
        {name: value for name, value in metrics.items() if name != "rows_per_second"}
        for metrics in document["history"]
    ]
    return {name: document[name] for name in kept} | {"history": history}


def weights_of(settings: Settings) -> bytes:
    return Path(settings.model_dir, "1/variables/variables.data-00000-of-00001").read_bytes()


def stop_after_steps(monkeypatch: pytest.MonkeyPatch, calls: int) -> threading.Event:
    """Sets the event it returns when the training has called TensorFlow so often."""
    from trainer.loop import Loop

    stop = threading.Event()
    compile_steps = Loop._compile

    def compile_counting(self: Loop, strategy: Any) -> Any:
        steps = compile_steps(self, strategy)
        left = calls + 1  # the first call compiles

        def counted(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                stop.set()
            return steps(*arguments)

        return counted

    monkeypatch.setattr(Loop, "_compile", compile_counting)
    return stop


def test_flights_are_predicted_better_than_by_both_baselines(make_settings: MakeSettings) -> None:
    settings = make_settings(epochs=6, hidden_units=(32,), learning_rate=0.01)
    document = train(settings)
    for baseline in ("majority class", "dep_delay alone"):
        assert document["test"]["log_loss"] < document["baselines"][baseline]["log_loss"]
        assert document["test"]["auc"] > document["baselines"][baseline]["auc"]
    written = json.loads(Path(settings.model_dir, "evaluation.json").read_text())
    assert written == json.loads(json.dumps(document))
    assert written["rows"]["train"] == len(read(settings.train_data, TABLES["flights"]))
    assert written["settings"]["epochs"] == 6


def test_penguins_pass_through_the_same_code(make_settings: MakeSettings) -> None:
    settings = make_settings("penguins", epochs=30, learning_rate=0.02)
    document = train(settings)
    assert document["test"]["accuracy"] > 0.9
    assert document["test"]["auc"] > 0.97
    gap = {"bill_length_mm": [math.nan], "sex": [""], "island": ["Biscoe"]}
    answer = signature_of(settings)(
        **{name: tf.constant(value) for name, value in gap.items()},
        bill_depth_mm=tf.constant([14.0]),
        flipper_length_mm=tf.constant([217.0]),
        body_mass_g=tf.constant([5_000.0]),
        year=tf.constant([2008], tf.int64),
    )
    assert answer["label"].numpy().tolist() == [b"Gentoo"]
    assert answer["probabilities"].shape == (1, 3)
    assert float(tf.reduce_sum(answer["probabilities"])) == pytest.approx(1)


def test_the_saved_model_answers_raw_rows_as_the_trainer_does(trained: Trained) -> None:
    settings, document = trained.settings, trained.document
    table = TABLES[settings.table]
    rows = read(settings.test_data, table)
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
    if table.label.kind == "binary":
        second = np.array(answer["probability"])
        probabilities = np.stack([1 - second, second], axis=1)
    else:
        probabilities = np.array(answer["probabilities"])
    likelihood = probabilities[np.arange(len(rows)), rows.labels]
    likeliest = [table.label.classes[place] for place in probabilities.argmax(axis=1)]
    # The trainer's own predictions are behind the scores it wrote.
    assert -np.log(likelihood).mean() == pytest.approx(document["test"]["log_loss"], abs=1e-6)
    assert answer["label"] == likeliest


def test_each_answer_is_the_trainers_on_unknown_and_missing_values(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer import evaluate

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
    score = evaluate.score
    monkeypatch.setattr(
        evaluate, "score", lambda p, labels: seen.setdefault(len(p), p) is None or score(p, labels)
    )
    train(settings)
    rows = read(str(path), table)
    answer = signature_of(settings)(**{k: tf.constant(v) for k, v in rows.features.items()})
    np.testing.assert_allclose(answer["probability"], seen[40][:, 1], rtol=0, atol=1e-6)
    assert len(np.unique(np.round(answer["probability"], 6))) > 20


def test_a_client_reads_the_signature(trained: Trained) -> None:
    table = TABLES[trained.settings.table]
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(Path(trained.settings.model_dir, "1/saved_model.pb").read_bytes())
    signature = saved.meta_graphs[0].signature_def["serving_default"]
    types = {"number": tf.float32, "integer": tf.int64, "category": tf.string}
    for column in table.columns:
        tensor = signature.inputs[column.name]
        assert tf.as_dtype(tensor.dtype) == types[column.kind]
        assert [dim.size for dim in tensor.tensor_shape.dim] == [-1]
        assert tf.make_ndarray(signature.defaults[column.name]).shape == (1,)
    chance = "probability" if table.label.kind == "binary" else "probabilities"
    assert set(signature.outputs) == {chance, "label"}


def test_a_feature_that_is_left_out_is_a_missing_one(trained: Trained) -> None:
    table = TABLES[trained.settings.table]
    rows = read(trained.settings.test_data, table)
    given = {name: tf.constant(values[:5]) for name, values in rows.features.items()}
    serve = signature_of(trained.settings)
    for column in table.columns:
        # As a server does, with the default of the signature: one value for all rows.
        missing = tf.constant([column.missing], given[column.name].dtype)
        left_out = serve(**given | {column.name: missing})
        spelled = serve(**given | {column.name: tf.repeat(missing, 5)})
        for name, values in spelled.items():
            assert values.shape[0] == 5
            np.testing.assert_array_equal(left_out[name], values)


def test_statistics_come_from_the_training_rows_alone(trained: Trained) -> None:
    found = json.loads(Path(trained.settings.model_dir, "statistics.json").read_text())
    rows = pd.read_csv(trained.settings.train_data)
    for name, mean in found["mean"].items():
        assert mean == pytest.approx(rows[name].mean(), rel=1e-5)
        assert found["scale"][name] == pytest.approx(rows[name].std(ddof=0), rel=1e-5)
        assert found["has_gaps"][name] == rows[name].isna().any()
    for name, vocabulary in found["vocabulary"].items():
        counts = rows[name].value_counts()
        assert set(vocabulary) == set(counts[counts >= trained.settings.min_count].index)


def test_tensorboard_finds_both_curves(trained: Trained) -> None:
    for folder, name, key in (
        ("train", "epoch_loss", "loss"),
        ("train", "epoch_rows_per_second", "rows_per_second"),
        ("eval", "epoch_loss", "eval_log_loss"),
        ("eval", "epoch_auc", "eval_auc"),
    ):
        [path] = Path(trained.settings.log_dir, folder).glob("events.out.tfevents.*")
        points = {
            event.step: float(tf.make_ndarray(value.tensor))
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
            for event in [tf.compat.v1.Event.FromString(record)]
            for value in event.summary.value
            if value.tag == name
        }
        history = trained.document["history"]
        expected = {epoch + 1: metrics[key] for epoch, metrics in enumerate(history)}
        assert points == pytest.approx(expected)


@pytest.mark.parametrize(("dropout", "calls"), [(0.0, 30), (0.2, 3)], ids=["xla", "dropout"])
def test_stopped_within_an_epoch_it_ends_with_the_same_weights(
    dropout: float,
    calls: int,
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    undisturbed = make_settings(dropout=dropout)
    expected = train(undisturbed)
    stopped = make_settings(at=str(tmp_path / "stopped"), dropout=dropout)
    with monkeypatch.context() as patch, pytest.raises(StopRequestedError):
        run(stopped, stop_after_steps(patch, calls))
    assert without_speed(train(stopped)) == without_speed(expected)
    assert weights_of(stopped) == weights_of(undisturbed)


def test_going_on_before_a_damaged_checkpoint_ends_the_same(
    make_settings: MakeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings("penguins")
    expected = train(settings)
    folder = Path(settings.checkpoint_dir)
    newest = folder / json.loads((folder / POINTER).read_text())["newest_first"][0]
    newest.write_bytes(newest.read_bytes()[:2_000])
    assert without_speed(train(settings)) == without_speed(expected)
    said = capsys.readouterr().out
    assert f"Passed over the damaged checkpoint {newest.name}" in said
    assert "Going on after epoch 1, step 0" in said
    # A finished run has no steps left: it is evaluated and exported again.
    assert without_speed(train(settings)) == without_speed(expected)


def test_another_network_does_not_go_on_from_a_checkpoint(trained: Trained) -> None:
    other = dataclasses.replace(trained.settings, hidden_units=(16,))
    with pytest.raises(UserError, match=r"hidden_units \[16\], got one with \[8\]"):
        train(other)


def test_the_best_weights_are_kept_and_patience_ends_a_run(make_settings: MakeSettings) -> None:
    settings = make_settings("penguins", epochs=60, learning_rate=0.5, patience=4)
    document = train(settings)
    losses = [metrics["eval_log_loss"] for metrics in document["history"]]
    assert document["best_epoch"] == 1 + int(np.argmin(losses))
    assert document["epochs"] == document["best_epoch"] + 4 < 60


def test_a_loss_that_is_no_number_ends_the_run(make_settings: MakeSettings) -> None:
    settings = make_settings("penguins", learning_rate=1e38, epochs=30)
    with pytest.raises(UserError, match=r"The loss is no number in epoch .* --learning-rate below"):
        train(settings)
    assert not Path(settings.model_dir, "1").exists()


def test_more_batch_than_rows_is_one_step_an_epoch(make_settings: MakeSettings) -> None:
    document = train(make_settings("penguins", batch_size=10_000, steps_per_execution=16))
    assert document["epochs"] == 2


@pytest.mark.parametrize("kinds", [("number",), ("category",), ("integer", "integer")])
def test_a_table_needs_no_columns_of_every_kind(
    kinds: tuple[Any, ...], make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_kind = {"number": ["dep_delay"], "category": ["carrier"], "integer": ["month", "hour"]}
    columns = tuple(Column(by_kind[kind][i], kind, "") for i, kind in enumerate(kinds))
    table = Table("part", "flight", Label("late", ("no", "yes"), ""), columns)
    monkeypatch.setitem(TABLES, "part", table)
    settings = dataclasses.replace(make_settings(epochs=1, hidden_units=()), table="part")
    assert 0.4 < train(settings)["test"]["auc"] < 1
    assert signature_of(settings)
