"""Small real data for the trainer, and settings that train on it in a second."""

import contextlib
import dataclasses
import functools
import itertools
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest

from cloud.datasets import makers
from table_schema.columns import SPLITS, Table
from trainer import mirror, storage
from trainer.mirror import FOLDERS
from trainer.tabular.data import Rows, Source, read
from trainer.tabular.loop import Loop
from trainer.tabular.run import run
from trainer.tabular.settings import Settings
from vertex_emulator.testing.running import RunningEmulator

MakeSettings = Callable[..., Settings]
# The tables of these tests. One of a person's own in trainer/tables/ has files that are not here.
TRAINED = ("flights", "flights_delay", "penguins")
# Settings with which a training of each table beats the baselines.
LEARNING: dict[str, Any] = {"epochs": 3, "learning_rate": 0.05}
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run of the tests see."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def made_once(folder: Path, make: Callable[[Path], Any]) -> None:
    """Makes a folder, unless another process of the tests has made it."""
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            unfinished = folder.with_suffix(".part")
            make(unfinished)
            unfinished.rename(folder)


@pytest.fixture(scope="session")
def data(shared: Path) -> dict[str, dict[str, Path]]:
    """The files of each table by table and split; flights is a sample."""
    rows = {"flights": 4_000, "penguins": None}
    for name, count in rows.items():
        made_once(shared / name, functools.partial(makers.write_csvs, name, rows=count))
    files = {name: {split: shared / name / f"{split}.csv" for split in SPLITS} for name in rows}
    return files | {"flights_delay": files["flights"]}  # another column is the label


def settings_in(base: str, files: dict[str, Path], **values: Any) -> Settings:
    """Returns tiny settings with all folders in a place, a path or gs:// URI."""
    data = {f"{split}_data": str(path) for split, path in files.items()}
    return Settings.tiny(**data | {name: f"{base}/{name}" for name in FOLDERS} | values)


@pytest.fixture
def make_settings(data: dict[str, dict[str, Path]], tmp_path: Path) -> MakeSettings:
    """Makes settings of a table with the folders in `tmp_path`, or in another place `at`."""

    def make(table: str = "flights", at: str | None = None, **values: Any) -> Settings:
        return settings_in(at or str(tmp_path / "job"), data[table], table=table, **values)

    return make


@pytest.fixture(autouse=True)
def _outside_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLUSTER_SPEC", "CLOUD_ML_JOB_ID", "TF_CONFIG", *FOLDERS.values()):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bucket(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A new bucket of the emulator, which the trainer's client looks at."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    monkeypatch.setattr(mirror, "INTERVAL", 0.05)
    # A client of this emulator, where one of another is remembered.
    monkeypatch.setattr(storage, "client", functools.cache(storage.client.__wrapped__))
    from google.cloud.storage import Client

    return Client().create_bucket(f"trainer-{next(_numbers)}")


@pytest.fixture
def unused_ports() -> list[int]:
    """Four ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(4)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def train(settings: Settings) -> dict[str, Any]:
    """Runs a training in this process; returns what `evaluation.json` holds."""
    return run(settings, threading.Event())


def read_table(uri: str, table: Table) -> Rows:
    """Reads all rows of a file."""
    return read(Source(uri, table))


@dataclasses.dataclass(frozen=True)
class Trained:
    """A training that is done."""

    settings: Settings
    document: dict[str, Any]


@pytest.fixture(scope="session", params=TRAINED)
def trained(
    request: pytest.FixtureRequest, data: dict[str, dict[str, Path]], shared: Path
) -> Trained:
    """A training of each table that several tests look at, and none changes."""
    name: str = request.param
    folder = shared / f"trained_{name}"
    made_once(folder, lambda at: train(settings_in(str(at), data[name], table=name, **LEARNING)))
    settings = settings_in(str(folder), data[name], table=name, **LEARNING)
    evaluation = Path(settings.model_dir, "evaluation.json").read_text(encoding="utf-8")
    return Trained(settings, json.loads(evaluation))


def trained_on(table: str) -> pytest.MarkDecorator:
    """Returns the mark of a test that looks at the training of one table alone."""
    return pytest.mark.parametrize("trained", [table], indirect=True)


def without_speed(document: dict[str, Any]) -> dict[str, Any]:
    """Returns what of `evaluation.json` must be the same each time."""
    kept = ("test", "baselines", "best_epoch", "epochs")
    history = [
        {name: value for name, value in metrics.items() if name != "rows_per_second"}
        for metrics in document["history"]
    ]
    return {name: document[name] for name in kept} | {"history": history}


def weights_of(settings: Settings) -> bytes:
    """Returns the exported weights."""
    return Path(settings.model_dir, "1/variables/variables.data-00000-of-00001").read_bytes()


def stop_after_steps(monkeypatch: pytest.MonkeyPatch, calls: int) -> threading.Event:
    """Sets the event it returns when the training has called TensorFlow so often."""
    stop = threading.Event()
    check = Loop._check
    left = calls

    def counting(self: Loop, *arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            stop.set()
        check(self, *arguments)

    monkeypatch.setattr(Loop, "_check", counting)
    return stop
