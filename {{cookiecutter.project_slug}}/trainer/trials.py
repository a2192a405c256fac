"""What a trial of a hyperparameter tuning reports, as the package cloudml-hypertune writes it.

Vertex AI reads the file while the trial runs, and judges the trial by it.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

TRIAL = "CLOUD_ML_TRIAL_ID"
METRIC_FILE = "CLOUD_ML_HP_METRIC_FILE"
DEFAULT_FILE = "/tmp/hypertune/output.metrics"  # noqa: S108, the package's, which the service reads


def report(metrics: Mapping[str, float], step: int) -> None:
    """Reports metrics to the tuning that this process is a trial of; does nothing elsewhere.

    Args:
        metrics: by the names that the tuning may search for the best of.
        step: how far the training is, such as the number of epochs; trials are compared at equal
            steps.
    """
    trial = os.environ.get(TRIAL)
    place = os.environ.get(METRIC_FILE) or (DEFAULT_FILE if trial else None)
    if place is None:
        return
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    entries = [
        {
            "timestamp": time.time(),
            "trial": trial or "0",
            name: str(float(value)),
            "global_step": str(step),
            "checkpoint_path": "",
        }
        for name, value in metrics.items()
    ]
    with Path(place).open("a", encoding="utf-8") as file:
        file.write("".join(f"{json.dumps(entry, sort_keys=True)}\n" for entry in entries))
