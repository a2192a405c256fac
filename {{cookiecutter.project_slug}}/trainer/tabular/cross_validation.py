"""What the scores of a small table are worth: models of parts of it, each scored on the rest."""

import contextlib
import dataclasses
import io
import threading
from pathlib import Path
from typing import Any

import numpy as np

from table_schema.columns import Table
from table_schema.metrics import intervals, score
from trainer.tabular import model
from trainer.tabular.checkpoint import Checkpoints
from trainer.tabular.data import Array, Rows, take
from trainer.tabular.loop import Loop
from trainer.tabular.preprocess import Preprocessor
from trainer.tabular.settings import Settings
from trainer.tabular.statistics import measure
from trainer.tabular.tensorboard_log import TensorBoardLog


class CrossValidation:
    """Trains a model for each part of some rows on the other parts, as the one to be exported was.

    The number of epochs is given, as no row that is scored may choose it.
    """

    def __init__(
        self, settings: Settings, table: Table, strategy: Any, scratch: Path, log: TensorBoardLog
    ) -> None:
        """Takes what all models share.

        Args:
            settings: with a value for each field.
            table: the columns.
            strategy: whose scope the models are made in.
            scratch: folder for what a training writes.
            log: nothing is written to it.
        """
        self.settings, self.table, self.strategy = settings, table, strategy
        self.scratch, self.log = scratch, log

    def scores(self, rows: Rows, epochs: int, stop: threading.Event) -> dict[str, Any]:
        """Scores every row by a model that has not seen it.

        Args:
            rows: of training and evaluation; the test rows are not looked at.
            epochs: of each training.
            stop: ends it early.

        Returns:
            `folds` and `rows`, how many; `scores`, by metric; and their `intervals`, from a
            bootstrap of the rows.

        Raises:
            StopRequestedError: `stop` was set.
            UserError: a part has no row of some class to learn from.
        """
        settings = dataclasses.replace(self.settings, epochs=epochs, patience=0)
        places = parts(rows.labels, settings.folds, settings.seed)
        of_parts = []
        for fold in range(settings.folds):
            held_out = np.flatnonzero(places == fold)
            learned = take(rows, np.flatnonzero(places != fold))
            with contextlib.redirect_stdout(io.StringIO()):  # it says what the first training said
                of_parts.append(
                    self._predictions(settings, learned, take(rows, held_out), fold, stop)
                )
        labels = rows.labels[np.argsort(places, kind="stable")]
        predictions = np.concatenate(of_parts)
        return {
            "folds": settings.folds,
            "rows": len(rows),
            "scores": score(predictions, labels),
            "intervals": intervals(predictions, labels, settings.seed),
        }

    def _predictions(
        self, settings: Settings, train: Rows, held_out: Rows, fold: int, stop: threading.Event
    ) -> Array:
        statistics = measure(
            [train], self.table, settings.min_count, settings.max_vocabulary, settings.bins
        )
        preprocessor = Preprocessor(self.table, statistics)
        head = model.make_head(self.table, statistics, settings)
        encoded = preprocessor.encode(train)
        with self.strategy.scope():
            network = model.build(preprocessor, head, settings)
            loop = Loop(settings, self.strategy, network, head, encoded)
        checkpoints = Checkpoints(self.scratch / f"fold-{fold}", loop.variables, {})
        # Its own rows tell the best epoch, so that is the last that made progress on them.
        loop.fit(encoded, checkpoints, self.log, chief=False, stop=stop)
        return loop.predict(preprocessor.encode(held_out))


def parts(labels: Array, folds: int, seed: int) -> Array:
    """Shares rows out at random, those of each class, or of numbers alike, evenly.

    Args:
        labels: [rows].
        folds: how many parts.
        seed: another shares them out otherwise.

    Returns:
        The part of each row, int64 [rows], 0 to folds - 1.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    found = np.empty(len(labels), np.int64)
    found[order] = np.arange(len(labels)) % folds
    return found
