"""What a training script of your own needs: the job's folders, and how a model is saved.

docs/own-trainer.md has an example.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from trainer import console, trials
from trainer.errors import UserError
from trainer.mirror import FOLDERS, Folders, local_folders
from trainer.saving import save

__all__ = ["folders", "is_chief", "report", "save"]

TERMINATED = 128 + signal.SIGTERM


@contextmanager
def folders() -> Iterator[Folders]:
    """Gives the job's folders on this machine: `model`, `checkpoints`, `logs` and `scratch`.

    In a job what is written there is in the bucket a second later, and what an earlier attempt of
    the same job left in `checkpoints` is there already. Outside a job they are in `runs/`. Of
    several workers the chief's are kept. SIGTERM, as of a cancelled job, ends the process after
    the last upload.

    Raises:
        SystemExit: Cloud Storage refuses, after one sentence about why.
    """
    here = Path("runs") / f"local-{datetime.now():%Y%m%d-%H%M%S}"
    uris = {name: os.environ.get(variable, "") for name, variable in FOLDERS.items()}
    uris = {name: uri or str(here / name) for name, uri in uris.items()}
    try:
        with _ended_by_sigterm(), local_folders(uris, is_chief()) as found:
            yield found
            if is_chief():
                console.say(f"The model is in {uris['model_dir']}.")
    except UserError as error:
        console.fail(str(error))
        raise SystemExit(1) from error


def report(metrics: Mapping[str, float], step: int) -> None:
    """Reports metrics to a hyperparameter tuning (`nox -s tune`); does nothing outside a trial.

    Args:
        metrics: by the names that `--metric` may take.
        step: how far the training is, such as the number of epochs; trials are compared at equal
            steps.
    """
    if is_chief():
        trials.report(metrics, step)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Lets SIGTERM end the process as an exception does, so that the last files are uploaded."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_signal: int, _frame: object) -> None:
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_chief() -> bool:
    """Whether this process is the worker that writes, by the variable `TF_CONFIG`."""
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    task = config.get("task", {"type": "chief", "index": 0})
    first = "chief" if config.get("cluster", {}).get("chief") else "worker"
    return "cluster" not in config or (task["type"], task["index"]) == (first, 0)
