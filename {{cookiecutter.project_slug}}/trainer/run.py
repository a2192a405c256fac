"""The road: data, preprocessing, model, loop, evaluation, export."""

import dataclasses
import json
import math
import threading
import time
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer import card, charts, console, export, metrics, model
from trainer.checkpoint import Checkpoints, Progress
from trainer.columns import TABLES, Table
from trainer.data import Array, Rows, Source, join, read, sampled
from trainer.errors import StopRequestedError
from trainer.evaluation import curves, evaluate
from trainer.loop import Loop, choose_strategy, is_chief
from trainer.mirror import local_folders
from trainer.preprocess import Preprocessor
from trainer.settings import FOLDERS, RISING, Settings
from trainer.statistics import measure
from trainer.tensorboard_log import TensorBoardLog

# Settings that a run may change when it goes on from a checkpoint.
CHANGEABLE = {
    *("train_data", "eval_data", "test_data", *FOLDERS),
    *("epochs", "patience", "checkpoint_seconds"),
}


def run(settings: Settings, stop: threading.Event) -> dict[str, Any]:
    """Trains, evaluates and exports.

    Args:
        settings: with every folder given.
        stop: set by whoever wants it to end early, with a checkpoint.

    Returns:
        What `evaluation.json` holds; nothing of a worker that is not the chief.

    Raises:
        StopRequestedError: `stop` was set.
        UserError: the data, the settings or the folders are at fault.
    """
    strategy, chief = choose_strategy(), is_chief()
    table = TABLES[settings.table]

    def source(pattern: str, kept_rows: int = 0, with_keys: bool = False) -> Source:
        return Source(pattern, table, settings.max_bad_share, kept_rows, with_keys, stop)

    begun = time.monotonic()
    sources = (
        source(settings.train_data, kept_rows=settings.window_rows),
        source(settings.eval_data),
        source(settings.test_data, with_keys=True),
    )
    statistics = measure(sources[0], table, settings.min_count, settings.max_vocabulary)
    evaluation, test = read(sources[1]), read(sources[2])
    console.say(
        f"Read {statistics.rows:,} training, {len(evaluation):,} evaluation and {len(test):,} test"
        f" rows in {time.monotonic() - begun:.1f} s."
    )
    for warning in statistics.warnings:
        console.say(warning, severity="WARNING")
    preprocessor = Preprocessor(table, statistics)
    head = model.make_head(table, statistics, settings)

    with local_folders(settings, chief) as folders:
        sample: list[Rows] = []  # all of the training rows, where they fit into memory
        windows = math.ceil(statistics.rows / settings.window_rows)
        encoded = preprocessor.encode_blocks(
            sampled(sources[0], windows, sample),
            statistics.rows,
            folders.scratch if windows > 1 else None,
        )
        with strategy.scope():
            network = model.build(preprocessor, head, settings)
            loop = Loop(settings, strategy, network, head, encoded)
        identity = _identity(settings, sources[0], network)
        checkpoints = Checkpoints(folders.checkpoints, loop.variables, identity)
        with TensorBoardLog(folders.logs, settings) as log:
            encoded_eval = preprocessor.encode(evaluation)
            progress = loop.fit(encoded_eval, checkpoints, log, chief, stop)
            if not chief:
                return {}
            # Of the evaluation's rows: what people compare runs by must not be the test rows.
            drawn = curves(table.label, loop.predict(encoded_eval), evaluation.labels)
            figures = charts.of_curves(drawn, table.label.name)
            images = {name: charts.png(figure) for name, figure in figures.items()}
            log.write_images(images, progress.best_epoch)

        def predict(rows: Rows) -> Array:
            return loop.predict(preprocessor.encode(rows))

        findings = evaluate(table, predict, join(sample), evaluation, test, seed=settings.seed)
        console.say(f"Test: {metrics.in_words(findings['test'])}.", findings["test"])
        for name, baseline in findings["baselines"].items():
            console.say(metrics.compare(findings["test"], name, baseline))
        if stop.is_set():
            raise StopRequestedError

        # The same weights in variables of no strategy, as the SavedModel needs them.
        plain = model.build(preprocessor, head, settings)
        plain.set_weights(network.get_weights())
        export.export(preprocessor, head, plain, test, folders.model / "1")
        document = _document(settings, table, sources, progress)
        document |= {
            "rows": {"train": statistics.rows, "eval": len(evaluation), "test": len(test)},
            "test_fingerprint": test.fingerprint(),
            **findings,
        }
        _write_json(folders.model / "statistics.json", dataclasses.asdict(statistics))
        _write_json(folders.model / "evaluation.json", document)
        card.write(folders.model, document)
    console.say(f"Wrote the SavedModel, evaluation.json and {card.FILE} to {settings.model_dir}.")
    return document


def _identity(settings: Settings, train: Source, network: keras.Model) -> dict[str, Any]:
    """Returns what must not change between the attempts of one run."""
    values = dataclasses.asdict(settings)
    kept = {name: value for name, value in values.items() if name not in CHANGEABLE}
    weights = {f"the weight {each.path}": list(each.shape) for each in network.trainable_variables}
    return kept | {"training rows": train.fingerprint()} | weights


def _document(
    settings: Settings, table: Table, sources: tuple[Source, ...], progress: Progress
) -> dict[str, Any]:
    """Returns how the model came about."""
    primary = "auc" if table.label.classes else "rmse"
    digests = {name: digest for source in sources for name, digest in source.digests.items()}
    return {
        "table": table.name,
        "kind": table.label.kind,
        "primary": {"metric": primary, "higher_is_better": primary in RISING},
        "label": table.label.name,
        "classes": table.label.classes,
        "data": {name: f"sha256:{digest}" for name, digest in digests.items()},
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "history": progress.history,
        "settings": dataclasses.asdict(settings),
        "versions": {
            "trainer": _version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }


def _version() -> str:
    """Returns the trainer's version, installed or in the project's folder."""
    try:
        return metadata.version("trainer")
    except metadata.PackageNotFoundError:
        content = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
        return str(tomllib.loads(content)["project"]["version"])


def _write_json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)
