"""One training from data to export: read it from top to bottom."""

import dataclasses
import json
import math
import re
import threading
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from table_schema import metrics
from table_schema.columns import SPLITS, Table
from table_schema.tables import TABLES
from trainer import console, files
from trainer.errors import StopRequestedError, UserError
from trainer.job import is_chief
from trainer.mirror import FOLDERS, local_folders
from trainer.tabular import card, charts, cross_validation, export, faults, model
from trainer.tabular.baselines import boosting
from trainer.tabular.calibration import temperature
from trainer.tabular.checkpoint import Checkpoints, Progress
from trainer.tabular.data import Array, Rows, Source, join, read, sampled
from trainer.tabular.evaluation import best_threshold, curves, evaluate
from trainer.tabular.heads import ClassesHead, Head, make_head
from trainer.tabular.loop import Loop
from trainer.tabular.plan import plan
from trainer.tabular.preprocess import Encoded, Preprocessor
from trainer.tabular.settings import Settings, as_flag, as_text, data_field
from trainer.tabular.statistics import Statistics, measure
from trainer.tabular.tensorboard_log import TensorBoardLog
from trainer.tabular.workers import choose_strategy, report_devices

# Settings that a run may change when it goes on from a checkpoint.
CHANGEABLE = {
    *(data_field(split) for split in SPLITS),
    *FOLDERS,
    *("epochs", "patience", "checkpoint_seconds", "boosting_rows", "explain"),
    "background_rows",
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
        UserError: the data, the settings or the folders are at fault, or the memory is too small.
    """
    try:
        return _run(settings, stop)
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        if isinstance(error, tf.errors.ResourceExhaustedError) and "OOM" not in str(error):
            raise  # such as a full disk
        # TensorFlow's sentence stands between the names of its node and of its device.
        what = re.sub(r"\{\{.*?\}\} | on /job.*", "", str(error)) or type(error).__name__
        raise UserError(
            f"The training needs more memory than this machine has ({what}): take fewer"
            " --hidden-units or a smaller --batch-size, or a machine with more."
        ) from error


def _run(settings: Settings, stop: threading.Event) -> dict[str, Any]:
    strategy, chief = choose_strategy(), is_chief()
    report_devices()
    table = TABLES[settings.table]
    data = _read(settings, table, stop)
    settings = _decided(settings, table, data)
    data = _with_what_is_learned(data, table, settings)
    preprocessor = Preprocessor(table, data.statistics)
    head = make_head(table, data.statistics, settings)
    with local_folders(settings.folders, chief) as folders:
        train, sample = _encode(data, preprocessor, settings, folders.scratch)
        with strategy.scope():
            network = model.build(preprocessor, head, settings)
            loop = Loop(settings, strategy, network, head, train)
        identity = _identity(settings, data, network)
        checkpoints = Checkpoints(folders.checkpoints, loop.variables, identity)
        # With several folds every row is predicted by members that have not learned from it.
        unseen = train if settings.folds > 1 else preprocessor.encode(data.evaluation)
        with TensorBoardLog(folders.logs, settings) as log:
            progress = loop.fit(unseen, checkpoints, log, chief, stop)
            if not chief:
                return {}
            predictions = loop.predict_unseen(unseen)
            weighted = bool(settings.class_weights)
            chosen_on = calibrate(head, predictions, unseen.labels, weighted=weighted)
            # Of these rows: what people compare runs by must not be the test rows.
            drawn = curves(table.label, chosen_on, unseen.labels)
            figures = charts.of_curves(drawn, table.label.name)
            images = {name: charts.png(figure) for name, figure in figures.items()}
            log.write_images(images, progress.best_epoch)

        def predict(rows: Rows) -> Array:
            return np.asarray(head.calibrated(loop.predict(preprocessor.encode(rows))))

        findings = evaluate(
            table,
            predict,
            sample,
            data.evaluation,
            data.test,
            threshold=head.threshold,
            class_rows=data.statistics.class_rows,
            seed=settings.seed,
            explain=settings.explain == 1,
        )
        findings["temperature"] = head.temperature
        findings["cross_validation"] = _cross_validated(settings, table, chosen_on, unseen, data)
        findings["boosting"] = {}
        if settings.boosting_rows:
            most, seed = settings.boosting_rows, settings.seed
            findings["boosting"] = boosting(table, sample, data.test, most, seed)
        _report(findings, head, table)
        for warning in faults.of_columns(table, sample, findings["baselines"]):
            console.say(warning, severity="WARNING")
        if stop.is_set():
            raise StopRequestedError

        # The same weights in variables of no strategy, as the SavedModel needs them.
        plain = model.build(preprocessor, head, settings)
        plain.set_weights(network.get_weights())
        apart = export.export(preprocessor, head, plain, data.test, folders.model / "1")
        export.write_contract(table, head, data.test, folders.model, rows_joined=apart)
        export.write_background(
            table, sample, folders.model, count=settings.background_rows, seed=settings.seed
        )
        document = _document(settings, table, data, progress) | findings
        _write_json(folders.model / "statistics.json", dataclasses.asdict(data.statistics))
        _write_json(folders.model / "evaluation.json", document)
        card.write(folders.model, document)
    console.say(f"Wrote the SavedModel, evaluation.json and {card.FILE} to {settings.model_dir}.")
    return document


@dataclass(frozen=True)
class _Data:
    """The three splits: the training rows as a source, as they may be more than memory holds.

    Attributes:
        statistics: of the rows that are learned from.
        digests: SHA-256 of each file by its name.
        folds: of the rows that are learned from.
    """

    train: Source
    statistics: Statistics
    evaluation: Rows
    test: Rows
    digests: dict[str, str]
    folds: int = 1

    @property
    def learned(self) -> Iterable[Rows]:
        """The rows that are learned from, as blocks: with several folds those of evaluation too."""
        return chain(self.train, [self.evaluation] if self.folds > 1 else [])

    @property
    def train_rows(self) -> int:
        """How many there are."""
        return self.statistics.rows - (len(self.evaluation) if self.folds > 1 else 0)


def _read(settings: Settings, table: Table, stop: threading.Event) -> _Data:
    """Reads every row once, and says what a person should know of them before training."""
    begun = time.monotonic()
    sources = {
        split: Source(
            getattr(settings, data_field(split)),
            table,
            settings.max_bad_share,
            kept_rows=settings.window_rows if split == "train" else 0,
            with_keys=split == "test",
            stop=stop,
        )
        for split in SPLITS
    }
    train = sources["train"]
    statistics = measure(train, table, settings.min_count, settings.max_vocabulary, settings.bins)
    evaluation, test = read(sources["eval"]), read(sources["test"])
    console.say(
        f"Read {statistics.rows:,} training, {len(evaluation):,} evaluation and {len(test):,} test"
        f" rows in {time.monotonic() - begun:.1f} s."
    )
    lacking = faults.of_splits(table, statistics.class_rows, evaluation, test)
    for warning in (*statistics.warnings, *lacking):
        console.say(warning, severity="WARNING")
    digests = {name: value for each in sources.values() for name, value in each.digests.items()}
    return _Data(train, statistics, evaluation, test, digests)


def _decided(settings: Settings, table: Table, data: _Data) -> Settings:
    """Returns the settings with all that the table decides, and says it."""
    rows, split_by = data.statistics.rows, table.split.by
    decided, reasons = plan(settings, rows, len(data.evaluation), split_by)
    for name, reason in reasons.items():
        console.say(f"{as_flag(name)} {as_text(getattr(decided, name))}: {reason}.")
    if decided.folds > 1 and split_by != "row":
        raise UserError(
            f"--folds: expected 1, as the rows are split by {split_by}, got {decided.folds}."
        )
    if decided.folds > rows + len(data.evaluation):
        raise UserError(
            f"--folds: expected no more than there are rows to learn from, got {decided.folds}."
        )
    return decided


def _with_what_is_learned(data: _Data, table: Table, settings: Settings) -> _Data:
    """Returns the data for so many folds, measured again where that are other rows."""
    if settings.folds == 1:
        return data
    data = dataclasses.replace(data, folds=settings.folds)
    bounds = settings.min_count, settings.max_vocabulary, settings.bins
    return dataclasses.replace(data, statistics=measure(data.learned, table, *bounds))


def _encode(
    data: _Data, preprocessor: Preprocessor, settings: Settings, scratch: Path
) -> tuple[Encoded, Rows]:
    """Encodes the rows to learn from, and samples them: all where they fit into one window."""
    sample: list[Rows] = []
    windows = math.ceil(data.statistics.rows / settings.window_rows)
    encoded = preprocessor.encode_blocks(
        sampled(data.learned, windows, sample),
        data.statistics.rows,
        scratch if windows > 1 else None,
    )
    if settings.folds > 1:
        folds = cross_validation.parts(encoded.labels, settings.folds, settings.seed)
        encoded = dataclasses.replace(encoded, folds=folds)
    return encoded, join(sample)


def calibrate(head: Head, predictions: Array, labels: Array, *, weighted: bool) -> Array:
    """Chooses the temperature and the threshold of classes on rows that were not learned from.

    A threshold is chosen where nine tenths of the rows are of one of two classes, which would be
    the answer nearly always. Elsewhere the likelier class is the answer: it is right most often.

    Args:
        head: gets both.
        predictions: float32 [rows, classes], or [rows] of a number, which stay as they are.
        labels: of these rows.
        weighted: whether classes have weights, whose probabilities are off on purpose.

    Returns:
        The predictions at that temperature.
    """
    if not isinstance(head, ClassesHead):
        return predictions
    if not weighted:
        head.temperature = temperature(predictions, labels)
    if head.temperature != 1:
        console.say(
            f"Temperature {head.temperature:.2f}: the probabilities of rows not learned from are"
            f" {'less' if head.temperature > 1 else 'more'} sure for it, and their log loss falls."
        )
    calibrated = np.asarray(head.calibrated(predictions))
    if len(head.classes) == 2 and "accuracy" not in head.reported:
        head.threshold = best_threshold(labels == 1, calibrated[:, 1])
    return calibrated


def _cross_validated(
    settings: Settings, table: Table, predictions: Array, unseen: Encoded, data: _Data
) -> dict[str, Any]:
    """Returns what cross-validation shows, and says it."""
    if settings.folds == 1:
        return {}
    found = cross_validation.scores(predictions, unseen.labels, settings.folds, settings.seed)
    counted = data.statistics.class_rows
    metric = metrics.primary(table.label, counted)
    said = metrics.in_words(found["scores"], metrics.reported(table.label, counted))
    low, high = found["intervals"][metric]
    console.say(
        f"Cross-validation: {said}; {metrics.NAMES[metric]} is between {low:.4g} and {high:.4g}"
        f" with 95 % confidence, by {found['rows']:,} rows where the test has {len(data.test):,}."
    )
    return found


def _report(findings: dict[str, Any], head: Head, table: Table) -> None:
    """Says the scores on the test rows, and how they compare with the baselines'."""
    scores, names = findings["test"], head.reported
    console.say(f"Test: {metrics.in_words(scores, names)}.", scores)
    if "accuracy" in scores and "accuracy" not in names and "precision" in findings["confusion"]:
        found = findings["confusion"]
        console.say(
            f"Answers {table.label.classes[1]!r} from a probability of {found['threshold']:.4f} up,"
            f" the best F1 of the evaluation rows: {found['precision']:.0%} of these test rows are"
            f" right (precision), {found['recall']:.0%} of all such are found (recall)."
        )
    for name, baseline in findings["baselines"].items():
        console.say(metrics.compare(scores, name, baseline, names))
    if boosted := findings["boosting"]:
        name = f"gradient boosting of {boosted['rows']:,} rows in {boosted['seconds']:.1f} s"
        console.say(metrics.compare(scores, name, boosted["scores"], names))


def _identity(settings: Settings, data: _Data, network: keras.Model) -> dict[str, Any]:
    """Returns what must not change between the attempts of one run."""
    values = dataclasses.asdict(settings)
    kept = {name: value for name, value in values.items() if name not in CHANGEABLE}
    weights = {f"the weight {each.path}": list(each.shape) for each in network.trainable_variables}
    if data.folds > 1:
        kept["evaluation rows"] = data.evaluation.fingerprint()
    return kept | {"training rows": data.train.fingerprint()} | weights


def _document(settings: Settings, table: Table, data: _Data, progress: Progress) -> dict[str, Any]:
    """Returns how the model came about."""
    primary = metrics.primary(table.label, data.statistics.class_rows)
    return {
        "table": table.name,
        "kind": table.label.kind,
        "primary": {"metric": primary, "higher_is_better": primary in metrics.RISING},
        "label": table.label.name,
        "classes": table.label.classes,
        "inputs": {column.name: data.statistics.told(column) for column in table.columns},
        "data": {name: f"sha256:{digest}" for name, digest in data.digests.items()},
        "rows": {
            "train": data.train_rows,
            "eval": len(data.evaluation),
            "test": len(data.test),
        },
        "test_fingerprint": data.test.fingerprint(),
        "trained": datetime.now(UTC).isoformat(timespec="seconds"),
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
        content = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
        return str(tomllib.loads(content)["project"]["version"])


def _write_json(path: Path, document: Any) -> None:
    with files.whole(path) as unfinished:
        unfinished.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
