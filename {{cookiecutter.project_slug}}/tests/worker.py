"""A worker of a cluster, in a process of its own."""

import json
import multiprocessing
import os
import sys
from pathlib import Path

# On Linux each is forked from a process that has imported TensorFlow and runs no op of it; other
# systems' libraries do not promise to live through a fork.
if sys.platform == "linux":
    PROCESSES = multiprocessing.get_context("forkserver")
else:
    PROCESSES = multiprocessing.get_context("spawn")
PROCESSES.set_forkserver_preload(["trainer.tabular.run"])


def train(task_config: object, arguments: list[str], printed: Path) -> None:
    """Trains as `python -m trainer.task` does, with a `TF_CONFIG`.

    Args:
        task_config: what `TF_CONFIG` holds.
        arguments: of the trainer.
        printed: becomes the file of its stdout; beside it, with the suffix `.err`, is that of its
            stderr.
    """
    from trainer import task

    for descriptor, path in ((1, printed), (2, printed.with_suffix(".err"))):
        with path.open("w") as file:
            os.dup2(file.fileno(), descriptor)
    os.environ["TF_CONFIG"] = json.dumps(task_config)
    sys.exit(task.main(arguments))
