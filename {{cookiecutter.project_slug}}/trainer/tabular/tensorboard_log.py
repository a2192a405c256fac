"""What TensorBoard shows of a training: curves, histograms, images, and the settings."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import keras
import tensorflow as tf

from trainer.mirror import FOLDERS
from trainer.tabular.checkpoint import Progress
from trainer.tabular.data import Array
from trainer.tabular.settings import Settings, as_text

DEFAULTS = "defaults"  # folder beside those of a tuning's trials, of the training with no change
LOG_FOLDERS = "logs", "log"  # names of folders that say nothing of the run above them


class TensorBoardLog:
    """Writes event files, one folder for the training rows and one for the evaluation's."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Makes the files, and fills the HParams tab."""
        from tensorboard.plugins.hparams import api as hparams

        self._train = tf.summary.create_file_writer(str(folder / "train"))
        self._eval = tf.summary.create_file_writer(str(folder / "eval"))
        with self._eval.as_default():
            values = {name: _plain(value) for name, value in vars(settings).items()}
            shown = {name: value for name, value in values.items() if name not in FOLDERS}
            # Without an id of its own, a run shares its row with all of the same settings.
            name = run_name(settings.log_dir)
            # Of an id the table shows the beginning alone, so a trial's number comes first.
            trial_id = " of ".join(reversed(name.split("/")))
            hparams.hparams({"run": name} | shown, trial_id=trial_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._train.close()
        self._eval.close()

    def write_epoch(self, progress: Progress, model: keras.Model, predictions: Array) -> None:
        """Writes the metrics of the epoch that has just ended, the weights and the predictions.

        Args:
            progress: its last history entry is the epoch's.
            model: with the weights at its end.
            predictions: of the evaluation's rows.
        """
        metrics = progress.history[-1]
        with self._train.as_default(step=progress.epoch):
            for name in ("loss", "learning_rate", "rows_per_second"):
                tf.summary.scalar(f"epoch_{name}", metrics[name])
            for weight in model.trainable_variables:
                tf.summary.histogram(f"weights/{weight.path}", weight.value)
        with self._eval.as_default(step=progress.epoch):
            for name in [name for name in metrics if name.startswith("eval_")]:
                # The same name in both folders puts both curves into one chart.
                shown = "loss" if name == "eval_log_loss" else name.removeprefix("eval_")
                tf.summary.scalar(f"epoch_{shown}", metrics[name])
            tf.summary.histogram("predictions", predictions[..., -1:])
        self._train.flush()
        self._eval.flush()

    def write_images(self, images: Mapping[str, bytes], step: int) -> None:
        """Writes images of the evaluation's rows.

        Args:
            images: PNG by name.
            step: the epoch that they are of.
        """
        with self._eval.as_default(step=step):
            for name, content in images.items():
                tf.summary.image(name, tf.image.decode_png(content)[tf.newaxis])


def run_name(log_dir: str) -> str:
    """Returns what tells a run from others: the path of its folder, without what all have.

    Of `gs://bucket/jobs/first/logs/` it is `first`, of trial 3 of a tuning `tuned/3`, and of what
    the trials are compared with `tuned/defaults`.
    """
    parts = [part for part in re.split(r"[/\\]", log_dir) if part not in ("", *LOG_FOLDERS)]
    is_of_tuning = len(parts) > 1 and (parts[-1].isdecimal() or parts[-1] == DEFAULTS)
    place = -2 if is_of_tuning else -1
    return "/".join(parts[place:]) or log_dir


def _plain(value: Any) -> bool | float | int | str:
    return as_text(value) if isinstance(value, tuple) else value
