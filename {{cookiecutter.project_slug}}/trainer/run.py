"""The road: data, preprocessing, model, loop, evaluation, export."""

import dataclasses
import json
import threading
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer import evaluate, export, model, remote, report
from trainer.checkpoint import Checkpoints, Progress
from trainer.columns import TABLES, Table
from trainer.data import Rows, read
from trainer.loop import Loop, choose_strategy, is_chief
from trainer.preprocess import Preprocessor, measure
from trainer.settings import FOLDERS, Settings

# Settings that a run may change when it goes on from a checkpoint.
CHANGEABLE = {"train_data", "eval_data", "test_data", *FOLDERS, "epochs", "patience"}


def run(settings: Settings, stop: threading.Event) -> dict[str, Any]:
    """Trains, evaluates and exports.

    Args:
        settings: with every folder given.
        stop: set by whoever wants it to end early, with a checkpoint.

    Returns:
        What `evaluation.json` holds.

    Raises:
        StopRequestedError: `stop` was set.
        UserError: the data, the settings or the folders are at fault.
    """
    strategy = choose_strategy()
    table = TABLES[settings.table]

    begun = time.monotonic()
    uris = settings.train_data, settings.eval_data, settings.test_data
    train, evaluation, test = (read(uri, table) for uri in uris)
    report.say(
        f"Read {len(train):,} training, {len(evaluation):,} evaluation and {len(test):,} test rows"
        f" in {time.monotonic() - begun:.1f} s."
    )
    statistics = measure(train, table, settings.min_count)
    preprocessor = Preprocessor(table, statistics)

    with remote.local_folders(settings, is_chief()) as folders:
        with strategy.scope():
            network = model.build(table, statistics, settings)
            loop = Loop(settings, strategy, network, preprocessor.encode(train))
        checkpoints = Checkpoints(folders.checkpoints, loop.variables, _identity(settings, train))
        progress = loop.fit(
            preprocessor.encode(evaluation), checkpoints, folders.logs, is_chief(), stop
        )
        scores = evaluate.score(loop.predict(preprocessor.encode(test)), test.labels)
        baselines = evaluate.baselines(table, train, test)
        report.say(f"Test: {evaluate.in_words(scores)}.", scores)
        for name, baseline in baselines.items():
            report.say(evaluate.compare(scores, name, baseline))

        # The same weights in variables of no strategy, as the SavedModel needs them.
        plain = model.build(table, statistics, settings)
        plain.set_weights(network.get_weights())
        export.export(table, preprocessor, plain, folders.model / "1")
        document = _document(settings, table, (train, evaluation, test), progress)
        document |= {"test": scores, "baselines": baselines}
        _write_json(folders.model / "evaluation.json", document)
        _write_json(folders.model / "statistics.json", dataclasses.asdict(statistics))
    if is_chief():
        report.say(f"Wrote the SavedModel and evaluation.json to {settings.model_dir}.")
    return document


def _identity(settings: Settings, train: Rows) -> dict[str, Any]:
    """Returns what must not change between the attempts of one run."""
    values = dataclasses.asdict(settings)
    kept = {name: value for name, value in values.items() if name not in CHANGEABLE}
    return kept | {"training rows": train.fingerprint}


def _document(
    settings: Settings, table: Table, splits: tuple[Rows, Rows, Rows], progress: Progress
) -> dict[str, Any]:
    """Returns how the model came about."""
    return {
        "table": table.name,
        "kind": table.label.kind,
        "primary": {"metric": "auc", "higher_is_better": True},
        "test_fingerprint": f"sha256:{splits[2].fingerprint}",
        "label": table.label.name,
        "classes": table.label.classes,
        "rows": dict(zip(("train", "eval", "test"), map(len, splits), strict=True)),
        "data": {rows.source: f"sha256:{rows.fingerprint}" for rows in splits},
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "history": progress.history,
        "settings": dataclasses.asdict(settings),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }


def _write_json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)
