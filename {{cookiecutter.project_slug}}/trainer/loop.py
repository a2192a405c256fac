"""The training loop: many steps in one call of TensorFlow, under a distribution strategy."""

import json
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer import console
from trainer.checkpoint import Checkpoints, Progress
from trainer.data import Array
from trainer.errors import StopRequestedError, UserError, WorkerLostError
from trainer.metrics import Scores, in_words, score
from trainer.model import Head
from trainer.preprocess import BLOCK, Encoded
from trainer.settings import RISING, Settings
from trainer.shuffle import Shuffle
from trainer.tensorboard_log import TensorBoardLog
from trainer.weights import Weights

Tensor = Any

# What a step raises when another worker ends within it.
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)


def choose_strategy() -> Any:
    """Returns the strategy for the workers of `TF_CONFIG` and the GPUs of this machine.

    Must come before any other use of TensorFlow.
    """
    if count_workers() > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def count_workers() -> int:
    """Returns the number of workers that `TF_CONFIG` names, 1 without it."""
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
    return sum(len(cluster.get(role, [])) for role in ("chief", "worker")) or 1


def is_chief() -> bool:
    """Whether this process is the worker that writes."""
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    task = config.get("task", {"type": "chief", "index": 0})
    first = "chief" if config.get("cluster", {}).get("chief") else "worker"
    return "cluster" not in config or (task["type"], task["index"]) == (first, 0)


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
        self.head = head
        self.batch = min(settings.batch_size, len(train.labels))
        if self.batch % strategy.num_replicas_in_sync:
            raise UserError(
                f"--batch-size: expected a multiple of the {strategy.num_replicas_in_sync}"
                f" replicas, got {self.batch}."
            )
        self.shuffle = Shuffle(train, self.batch, settings.window_rows, settings.seed)
        schedule = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate, settings.epochs * self.shuffle.steps
        )
        self.weights = Weights(model)
        self.vector = keras.Variable(self.weights.join())
        self.optimizer = keras.optimizers.Adam(schedule)
        self.optimizer.build([self.vector])
        self.trained = [self.vector, *model.non_trainable_variables]
        self.best = [tf.Variable(each.value, trainable=False) for each in self.trained]
        self.run_steps = self._compile(strategy)
        # One trace for any number of rows: the same row has the same bits each time.
        self.predictions = tf.function(
            lambda *rows: head.predictions(model(rows)),
            input_signature=[
                tf.TensorSpec([None, rows.shape[1]], rows.dtype)
                for rows in (train.numbers, train.codes)
            ],
            autograph=False,
        )

    @property
    def variables(self) -> list[Any]:
        """All that a checkpoint needs besides the `Progress`, the random state included."""
        return [*self.trained, *self.optimizer.variables, *self.best]

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
            evaluation: the rows that tell after each epoch how it goes.
            checkpoints: where it begins, and where each epoch is saved.
            log: takes each epoch's metrics.
            chief: whether this worker writes checkpoints and the log, and says how it goes.
            stop: ends the training after the steps under way.

        Raises:
            StopRequestedError: `stop` was set.
            UserError: the loss is no number.
            WorkerLostError: another worker has ended.
        """
        progress = checkpoints.restore()
        keep = partial(checkpoints.save, progress) if chief else _keep_nothing
        steps = self.shuffle.steps
        if progress.epoch < self.settings.epochs:
            self._compile_now()
        done = progress.epoch * steps + progress.step
        with console.progress(self.settings.epochs * steps, done) as advance:
            while progress.epoch < self.settings.epochs and not self._has_stalled(progress):
                rate = self._epoch(progress, advance, keep, stop)
                if stop.is_set():
                    keep()
                    raise StopRequestedError
                self.weights.put(self.vector.value)
                predictions = self.predict(evaluation)
                self._finish_epoch(progress, score(predictions, evaluation.labels), rate)
                if chief:
                    log.write_epoch(progress, self.model, predictions)
                    checkpoints.save(progress)
                    self._tell(progress)
        for variable, best in zip(self.trained, self.best, strict=True):
            variable.assign(best)
        self.weights.put(self.vector.value)
        return progress

    def predict(self, rows: Encoded) -> Array:
        """Returns the head's predictions: float32 [rows, classes], or [rows] of a number."""
        blocks = (slice(at, at + BLOCK) for at in range(0, len(rows.labels), BLOCK))
        parts = [self.predictions(rows.numbers[block], rows.codes[block]) for block in blocks]
        return np.concatenate(parts)

    def _compile(self, strategy: Any) -> Any:
        """Returns the function that takes several steps and gives the loss of each."""
        replicas = strategy.num_replicas_in_sync
        workers = count_workers()
        share = self.batch // replicas
        # XLA makes small networks four times as fast; its random numbers make dropout ten times
        # slower. It does not compile what replicas tell each other, only what comes before.
        with_xla = not self.settings.dropout

        # AutoGraph would rewrite the source of all that is called here: most of a second.
        @tf.function(autograph=False, jit_compile=with_xla)  # type: ignore[untyped-decorator]
        def differentiate(vector: Tensor, state: Tensor, features: Tensor, labels: Tensor) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(vector)
                outputs, state, penalties = self.model.stateless_call(
                    self.weights.split(vector), state, features, training=True, return_losses=True
                )
                losses = self.head.losses(outputs, labels)
                loss = tf.reduce_sum(losses) / self.batch + sum(penalties) / replicas
            return loss, tape.gradient(loss, vector), state

        def step(batch: Tensor, numbers: Tensor, codes: Tensor, labels: Tensor) -> Tensor:
            replica = tf.distribute.get_replica_context()
            first = replica.replica_id_in_sync_group * share
            rows = batch[first : first + share]
            variables = self.model.non_trainable_variables
            loss, gradient, state = differentiate(
                self.vector.value,
                [variable.value for variable in variables],
                (tf.gather(numbers, rows), tf.gather(codes, rows)),
                tf.gather(labels, rows),
            )
            for variable, value in zip(variables, state, strict=True):
                variable.assign(value)
            if self.settings.clip_norm:
                # The optimizer adds up the replicas' gradients: each gives its part of the cut sum.
                gradient = replica.all_reduce("sum", gradient)
                gradient = tf.clip_by_norm(gradient, self.settings.clip_norm) / replicas
            self.optimizer.apply([gradient], [self.vector])
            return loss

        def steps(batches: Tensor, count: Tensor, *data: Tensor) -> Tensor:
            def take(place: Tensor, taken: Tensor) -> Any:
                parts = strategy.run(step, args=(batches[place], *data))
                loss = tf.add_n(strategy.experimental_local_results(parts))
                return place + 1, tf.tensor_scatter_nd_update(taken, [[place]], [loss])

            begin = (tf.constant(0), tf.zeros([self.settings.steps_per_execution]))
            _, taken = tf.while_loop(lambda place, _: place < count, take, begin)
            # Workers add up their losses once, and not after each step.
            return strategy.experimental_local_results(strategy.run(add_up, args=(taken,)))[0]

        def add_up(losses: Tensor) -> Tensor:
            # Each replica gives its part of its worker's sum.
            part = losses * workers / replicas
            return tf.distribute.get_replica_context().all_reduce("sum", part)

        return tf.function(steps, autograph=False, jit_compile=with_xla and replicas == 1)

    def _compile_now(self) -> None:
        """Compiles by taking no steps, so that it does not count as the first epoch's time.

        For several replicas XLA compiles again, with the first step.
        """
        begun = time.monotonic()
        nothing = tf.zeros([self.settings.steps_per_execution, self.batch], tf.int32)
        data, _ = next(self.shuffle.windows(0, 0))
        self.run_steps(nothing, tf.constant(0), *data)
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
                    losses = self.run_steps(tf.constant(chunk), tf.constant(count), *data).numpy()
                except LOST as error:
                    raise WorkerLostError(str(error.message).partition("\n")[0]) from error
                self._check(losses, progress)
                progress.loss_sum += float(losses.sum(dtype=np.float64))
                progress.step += count
                advance(count)
                if time.monotonic() - kept > self.settings.checkpoint_seconds:
                    keep()
                    kept = time.monotonic()
        return (progress.step - first) * self.batch / (time.monotonic() - begun)

    def _check(self, losses: Array, progress: Progress) -> None:
        """Raises UserError where a loss is no number, naming the first such batch."""
        if not np.isfinite(losses).all():
            batch = progress.step + int(np.argmin(np.isfinite(losses))) + 1
            raise UserError(
                f"The loss is no number in epoch {progress.epoch + 1}, batch {batch} of"
                f" {self.shuffle.steps}; give a --learning-rate below"
                f" {self.settings.learning_rate}, or a --clip-norm such as 1."
            )

    def _finish_epoch(self, progress: Progress, scores: Scores, rate: float) -> None:
        """Notes the metrics, keeps the best weights, and moves on to the next epoch."""
        metrics = {
            "loss": progress.loss_sum / self.shuffle.steps,
            "learning_rate": float(self.optimizer.learning_rate),
            "rows_per_second": rate,
        }
        progress.history.append(metrics | {f"eval_{name}": scores[name] for name in scores})
        progress.epoch, progress.step, progress.loss_sum = progress.epoch + 1, 0, 0.0
        value, best = scores[self.settings.watched], progress.best
        sign = 1 if self.settings.watched in RISING else -1
        if best is None or sign * value > sign * best:
            progress.best, progress.best_epoch = value, progress.epoch
            for kept, variable in zip(self.best, self.trained, strict=True):
                kept.assign(variable.value)

    def _tell(self, progress: Progress) -> None:
        """Says the epoch's metrics."""
        metrics = progress.history[-1]
        scores = {name[5:]: metrics[name] for name in metrics if name.startswith("eval_")}
        console.say(
            f"Epoch {progress.epoch}/{self.settings.epochs}: loss {metrics['loss']:.4f},"
            f" evaluation {in_words(scores)}, {metrics['rows_per_second']:,.0f} rows/s",
            {"epoch": progress.epoch, **metrics},
        )


def _keep_nothing() -> None:
    """Stands for saving a checkpoint where another worker does."""
