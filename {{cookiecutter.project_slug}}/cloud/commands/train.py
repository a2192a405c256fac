"""train: trains in this process on plain local paths, where a debugger can stop it; no server."""

import argparse
from datetime import datetime

from cloud.config import Config
from cloud.console import next_commands, say
from cloud.datasets import files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trainer", nargs="*", help="flags for python -m trainer.task, after a --")


def run(config: Config, options: argparse.Namespace) -> int:
    """Makes the data where it is missing, trains, and says where the results are."""
    paths = files.ready(config)
    folder = config.runs_folder / f"local-{datetime.now():%Y%m%d-%H%M%S}"
    arguments = [
        *(f"--{split}-data={path}" for split, path in paths.items()),
        f"--table={config.data_set}",
        f"--model-dir={folder / 'model'}",
        f"--checkpoint-dir={folder / 'checkpoints'}",
        f"--log-dir={folder / 'logs'}",
        *options.trainer,
    ]
    from trainer import settings, task

    settings.parse(arguments)  # says what is wrong before the wait
    say("Starting TensorFlow …", "dim")
    code = task.main(arguments)
    if code == 0:
        next_commands(
            (f"nox -s tensorboard -- --logdir {config.runs_folder}", "the curves of local runs")
        )
    return code
