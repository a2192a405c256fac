"""The optimizer's steps, many in one call of TensorFlow, under a distribution strategy."""

from typing import Any

import keras
import tensorflow as tf

from trainer.errors import UserError
from trainer.tabular.heads import Head
from trainer.tabular.model import learning
from trainer.tabular.settings import Settings
from trainer.tabular.weights import Weights
from trainer.tabular.workers import count_workers

Tensor = Any

# Steps after which the average weighs the steps before as much as the last one.
AVERAGED_SOON = 10.0


class Steps:
    """Takes steps: each computes the loss of a batch, its gradient, and changes the weights.

    AutoGraph is off: it would rewrite the source of all that is called here, most of a second.

    Attributes:
        batch: rows of a step, over all replicas.
        variables: what the steps change besides the optimizer's own: the vector of all weights,
            its average over the last steps, which is what predicts, and what layers such as
            BatchNormalization keep.
        optimizer: Adam.
    """

    def __init__(
        self,
        settings: Settings,
        strategy: Any,
        model: keras.Model,
        head: Head,
        *,
        batch: int,
        learning_rate: Any,
    ) -> None:
        """Makes the optimizer; the strategy's scope must be entered.

        Raises:
            UserError: the batch cannot be shared out.
        """
        self._replicas = strategy.num_replicas_in_sync
        if batch % self._replicas:
            raise UserError(
                f"--batch-size: expected a multiple of the {self._replicas} replicas, got {batch}."
            )
        self.batch = batch
        self._settings, self._strategy, self._model, self._head = settings, strategy, model, head
        self._workers = count_workers()
        self._weights = Weights(model)
        self._vector = keras.Variable(self._weights.join())
        self._average = keras.Variable(self._weights.join())
        self.optimizer = keras.optimizers.Adam(learning_rate)
        self.optimizer.build([self._vector])
        self.variables = [self._vector, self._average, *model.non_trainable_variables]
        # XLA makes small networks four times as fast; its random numbers make dropout ten times
        # slower. It does not compile what replicas tell each other, only what comes before.
        with_xla = not settings.dropout
        self._differentiate = tf.function(
            self._loss_and_gradient, autograph=False, jit_compile=with_xla
        )
        self._run = tf.function(
            self._take_all, autograph=False, jit_compile=with_xla and self._replicas == 1
        )

    def take(self, batches: Tensor, count: Tensor, *data: Tensor) -> Tensor:
        """Takes steps.

        Args:
            batches: int32 [steps_per_execution, batch], places of each batch's rows in the data.
            count: how many of them to take.
            data: the rows: numbers, codes, labels and folds, as in `Encoded`.

        Returns:
            The loss of each step, float32 [steps_per_execution], 0 of those not taken.
        """
        return self._run(batches, count, *data)

    def update_model(self) -> None:
        """Gives the model the average of the weights that the steps have changed."""
        self._weights.put(self._average.value)

    def _take_all(self, batches: Tensor, count: Tensor, *data: Tensor) -> Tensor:
        def take_one(place: Tensor, losses: Tensor) -> Any:
            parts = self._strategy.run(self._take_one, args=(batches[place], *data))
            self._average_weights()
            loss = tf.add_n(self._strategy.experimental_local_results(parts))
            return place + 1, tf.tensor_scatter_nd_update(losses, [[place]], [loss])

        begin = (tf.constant(0), tf.zeros([self._settings.steps_per_execution]))
        _, losses = tf.while_loop(lambda place, _: place < count, take_one, begin)
        # Workers add up their losses once, and not after each step.
        totals = self._strategy.run(self._total, args=(losses,))
        return self._strategy.experimental_local_results(totals)[0]

    def _take_one(
        self, batch: Tensor, numbers: Tensor, codes: Tensor, labels: Tensor, folds: Tensor
    ) -> Tensor:
        """Takes a replica's part of a step; returns its part of the loss."""
        replica = tf.distribute.get_replica_context()
        share = self.batch // self._replicas
        first = replica.replica_id_in_sync_group * share
        rows = batch[first : first + share]
        kept = self._model.non_trainable_variables
        loss, gradient, state = self._differentiate(
            self._vector.value,
            [variable.value for variable in kept],
            (tf.gather(numbers, rows), tf.gather(codes, rows)),
            tf.gather(labels, rows),
            tf.gather(folds, rows),
        )
        for variable, value in zip(kept, state, strict=True):
            variable.assign(value)
        if self._settings.clip_norm:
            # The optimizer adds up the replicas' gradients: each gives its part of the cut sum.
            gradient = replica.all_reduce("sum", gradient)
            gradient = tf.clip_by_norm(gradient, self._settings.clip_norm) / self._replicas
        self.optimizer.apply([gradient], [self._vector])
        return loss

    def _average_weights(self) -> None:
        """Moves the average towards the weights: the first steps more, as they are soon outdated.

        A step's weights err by the rows of its batch; an average over many steps errs less, and
        so gives what otherwise only smaller steps would.
        """
        taken = tf.cast(self.optimizer.iterations.value, tf.float32)
        kept = tf.minimum(self._settings.averaging, taken / (taken + AVERAGED_SOON))
        self._average.assign(kept * self._average.value + (1 - kept) * self._vector.value)

    def _loss_and_gradient(
        self, vector: Tensor, state: Tensor, features: Tensor, labels: Tensor, folds: Tensor
    ) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(vector)
            outputs, state, penalties = self._model.stateless_call(
                self._weights.split(vector), state, features, training=True, return_losses=True
            )
            if self._settings.folds > 1:
                outputs = learning(outputs, folds, self._settings)
            losses = self._head.losses(outputs, labels)
            loss = tf.reduce_sum(losses) / self.batch + sum(penalties) / self._replicas
        return loss, tape.gradient(loss, vector), state

    def _total(self, losses: Tensor) -> Tensor:
        """Adds up all workers' losses: each replica gives its part of its worker's sum."""
        part = losses * self._workers / self._replicas
        return tf.distribute.get_replica_context().all_reduce("sum", part)
