"""Hyperparameter tunings of the tests: made and waited for."""

import time
from typing import Any

from custom_jobs import ENDED, spec

from vertex_emulator.testing.clients import Clients

# Reports `score`, as Google's package does: the nearer x is to 0.3, the greater.
CODE = """
import sys, hypertune
given = dict(word[2:].split("=", 1) for word in sys.argv[1:])
report = hypertune.HyperTune().report_hyperparameter_tuning_metric
for step in (1, 2, 3):
    report("score", 1 - (float(given["x"]) - 0.3) ** 2 + step / 100, step)
"""
X = {"parameter_id": "x", "double_value_spec": {"min_value": 0, "max_value": 1}}

OPTIMIZER = {
    "parameter_id": "optimizer",
    "categorical_value_spec": {"values": ["sgd", "adam"]},
    "conditional_parameter_specs": [
        {
            "parent_categorical_values": {"values": ["sgd"]},
            "parameter_spec": {
                "parameter_id": "momentum",
                "discrete_value_spec": {"values": [0.5, 0.9]},
            },
        }
    ],
}


def tuning(code: str = CODE, *parameters: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A tuning of Python code; fields of the study are named with `study_` before them."""
    study = {
        "metrics": [{"metric_id": "score", "goal": "MAXIMIZE"}],
        "parameters": list(parameters or [X]),
        "algorithm": "RANDOM_SEARCH",
    }
    study |= {key[6:]: value for key, value in fields.items() if key.startswith("study_")}
    job = {
        "display_name": "test-tuning",
        "study_spec": study,
        "max_trial_count": 2,
        "parallel_trial_count": 2,
        "trial_job_spec": spec(code, base="gs://tuned-bucket/one")["job_spec"],
    }
    return job | {key: value for key, value in fields.items() if not key.startswith("study_")}


def create(clients: Clients, job: dict[str, Any]) -> str:
    created = clients.jobs.create_hyperparameter_tuning_job(
        parent=clients.location, hyperparameter_tuning_job=job
    )
    name: str = created.name
    return name


def wait(clients: Clients, name: str) -> Any:
    while True:
        job = clients.jobs.get_hyperparameter_tuning_job(name=name)
        if job.state.name in ENDED:
            return job
        time.sleep(0.05)


def run(clients: Clients, job: dict[str, Any]) -> Any:
    return wait(clients, create(clients, job))
