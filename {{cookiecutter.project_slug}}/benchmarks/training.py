"""nox -s bench_training

Trains the same network on all flights in three ways, each in a process of its own, and compares
the quality of ours with scikit-learn's models on the same rows. Takes about five minutes on two
cores; `--part speed` and `--part quality` do one half. `--part workers` trains with one, two and
four workers on this machine instead.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table as Printed

from cloud.datasets.splits import SPLIT_BY
from table_schema import metrics
from table_schema.columns import SPLITS, Table
from table_schema.tables import TABLES

BATCH = 512
EPOCHS = 3
HIDDEN = (64, 32)
# The variable with the time at which a process was started; what psutil knows of that can be a
# second off, as it counts from the machine's start in whole seconds.
STARTED = "BENCHMARK_STARTED"
WORKERS = (1, 2, 4)
WORKERS_BATCHES = (512, 8_192)
# Without the weather, which a recipe for a flights table would not have at hand.
FLIGHTS = TABLES["flights"]
PLAIN = dataclasses.replace(FLIGHTS, name="flights_plain", columns=FLIGHTS.columns[:8])
COMPARED = {table.name: table for table in (PLAIN, FLIGHTS)}

Array = np.ndarray[Any, Any]
Result = dict[str, float]


def feature_space(folder: Path) -> Result:
    """Keras' recipe for structured data: FeatureSpace, and fit.

    Source: https://keras.io/examples/structured_data/structured_data_classification_with_feature_space.
    """
    import keras
    import pandas as pd
    import tensorflow as tf

    def dataset(split: str) -> Any:
        frame = pd.read_csv(folder / f"{split}.csv", usecols=_columns(PLAIN))
        labels = (frame.pop("late") == "yes").astype("int32")
        rows = tf.data.Dataset.from_tensor_slices((dict(frame), labels))
        return (rows.shuffle(len(frame)) if split == "train" else rows).batch(BATCH)

    def kind(column: str) -> Any:
        kinds = {"number": "float_normalized", "integer": "integer_categorical"}
        wanted = kinds.get(_kinds(PLAIN)[column], "string_categorical")
        return getattr(keras.utils.FeatureSpace, wanted)()

    splits = {split: dataset(split) for split in SPLITS}
    space = keras.utils.FeatureSpace({name: kind(name) for name in _kinds(PLAIN)}, "concat")
    space.adapt(splits["train"].map(lambda features, _: features))
    encoded = {
        split: rows.map(
            lambda features, label: (space(features), label), num_parallel_calls=tf.data.AUTOTUNE
        ).prefetch(tf.data.AUTOTUNE)
        for split, rows in splits.items()
    }
    inputs = space.get_encoded_features()
    model = keras.Model(inputs, _network(inputs))
    return _fit(model, encoded, folder)


def csv_dataset(folder: Path) -> Result:
    """The course's way: make_csv_dataset, preprocessing layers that adapt to it, and fit.

    Source: https://www.tensorflow.org/tutorials/structured_data/preprocessing_layers.
    """
    import keras
    import tensorflow as tf

    def dataset(split: str) -> Any:
        rows = tf.data.experimental.make_csv_dataset(
            str(folder / f"{split}.csv"),
            BATCH,
            select_columns=_columns(PLAIN),
            label_name="late",
            num_epochs=1,
            shuffle=split == "train",
        )
        return rows.map(lambda features, label: (features, tf.cast(label == "yes", tf.int32)))

    splits = {split: dataset(split) for split in SPLITS}
    inputs, encoded = {}, []
    for name, kind in _kinds(PLAIN).items():
        dtypes = {"number": "float32", "integer": "int64"}
        inputs[name] = keras.Input((1,), name=name, dtype=dtypes.get(kind, "string"))
        lookup = keras.layers.IntegerLookup if kind == "integer" else keras.layers.StringLookup
        if kind == "number":
            layer = keras.layers.Normalization(axis=None)
        else:
            layer = lookup(output_mode="one_hot")

        def column(features: Any, _label: Any, name: str = name) -> Any:
            return tf.cast(features[name], inputs[name].dtype)[:, tf.newaxis]

        layer.adapt(splits["train"].map(column))
        encoded.append(layer(inputs[name]))
    model = keras.Model(inputs, _network(keras.layers.concatenate(encoded)))

    def shaped(features: Any, label: Any) -> Any:
        columns = {name: tf.cast(features[name], inputs[name].dtype) for name in inputs}
        return {name: values[:, tf.newaxis] for name, values in columns.items()}, label

    ready = {name: rows.map(shaped).prefetch(tf.data.AUTOTUNE) for name, rows in splits.items()}
    return _fit(model, ready, folder)


def ours(folder: Path) -> Result:
    """This project's trainer, with the checkpoints and the curves that it writes on the way.

    Its learning rate falls to zero over the three epochs, so it begins higher than the default.
    """
    from trainer.tabular import run as road
    from trainer.tabular.loop import Loop

    trained: Result = {}

    class Watched(Loop):
        def fit(self, *arguments: Any) -> Any:
            progress = super().fit(*arguments)
            trained.update(seconds=_seconds(), memory=_peak_memory())
            return progress

    # What the road does after training is not training's time.
    with mock.patch.object(road, "Loop", Watched):
        document = _train(
            folder,
            PLAIN,
            epochs=EPOCHS,
            batch_size=BATCH,
            hidden_units=HIDDEN,
            learning_rate=0.012,
            bins=1,
            members=1,
        )
    rates = [epoch["rows_per_second"] for epoch in document["history"]]
    return trained | {"rows_per_second": max(rates[1:]), "auc": document["test"]["auc"]}


WAYS: dict[str, Callable[[Path], Result]] = {
    "FeatureSpace, fit": feature_space,
    "make_csv_dataset, layers, fit": csv_dataset,
    "this trainer": ours,
}


def _network(features: Any) -> Any:
    import keras

    for units in HIDDEN:
        features = keras.layers.Dense(units, activation="relu")(features)
    return keras.layers.Dense(1, activation="sigmoid")(features)


def _fit(model: Any, splits: dict[str, Any], folder: Path) -> Result:
    """Trains and scores a Keras model; only the training rows' part of an epoch is its speed."""
    import keras
    import pandas as pd

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        begun = 0.0
        seconds: list[float] = []  # noqa: RUF012, there is one clock

        def on_epoch_begin(self, _epoch: int, _logs: Any = None) -> None:
            self.begun = time.perf_counter()

        def on_test_begin(self, _logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self.begun)

    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    clock = Clock()
    model.fit(
        splits["train"],
        validation_data=splits["eval"],
        epochs=EPOCHS,
        callbacks=[clock],
        verbose=0,
    )
    trained = {"seconds": _seconds(), "memory": _peak_memory()}
    rows = len(pd.read_csv(folder / "train.csv", usecols=["late"]))
    late = pd.read_csv(folder / "test.csv", usecols=["late"])["late"] == "yes"
    scores = model.predict(splits["test"], verbose=0)[:, 0]
    return trained | {
        "rows_per_second": rows / min(clock.seconds[1:]),
        "auc": metrics.roc_auc(late.to_numpy(), scores),
    }


def _train(folder: Path, table: Table, **values: Any) -> dict[str, Any]:
    """Goes this project's road from CSV files to an evaluated and exported model."""
    from trainer.mirror import FOLDERS
    from trainer.tabular.run import run
    from trainer.tabular.settings import Settings

    values |= {f"{split}_data": str(folder / f"{split}.csv") for split in SPLITS}
    with tempfile.TemporaryDirectory() as place:
        values |= {name: f"{place}/{name}" for name in FOLDERS}
        TABLES[table.name] = table  # the road knows its tables by name
        try:
            return run(Settings(table=table.name, **values), threading.Event())
        finally:
            del TABLES[table.name]


def quality_of_ours(folder: Path, table: Table) -> Result:
    """This trainer, with its default settings."""
    return dict(_train(folder, table)["test"])


def quality_of_logistic(folder: Path, table: Table) -> Result:
    """scikit-learn's logistic regression on scaled numbers and one-hot categories."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [name for name, kind in _kinds(table).items() if kind == "number"]
    categories = [name for name in _kinds(table) if name not in numbers]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), categories),
    )
    return _fit_and_score(make_pipeline(columns, LogisticRegression(max_iter=1_000)), folder, table)


def quality_of_boosting(folder: Path, table: Table) -> Result:
    """scikit-learn's gradient boosting over histograms, stopped early."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_leaf_nodes=63,
        max_iter=500,
        early_stopping=True,
        categorical_features="from_dtype",
        random_state=0,
    )
    return _fit_and_score(model, folder, table)


def _fit_and_score(model: Any, folder: Path, table: Table) -> Result:
    import pandas as pd

    frames = {name: pd.read_csv(folder / f"{name}.csv") for name in ("train", "test")}
    late = {name: (frame["late"] == "yes").to_numpy(int) for name, frame in frames.items()}
    features = {name: frame[list(_kinds(table))].copy() for name, frame in frames.items()}
    for column, kind in _kinds(table).items():
        if kind != "number":
            values = pd.CategoricalDtype(sorted(features["train"][column].unique()))
            for frame in features.values():
                frame[column] = frame[column].astype(values)
    model.fit(features["train"], late["train"])
    return metrics.score(model.predict_proba(features["test"]), late["test"])


QUALITIES: dict[str, Callable[[Path, Table], Result]] = {
    "LogisticRegression": quality_of_logistic,
    "HistGradientBoostingClassifier": quality_of_boosting,
    "this trainer": quality_of_ours,
}


def _kinds(table: Table) -> dict[str, str]:
    return {column.name: column.kind for column in table.columns}


def _columns(table: Table) -> list[str]:
    return [*_kinds(table), table.label.name]


def _seconds() -> float:
    """Returns how long ago this process was started, as told by who started it."""
    return time.time() - float(os.environ[STARTED])


def _peak_memory() -> float:
    """Returns the most memory that this process has held, in bytes."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1_024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def in_a_process(task: str, name: str, folder: Path, table: str = PLAIN.name) -> Result:
    """Runs one way in a process of its own, and returns what it measured."""
    arguments = [task, name, str(folder), table]
    command = [sys.executable, "-m", "benchmarks.training", "--one", json.dumps(arguments)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", STARTED: str(time.time())}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def one(task: str, name: str, folder: str, table: str) -> None:
    """Runs one way in this process and prints what it measured, as the last line."""
    with contextlib.redirect_stdout(sys.stderr):
        if task == "speed":
            result = WAYS[name](Path(folder))
        else:
            result = QUALITIES[name](Path(folder), COMPARED[table])
    print(json.dumps(result))


def compare_speed(folder: Path, console: Console) -> None:
    """Prints the three ways side by side; the ratios are to the first one."""
    columns = ("rows/s of an epoch", "", "s until trained", "", "peak memory", "test AUC")
    printed = Printed(
        "", *columns, title=f"64-32 network, 8 columns, batch {BATCH}, {EPOCHS} epochs"
    )
    first: Result = {}
    for name in WAYS:
        with console.status(name):
            found = in_a_process("speed", name, folder)
        first = first or found
        printed.add_row(
            name,
            f"{found['rows_per_second']:,.0f}",
            f"{found['rows_per_second'] / first['rows_per_second']:.1f}x",
            f"{found['seconds']:.1f}",
            f"{found['seconds'] / first['seconds']:.2f}x",
            f"{found['memory'] / 1e9:.2f} GB",
            f"{found['auc']:.4f}",
        )
    console.print(printed)


def compare_quality(folder: Path, console: Console, split_by: str) -> None:
    """Prints the scores of scikit-learn's models and ours on the same test rows."""
    printed = Printed(
        "columns",
        "model",
        "ROC AUC",
        "log loss",
        "accuracy",
        title=f"Test rows, split by {split_by}",
    )
    for table, columns in ((PLAIN, "8 plain"), (FLIGHTS, "with weather")):
        for name in QUALITIES:
            with console.status(f"{name}, {columns}"):
                found = in_a_process("quality", name, folder, table.name)
            scores = (f"{found[metric]:.4f}" for metric in ("auc", "log_loss", "accuracy"))
            printed.add_row(columns, name, *scores)
    console.print(printed)


def with_workers(folder: Path, count: int, batch: int) -> Result:
    """Trains with so many workers on this machine, as a job's replicas do."""
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory())
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        hosts = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        for each in sockets:
            each.close()
        words = [f"--{split}-data={folder / f'{split}.csv'}" for split in SPLITS]
        words += [f"--{name}-dir={place}/{name}" for name in ("model", "checkpoint", "log")]
        words += [f"--epochs={EPOCHS}", f"--batch-size={batch}", "--members=1", "--bins=1"]
        running = []
        for index in range(count):
            task = {"type": "worker" if index else "chief", "index": max(0, index - 1)}
            cluster = {"chief": hosts[:1], "worker": hosts[1:]}
            config = {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}
            command = [sys.executable, "-m", "trainer.task", *words]
            environment = os.environ | (config if count > 1 else {})
            running.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
        if any([process.wait() for process in running]):  # noqa: C419, waits for all
            raise SystemExit(f"Training with {count} workers failed.")
        document = json.loads(Path(place, "model", "evaluation.json").read_text(encoding="utf-8"))
    rates = [epoch["rows_per_second"] for epoch in document["history"]]
    return {"rows_per_second": max(rates[1:]), "auc": document["test"]["auc"]}


def compare_workers(folder: Path, console: Console) -> None:
    """Prints how a training scales over workers that share this machine's processors."""
    title = f"Workers on one machine of {os.cpu_count()} processors, {EPOCHS} epochs"
    printed = Printed("batch", "workers", "rows/s of an epoch", "", "test AUC", title=title)
    for batch in WORKERS_BATCHES:
        first: Result = {}
        for count in WORKERS:
            with console.status(f"{count} workers, batch {batch}"):
                found = with_workers(folder, count, batch)
            first = first or found
            ratio = found["rows_per_second"] / first["rows_per_second"]
            rate = f"{found['rows_per_second']:,.0f}"
            printed.add_row(f"{batch:,}", str(count), rate, f"{ratio:.2f}x", f"{found['auc']:.4f}")
    console.print(printed)


def main() -> None:
    """Makes the data and prints the tables."""
    parser = argparse.ArgumentParser(description="Compares ways to train on all flights.")
    parser.add_argument("--part", choices=["speed", "quality", "workers"], help="only this one")
    parser.add_argument("--split-by", choices=SPLIT_BY, default="row", help="of the data")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return one(*json.loads(options.one))
    from cloud.datasets import makers

    console = Console(width=None if sys.stdout.isatty() else 110)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with console.status("Making the data"):
            makers.write_csvs("flights", folder, split_by=options.split_by)
        if options.part in (None, "speed"):
            compare_speed(folder, console)
        if options.part == "workers":
            compare_workers(folder, console)
        if options.part in (None, "quality"):
            compare_quality(folder, console, options.split_by)
    return None


if __name__ == "__main__":
    main()
