"""train: trains in this process on plain local paths, where a debugger can stop it; no server."""

import argparse
import os
import runpy
import sys
from datetime import datetime

from cloud.config import Config
from cloud.console import next_commands, say
from cloud.datasets import files
from cloud.training import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trainer", nargs="*", help="flags for the trainer, after a --")


def run(config: Config, options: argparse.Namespace) -> int:
    """Makes the data where it is missing, trains, and says where the results are."""
    paths = files.ready(config) if arguments.need_data_set(config) else {}
    places = {split: str(path) for split, path in paths.items()} | {"data": str(config.data_folder)}
    folder = config.runs_folder / f"local-{datetime.now():%Y%m%d-%H%M%S}"
    # A job gets its folders in these variables too.
    os.environ |= {
        "AIP_MODEL_DIR": str(folder / "model"),
        "AIP_CHECKPOINT_DIR": str(folder / "checkpoints"),
        "AIP_TENSORBOARD_LOG_DIR": str(folder / "logs"),
    }
    found = arguments.of_trainer(config, places, options.trainer)
    arguments.check(config, found)  # says what is wrong before the wait
    say("Starting TensorFlow …", "dim")
    code = start(config.trainer_module, found)
    if code == 0:
        next_commands(
            (f"nox -s tensorboard -- --logdir {config.runs_folder}", "the curves of local runs")
        )
    return code


def start(module: str, words: list[str]) -> int:
    """Runs a module of the trainer as `python -m` does, in this process; returns its exit code."""
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            say(ended.code, "red")
            return 1
        return ended.code or 0
    return 0
