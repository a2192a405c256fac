"""The epochs of a training: steps, evaluation, checkpoints, and when to stop."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from table_schema.metrics import RISING, Scores, in_words, score
from trainer import console, trials
from trainer.errors import StopRequestedError, UserError, WorkerLostError
from trainer.tabular.checkpoint import Checkpoints, Progress
from trainer.tabular.data import Array
from trainer.tabular.heads import Head
from trainer.tabular.model import left_out
from trainer.tabular.preprocess import Encoded
from trainer.tabular.settings import Settings
from trainer.tabular.shuffle import Shuffle
from trainer.tabular.steps import Steps
from trainer.tabular.tensorboard_log import TensorBoardLog

Tensor = Any

BLOCK = 8_192  # rows predicted in one call; bounds the memory that the members take
# What a step raises when another worker ends within it.
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)


class Loop:
    """Trains a model on encoded rows."""

    def __init__(
        self, settings: Settings, strategy: Any, model: keras.Model, head: Head, train: Encoded
    ) -> None:
        """Prepares the optimizer and the compiled steps; the strategy's scope must be entered.

        Raises:
            UserError: the batch cannot be shared out.
        """
        self.settings = settings
        self.model = model
        self._reported = head.reported
        batch = min(settings.batch_size, len(train.labels))
        self.shuffle = Shuffle(train, batch, settings.window_rows, settings.seed)
        schedule = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate, settings.epochs * self.shuffle.steps
        )
        self.steps = Steps(settings, strategy, model, head, batch=batch, learning_rate=schedule)
        self.best = [tf.Variable(each.value, trainable=False) for each in self.steps.variables]
        # One trace for any number of rows: the same row has the same bits each time.
        features = [
            tf.TensorSpec([None, rows.shape[1]], rows.dtype)
            for rows in (train.numbers, train.codes)
        ]
        self.predictions = tf.function(
            lambda *rows: head.predictions(model(rows)),
            input_signature=features,
            autograph=False,
        )
        self.unseen_predictions = tf.function(
            lambda *rows: head.predictions(left_out(model(rows[:2]), rows[2], settings)),
            input_signature=[*features, tf.TensorSpec([None], tf.int32)],
            autograph=False,
        )

    @property
    def variables(self) -> list[Any]:
        """All that a checkpoint needs besides the `Progress`, the random state included."""
        return [*self.steps.variables, *self.steps.optimizer.variables, *self.best]

    def fit(
        self,
        evaluation: Encoded,
        checkpoints: Checkpoints,
        log: TensorBoardLog,
        chief: bool,
        stop: threading.Event,
    ) -> Progress:
        """Trains from the newest checkpoint to the end, and leaves the best weights in the model.

        Args:
            evaluation: the rows to score after each epoch; with several folds those of training.
            checkpoints: where it begins, and where each epoch is saved.
            log: takes each epoch's metrics.
            chief: whether this worker writes checkpoints and the log, and reports.
            stop: ends the training after the steps under way.

        Raises:
            StopRequestedError: `stop` was set.
            UserError: the loss is NaN or infinite.
            WorkerLostError: another worker has ended.
        """
        progress = checkpoints.restore()
        keep = partial(checkpoints.save, progress) if chief else _keep_nothing
        if progress.epoch < self.settings.epochs:
            self._compile_now()
        done = progress.epoch * self.shuffle.steps + progress.step
        with console.progress(self.settings.epochs * self.shuffle.steps, done) as advance:
            while progress.epoch < self.settings.epochs and not self._has_stalled(progress):
                rate = self._epoch(progress, advance, keep, stop)
                if stop.is_set():
                    keep()
                    raise StopRequestedError
                self.steps.update_model()
                predictions = self.predict_unseen(evaluation)
                scores = score(predictions, evaluation.labels)
                self._finish_epoch(progress, scores, rate)
                if chief:
                    trials.report(scores, progress.epoch)
                    log.write_epoch(progress, self.model, predictions)
                    checkpoints.save(progress)
                    self._report(progress)
        for variable, best in zip(self.steps.variables, self.best, strict=True):
            variable.assign(best)
        self.steps.update_model()
        return progress

    def predict(self, rows: Encoded) -> Array:
        """Returns the head's predictions: float32 [rows, classes], or [rows] of a number."""
        return _in_blocks(self.predictions, rows.numbers, rows.codes)

    def predict_unseen(self, rows: Encoded) -> Array:
        """Returns the predictions of the members that have not learned from a row.

        Args:
            rows: of evaluation, which all members predict, or, with several folds, of training.
        """
        if self.settings.folds == 1:
            return self.predict(rows)
        return _in_blocks(self.unseen_predictions, rows.numbers, rows.codes, rows.folds)

    def _compile_now(self) -> None:
        """Compiles by taking no steps, so that it does not count as the first epoch's time.

        For several replicas XLA compiles again, with the first step.
        """
        begun = time.monotonic()
        nothing = tf.zeros([self.settings.steps_per_execution, self.steps.batch], tf.int32)
        data, _ = next(self.shuffle.windows(0, 0))
        self.steps.take(nothing, tf.constant(0), *data)
        console.say(f"Compiled the training steps in {time.monotonic() - begun:.1f} s.")

    def _has_stalled(self, progress: Progress) -> bool:
        waited = progress.epoch - progress.best_epoch
        return 0 < self.settings.patience <= waited

    def _epoch(
        self,
        progress: Progress,
        advance: console.Advance,
        keep: Callable[[], None],
        stop: threading.Event,
    ) -> float:
        """Takes an epoch's remaining steps, unless stopped; returns how many rows a second."""
        begun, first = time.monotonic(), progress.step
        kept = begun
        size = self.settings.steps_per_execution
        for data, batches in self.shuffle.windows(progress.epoch, progress.step):
            for at in range(0, len(batches), size):
                if stop.is_set():
                    return 0.0
                chunk = batches[at : at + size]
                count = len(chunk)
                # One shape, one compilation: the last chunk ends in steps that are not taken.
                chunk = np.pad(chunk, [(0, size - count), (0, 0)])
                try:
                    losses = self.steps.take(tf.constant(chunk), tf.constant(count), *data).numpy()
                except LOST as error:
                    raise WorkerLostError(str(error.message).partition("\n")[0]) from error
                self._check(losses, progress)
                progress.loss_sum += float(losses.sum(dtype=np.float64))
                progress.step += count
                advance(count)
                if time.monotonic() - kept > self.settings.checkpoint_seconds:
                    keep()
                    kept = time.monotonic()
        return (progress.step - first) * self.steps.batch / (time.monotonic() - begun)

    def _check(self, losses: Array, progress: Progress) -> None:
        """Raises UserError where a loss is NaN or infinite, naming the first such batch."""
        if not np.isfinite(losses).all():
            batch = progress.step + int(np.argmin(np.isfinite(losses))) + 1
            raise UserError(
                f"The loss became NaN or infinite in epoch {progress.epoch + 1}, batch {batch} of"
                f" {self.shuffle.steps}; use a --learning-rate below"
                f" {self.settings.learning_rate}, or a --clip-norm such as 1."
            )

    def _finish_epoch(self, progress: Progress, scores: Scores, rate: float) -> None:
        """Notes the metrics, keeps the best weights, and moves on to the next epoch."""
        metrics = {
            "loss": progress.loss_sum / self.shuffle.steps,
            "learning_rate": float(self.steps.optimizer.learning_rate),
            "rows_per_second": rate,
        }
        progress.history.append(metrics | {f"eval_{name}": scores[name] for name in scores})
        progress.epoch, progress.step, progress.loss_sum = progress.epoch + 1, 0, 0.0
        value, best = scores[self.settings.watched], progress.best
        sign = 1 if self.settings.watched in RISING else -1
        if best is None or sign * value > sign * best:
            progress.best, progress.best_epoch = value, progress.epoch
            for kept, variable in zip(self.best, self.steps.variables, strict=True):
                kept.assign(variable.value)

    def _report(self, progress: Progress) -> None:
        """Prints the epoch's metrics."""
        metrics = progress.history[-1]
        scores = {name[5:]: metrics[name] for name in metrics if name.startswith("eval_")}
        said = in_words(scores, self._reported)
        console.say(
            f"Epoch {progress.epoch}/{self.settings.epochs}: loss {metrics['loss']:.4f},"
            f" evaluation {said}, {metrics['rows_per_second']:,.0f} rows/s",
            {"epoch": progress.epoch, **metrics},
        )


def _in_blocks(predictions: Callable[..., Tensor], *rows: Array) -> Array:
    starts = range(0, len(rows[0]), BLOCK)
    return np.concatenate([predictions(*(a[at : at + BLOCK] for a in rows)) for at in starts])


def _keep_nothing() -> None:
    """Saves no checkpoint: the chief does."""
