"""The training loop: many steps in one call of TensorFlow, under a distribution strategy."""

import json
import math
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer import evaluate, report
from trainer.checkpoint import Checkpoints, Progress
from trainer.errors import StopRequestedError, UserError
from trainer.model import log_probabilities
from trainer.preprocess import BLOCK, Encoded
from trainer.settings import Settings

Tensor = Any


def choose_strategy() -> Any:
    """Returns the strategy for the workers of `TF_CONFIG` and the GPUs of this machine.

    Must come before any other use of TensorFlow.
    """
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
    if sum(len(cluster.get(role, [])) for role in ("chief", "worker")) > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief() -> bool:
    """Whether this process is the worker that writes."""
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    task = config.get("task", {"type": "chief", "index": 0})
    first = "chief" if config.get("cluster", {}).get("chief") else "worker"
    return "cluster" not in config or (task["type"], task["index"]) == (first, 0)


class Loop:
    """Trains a model on encoded rows; the position in the data follows from epoch and step."""

    def __init__(
        self, settings: Settings, strategy: Any, model: keras.Model, train: Encoded
    ) -> None:
        """Prepares the optimizer and the compiled steps; the strategy's scope must be entered.

        Raises:
            UserError: the batch cannot be shared out.
        """
        self.settings = settings
        self.model = model
        self.data = train.numbers, train.codes, train.labels
        self.rows = len(train.labels)
        self.batch = min(settings.batch_size, self.rows)
        if self.batch % strategy.num_replicas_in_sync:
            raise UserError(
                f"--batch-size: expected a multiple of the {strategy.num_replicas_in_sync}"
                f" replicas, got {self.batch}."
            )
        self.steps = self.rows // self.batch  # of an epoch; which rows are left over changes
        schedule = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate, settings.epochs * self.steps
        )
        self.optimizer = keras.optimizers.Adam(schedule)
        self.optimizer.build(model.trainable_variables)
        self.best = [tf.Variable(weight, trainable=False) for weight in model.get_weights()]
        # XLA makes small networks four times as fast; its random numbers make dropout ten times
        # slower, and it does not compile what replicas tell each other.
        self.compiled = strategy.num_replicas_in_sync == 1 and not settings.dropout
        self.run_steps = self._compile(strategy)
        self.probabilities = tf.function(
            lambda *rows: tf.exp(log_probabilities(model(rows))), reduce_retracing=True
        )

    @property
    def variables(self) -> list[Any]:
        """All that a checkpoint needs besides the `Progress`, the random state included."""
        return [*self.model.variables, *self.optimizer.variables, *self.best]

    def fit(
        self,
        evaluation: Encoded,
        checkpoints: Checkpoints,
        logs: Path,
        save: bool,
        stop: threading.Event,
    ) -> Progress:
        """Trains from the newest checkpoint to the end, and leaves the best weights in the model.

        Args:
            evaluation: the rows that tell after each epoch how it goes.
            checkpoints: where it begins, and where each epoch is saved.
            logs: folder of TensorBoard's files.
            save: whether this worker saves checkpoints.
            stop: ends the training after the steps under way.

        Raises:
            StopRequestedError: `stop` was set.
            UserError: the loss is no number.
        """
        progress = checkpoints.restore()
        total = self.settings.epochs * self.steps
        writers = {
            name: tf.summary.create_file_writer(str(logs / name)) for name in ("train", "eval")
        }
        if progress.epoch < self.settings.epochs:
            self._compile_now()
        with report.progress(total, progress.epoch * self.steps + progress.step) as advance:
            while progress.epoch < self.settings.epochs and not self._has_stalled(progress):
                rate = self._epoch(progress, advance, stop)
                if stop.is_set():
                    if save:
                        checkpoints.save(progress)
                    raise StopRequestedError
                scores = self._finish_epoch(progress, evaluation, rate)
                self._write(progress, scores, writers)
                if save:
                    checkpoints.save(progress)
                self._tell(progress, scores)
        for writer in writers.values():
            writer.close()
        for variable, best in zip(self.model.weights, self.best, strict=True):
            variable.assign(best)
        return progress

    def _compile(self, strategy: Any) -> Any:
        """Returns the function that takes several steps and gives the sum of their losses."""
        share = self.batch // strategy.num_replicas_in_sync

        def step(batch: Tensor, numbers: Tensor, codes: Tensor, labels: Tensor) -> Tensor:
            first = tf.distribute.get_replica_context().replica_id_in_sync_group * share
            rows = batch[first : first + share]
            with tf.GradientTape() as tape:
                features = tf.gather(numbers, rows), tf.gather(codes, rows)
                logs = log_probabilities(self.model(features, training=True))
                likelihood = tf.gather(logs, tf.gather(labels, rows), batch_dims=1)
                loss = -tf.reduce_sum(likelihood) / self.batch
            weights = self.model.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return loss

        def steps(batches: Tensor, count: Tensor, *data: Tensor) -> Tensor:
            total, place = tf.constant(0.0), tf.constant(0)
            while place < count:
                losses = strategy.run(step, args=(batches[place], *data))
                total += strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)
                place += 1
            return total

        return tf.function(steps, jit_compile=self.compiled)

    def _compile_now(self) -> None:
        """Compiles by taking no steps, so that it does not count as the first epoch's time."""
        begun = time.monotonic()
        nothing = tf.zeros([self.settings.steps_per_execution, self.batch], tf.int32)
        self.run_steps(nothing, tf.constant(0), *self.data)
        report.say(f"Compiled the training steps in {time.monotonic() - begun:.1f} s.")

    def predict(self, rows: Encoded) -> np.ndarray[Any, Any]:
        """Returns the probabilities of the classes, float32 [rows, classes]."""
        blocks = (slice(at, at + BLOCK) for at in range(0, len(rows.labels), BLOCK))
        parts = [self.probabilities(rows.numbers[block], rows.codes[block]) for block in blocks]
        return np.concatenate(parts)

    def _has_stalled(self, progress: Progress) -> bool:
        waited = progress.epoch - progress.best_epoch
        return 0 < self.settings.patience <= waited

    def _epoch(self, progress: Progress, advance: report.Advance, stop: threading.Event) -> float:
        """Takes the remaining steps of an epoch; returns how many rows a second."""
        begun, first = time.monotonic(), progress.step
        shuffle = np.random.default_rng([self.settings.seed, progress.epoch])
        order = shuffle.permutation(self.rows).astype(np.int32)
        batches = order[: self.steps * self.batch].reshape(self.steps, self.batch)
        size = self.settings.steps_per_execution
        while progress.step < self.steps and not stop.is_set():
            chunk = batches[progress.step : progress.step + size]
            count = len(chunk)
            # One shape, one compilation: the last chunk is filled with steps that are not taken.
            chunk = np.pad(chunk, [(0, size - count), (0, 0)])
            progress.loss_sum += float(
                self.run_steps(tf.constant(chunk), tf.constant(count), *self.data)
            )
            if not math.isfinite(progress.loss_sum):
                raise UserError(
                    f"The loss is no number in epoch {progress.epoch + 1}, steps"
                    f" {progress.step + 1} to {progress.step + count}; give a --learning-rate"
                    f" below {self.settings.learning_rate}."
                )
            progress.step += count
            advance(count)
        return (progress.step - first) * self.batch / (time.monotonic() - begun)

    def _finish_epoch(
        self, progress: Progress, evaluation: Encoded, rate: float
    ) -> evaluate.Scores:
        """Evaluates, keeps the best weights and moves on; returns the evaluation's scores."""
        scores = evaluate.score(self.predict(evaluation), evaluation.labels.numpy())
        metrics = {
            "loss": progress.loss_sum / self.steps,
            "learning_rate": float(self.optimizer.learning_rate),
            "rows_per_second": rate,
        }
        progress.history.append(metrics | {f"eval_{name}": scores[name] for name in scores})
        progress.epoch, progress.step, progress.loss_sum = progress.epoch + 1, 0, 0.0
        if scores["log_loss"] < progress.best_loss:
            progress.best_loss, progress.best_epoch = scores["log_loss"], progress.epoch
            for best, variable in zip(self.best, self.model.weights, strict=True):
                best.assign(variable)
        return scores

    def _write(
        self, progress: Progress, scores: evaluate.Scores, writers: Mapping[str, Any]
    ) -> None:
        """Writes the epoch's metrics for TensorBoard."""
        metrics = progress.history[-1]
        for name in ("loss", "learning_rate", "rows_per_second"):
            _scalar(writers["train"], f"epoch_{name}", metrics[name], progress.epoch)
        # The same name in both folders puts both curves into one chart.
        _scalar(writers["eval"], "epoch_loss", scores["log_loss"], progress.epoch)
        for name in ("auc", "accuracy"):
            _scalar(writers["eval"], f"epoch_{name}", scores[name], progress.epoch)

    def _tell(self, progress: Progress, scores: evaluate.Scores) -> None:
        """Says the epoch's metrics."""
        metrics = progress.history[-1]
        report.say(
            f"Epoch {progress.epoch}/{self.settings.epochs}: loss {metrics['loss']:.4f},"
            f" evaluation {evaluate.in_words(scores)}, {metrics['rows_per_second']:,.0f} rows/s",
            {"epoch": progress.epoch, **metrics},
        )


def _scalar(writer: Any, name: str, value: float, epoch: int) -> None:
    with writer.as_default(step=epoch):
        tf.summary.scalar(name, value)
    writer.flush()
