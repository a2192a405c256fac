"""The whole road in this process, on small real tables."""

import dataclasses
import json
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from table_schema.columns import Column, Label, Table
from table_schema.tables import TABLES
from trainer.errors import StopRequestedError, UserError
from trainer.mirror import FOLDERS
from trainer.tabular.checkpoint import Progress
from trainer.tabular.loop import Loop
from trainer.tabular.run import run
from trainer.tabular.settings import Settings
from trainer.tabular.tensorboard_log import TensorBoardLog, run_name

from .conftest import (
    LEARNING,
    MakeSettings,
    Trained,
    read_table,
    train,
    trained_on,
    weights_of,
    without_speed,
)


def events(folder: str | Path) -> list[tuple[int, Any]]:
    """Returns what TensorBoard reads in a folder of one file: step and value."""
    [path] = Path(folder).glob("events.out.tfevents.*")
    return [
        (event.step, value)
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        for event in [tf.compat.v1.Event.FromString(record)]
        for value in event.summary.value
    ]


def first_epoch(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Returns the metrics of a training's first epoch, after which it is stopped."""
    stop, finish = threading.Event(), Loop._finish_epoch
    history: list[dict[str, float]] = []

    def finish_and_stop(self: Loop, progress: Progress, *arguments: Any) -> None:
        finish(self, progress, *arguments)
        history.extend(progress.history)
        stop.set()

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_finish_epoch", finish_and_stop)
        with pytest.raises(StopRequestedError):
            run(settings, stop)
    [metrics] = history
    return metrics


@trained_on("flights")
def test_flights_are_predicted_better_than_by_both_baselines(trained: Trained) -> None:
    document = trained.document
    for baseline in ("majority class", "dep_delay alone"):
        assert document["test"]["log_loss"] < document["baselines"][baseline]["log_loss"]
        assert document["test"]["auc"] > document["baselines"][baseline]["auc"]
    rows = read_table(trained.settings.train_data, TABLES["flights"])
    assert document["rows"]["train"] == len(rows)
    assert document["settings"]["epochs"] == trained.settings.epochs


@trained_on("penguins")
def test_penguins_pass_through_the_same_code(trained: Trained) -> None:
    document = trained.document
    assert document["test"]["accuracy"] > 0.9
    assert document["test"]["auc"] > 0.97
    assert (document["kind"], document["primary"]["metric"]) == ("multiclass", "auc")


@trained_on("flights_delay")
def test_minutes_of_delay_pass_through_the_same_code(trained: Trained) -> None:
    settings, document = trained.settings, trained.document
    assert document["kind"] == "regression"
    assert document["primary"] == {"metric": "rmse", "higher_is_better": False}
    for baseline in document["baselines"].values():
        assert document["test"]["rmse"] < baseline["rmse"]
    assert document["test"]["r2"] > 0.7
    statistics = json.loads(Path(settings.model_dir, "statistics.json").read_text())
    delays = pd.read_csv(settings.train_data)["arr_delay"]
    assert statistics["label_mean"] == pytest.approx(delays.mean(), rel=1e-6)
    assert statistics["label_scale"] == pytest.approx(delays.std(ddof=0), rel=1e-6)


@trained_on("penguins")
def test_the_same_settings_give_the_same_numbers(
    trained: Trained, make_settings: MakeSettings
) -> None:
    again = make_settings("penguins", **LEARNING)
    document = train(again)
    assert without_speed(document) == without_speed(trained.document)
    assert weights_of(again) == weights_of(trained.settings)
    written = json.loads(Path(again.model_dir, "evaluation.json").read_text())
    assert written == json.loads(json.dumps(document))
    for name in ("trainer", "tensorflow", "keras"):
        assert document["versions"][name]
    assert document["settings"]["seed"] == 0
    assert len(document["data"]) == 3


@trained_on("penguins")
def test_another_seed_gives_other_numbers(
    trained: Trained, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = first_epoch(make_settings("penguins", **LEARNING, seed=1), monkeypatch)
    assert other["loss"] != trained.document["history"][0]["loss"]


@trained_on("flights")
def test_shards_and_windows_on_disk_train_as_well(
    trained: Trained, make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(**LEARNING)
    lines = Path(settings.train_data).read_bytes().splitlines(keepends=True)
    for shard in range(3):
        part = b"".join([lines[0], *lines[1 + shard :: 3]])
        (tmp_path / f"train-{shard}.csv").write_bytes(part)
    windows = train(
        dataclasses.replace(settings, train_data=str(tmp_path / "train-*.csv"), window_rows=500)
    )
    whole = trained.document
    assert windows["rows"] == whole["rows"]
    assert windows["test"]["auc"] == pytest.approx(whole["test"]["auc"], abs=0.02)
    assert len(windows["data"]) == 5


def test_statistics_come_from_the_training_rows_alone(trained: Trained) -> None:
    found = json.loads(Path(trained.settings.model_dir, "statistics.json").read_text())
    rows = pd.read_csv(trained.settings.train_data)
    for name, mean in found["mean"].items():
        assert mean == pytest.approx(rows[name].mean(), rel=1e-5)
        assert found["scale"][name] == pytest.approx(rows[name].std(ddof=0), rel=1e-5)
        assert found["has_gaps"][name] == rows[name].isna().any()
    assert found["rows"] == len(rows)
    for name, vocabulary in found["vocabulary"].items():
        counts = rows[name].value_counts()
        assert set(vocabulary) == set(counts[counts >= trained.settings.min_count].index)


def test_tensorboard_finds_curves_histograms_and_settings(trained: Trained) -> None:
    logs = Path(trained.settings.log_dir)
    found = {folder: events(logs / folder) for folder in ("train", "eval")}
    classes = TABLES[trained.settings.table].label.classes
    scores = (
        [("epoch_loss", "eval_log_loss"), ("epoch_auc", "eval_auc")]
        if classes
        else [("epoch_rmse", "eval_rmse"), ("epoch_r2", "eval_r2")]
    )
    train_scores = [("epoch_loss", "loss"), ("epoch_rows_per_second", "rows_per_second")]
    expected = [("train", *pair) for pair in train_scores] + [("eval", *pair) for pair in scores]
    history = trained.document["history"]
    for folder, name, key in expected:
        points = {
            step: float(tf.make_ndarray(value.tensor))
            for step, value in found[folder]
            if value.tag == name
        }
        assert points == pytest.approx({n + 1: metrics[key] for n, metrics in enumerate(history)})
    plugins = {
        (folder, value.metadata.plugin_data.plugin_name, value.tag.partition("/")[0])
        for folder in found
        for _, value in found[folder]
    }
    assert ("train", "histograms", "weights") in plugins
    assert ("eval", "histograms", "predictions") in plugins
    assert any(plugin == "hparams" for _, plugin, _ in plugins)


def hparams_of(folder: Path) -> tuple[str, dict[str, str]]:
    """Returns the row that TensorBoard shows a run in, and its settings."""
    from tensorboard.plugins.hparams import plugin_data_pb2

    for _, value in events(folder / "eval"):
        if value.tag == "_hparams_/session_start_info":
            content = value.metadata.plugin_data.content
            start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
            return start.group_name, {name: str(each) for name, each in start.hparams.items()}
    raise AssertionError("no hparams")


def test_each_run_has_a_row_of_its_own_with_every_setting(
    make_settings: MakeSettings, trained: Trained, tmp_path: Path
) -> None:
    """Runs that differ in their epochs alone, or in nothing, do not share an average."""
    _, values = hparams_of(Path(trained.settings.log_dir))  # those that a training wrote
    assert set(vars(trained.settings)) - set(FOLDERS) <= values.keys()
    rows = {}
    for name, epochs in (("first", 1), ("second", 1), ("third", 2)):
        settings = make_settings("penguins", at=f"gs://bucket/jobs/{name}", epochs=epochs)
        settings = dataclasses.replace(settings, log_dir=f"gs://bucket/jobs/{name}/logs/")
        with TensorBoardLog(tmp_path / name, settings):
            pass  # the settings are written first
        row, values = hparams_of(tmp_path / name)
        rows[row] = float(values["epochs"].split()[-1])
    assert rows == {"first": 1, "second": 1, "third": 2}


@pytest.mark.parametrize(
    ("log_dir", "name"),
    [
        ("gs://bucket/jobs/first/logs/", "first"),
        ("runs/local-20261127-010203/logs", "local-20261127-010203"),
        ("C:\\runs\\one\\logs", "one"),
        ("gs://bucket/jobs/tuned/3/logs", "tuned/3"),
        ("gs://bucket/jobs/tuned/defaults/logs/", "tuned/defaults"),
        ("logs", "logs"),
        ("/elsewhere/log", "elsewhere"),
    ],
)
def test_a_run_is_named_by_its_folder(log_dir: str, name: str) -> None:
    assert run_name(log_dir) == name


def test_gaps_everywhere_rare_values_and_dollars_train_and_serve(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Vocabularies that are empty, and names that are formulas to matplotlib."""
    columns = (
        Column("key", "number", ""),
        Column("Town", "category", ""),
        Column("rare", "integer", ""),
        Column("gone", "category", ""),
        Column("nothing", "number", ""),
    )
    label = Label("price", ("$0_$10", "$5_$10"), "")
    table = Table("dollars", "row", label, columns, slices=("Town",))
    monkeypatch.setitem(TABLES, "dollars", table)
    lines = [
        f"{n % 7},$a_{n % 2}$,{n},,NA,{label.classes[(n % 7 + n % 3) % 2]}\n" for n in range(80)
    ]
    path = tmp_path / "rows.csv"
    path.write_text("key,Town,rare,gone,nothing,price\n" + "".join(lines))
    same = dict.fromkeys(("train_data", "eval_data", "test_data"), str(path))
    settings = dataclasses.replace(make_settings(epochs=1, **same), table="dollars")
    document = train(settings)
    assert document["rows"]["train"] == 80
    loaded = tf.saved_model.load(f"{settings.model_dir}/1")
    answer = loaded.signatures["serving_default"](
        Town=tf.constant(["$a_1$", "new"]),
        key=tf.constant([1.0, math.nan]),
        rare=tf.constant([3, -1], tf.int64),
        gone=tf.constant(["", "here"]),
        nothing=tf.constant([math.nan, 1.0]),
    )
    assert answer["label"].shape == [2]


def test_a_table_of_nine_rows_trains(make_settings: MakeSettings, tmp_path: Path) -> None:
    """No category occurs often enough to be told apart."""
    settings = make_settings("penguins", epochs=1)
    rows = pd.read_csv(settings.train_data).groupby("species").head(3)
    rows.to_csv(tmp_path / "nine.csv", index=False)
    nine = dataclasses.replace(settings, train_data=str(tmp_path / "nine.csv"))
    assert train(nine)["rows"]["train"] == 9


def test_a_split_of_one_class_is_told_before_training(
    make_settings: MakeSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings("penguins", epochs=1)
    for split in ("eval", "test"):
        rows = pd.read_csv(getattr(settings, f"{split}_data"))
        rows[rows["species"] == "Adelie"].to_csv(tmp_path / "one.csv", index=False)
        files: Any = {f"{split}_data": str(tmp_path / "one.csv")}
        one = dataclasses.replace(settings, **files)
        with pytest.raises(UserError, match=r"got one value in all .* split the rows again"):
            train(one)
    assert "Epoch 1" not in capsys.readouterr().out


def test_the_best_weights_are_kept_and_patience_ends_a_run(make_settings: MakeSettings) -> None:
    settings = make_settings("penguins", epochs=60, learning_rate=0.5, patience=4)
    document = train(settings)
    losses = [metrics["eval_log_loss"] for metrics in document["history"]]
    assert document["best_epoch"] == 1 + int(np.argmin(losses))
    assert document["epochs"] == document["best_epoch"] + 4 < 60


def test_a_loss_that_is_no_number_ends_the_run(make_settings: MakeSettings) -> None:
    settings = make_settings("penguins", learning_rate=1e38, epochs=30)
    with pytest.raises(UserError, match=r"infinite in epoch \d+, batch \d+ of 8; .*-rate below"):
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


def test_the_watched_metric_decides_the_best_epoch(make_settings: MakeSettings) -> None:
    settings = make_settings("penguins", epochs=12, learning_rate=0.3, metric="accuracy")
    document = train(settings)
    accuracies = [metrics["eval_accuracy"] for metrics in document["history"]]
    assert document["best_epoch"] == 1 + int(np.argmax(accuracies))


@trained_on("penguins")
def test_gradients_are_cut_to_a_length(
    trained: Trained, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a rate that is no number otherwise goes on; Adam itself takes steps of one size."""
    cut = first_epoch(make_settings("penguins", **LEARNING, clip_norm=1e-12), monkeypatch)
    free = trained.document["history"][0]
    # Gradients far below Adam's epsilon hardly move a weight.
    assert cut["eval_log_loss"] > free["eval_log_loss"]


@trained_on("penguins")
def test_a_penalty_keeps_the_weights_small(trained: Trained, make_settings: MakeSettings) -> None:
    kept_small = make_settings("penguins", **LEARNING, l2=1.0)
    train(kept_small)
    sizes = []
    for settings in (trained.settings, kept_small):
        loaded = tf.saved_model.load(f"{settings.model_dir}/1")
        sizes.append(sum(float(tf.reduce_sum(weight**2)) for weight in loaded.weights))
    assert sizes[1] < sizes[0] / 2


def test_rows_that_do_not_parse_are_left_out_up_to_a_share(
    make_settings: MakeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = make_settings("penguins", epochs=1)
    content = Path(settings.train_data).read_text().replace("Adelie", "adelie", 1)
    content = content.replace(",adelie", ",Adelie").replace("Adelie 2,", "Adelie 2,,,,", 1)
    path = tmp_path / "train.csv"
    path.write_text(content)
    bad = dataclasses.replace(settings, train_data=str(path))
    with pytest.raises(UserError, match=f"{path}: 1 of the 275 rows read cannot be parsed"):
        train(bad)
    first_epoch(dataclasses.replace(bad, max_bad_share=0.01), monkeypatch)
    said = capsys.readouterr().out
    assert "Read 274 training" in said
    assert "They are left out." in said


def test_a_column_that_teaches_nothing_is_said(
    make_settings: MakeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = make_settings("penguins", epochs=1)
    rows = pd.read_csv(settings.train_data).assign(year=2007)
    rows.to_csv(tmp_path / "train.csv", index=False)
    first_epoch(dataclasses.replace(settings, train_data=str(tmp_path / "train.csv")), monkeypatch)
    assert "Column 'year' has only one value in the training rows" in capsys.readouterr().out
