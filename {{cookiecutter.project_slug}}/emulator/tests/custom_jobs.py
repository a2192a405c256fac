"""Custom jobs of the tests: made, waited for, and what they logged."""

import time
from typing import Any

import requests

from vertex_emulator.testing.clients import Clients

ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


def spec(code: str, *args: str, base: str | None = None, **scheduling: Any) -> dict[str, Any]:
    """A job that runs Python code."""
    job: dict[str, Any] = {
        "display_name": "test-job",
        "job_spec": {
            "worker_pool_specs": [
                {
                    "machine_spec": {"machine_type": "n1-standard-4"},
                    "replica_count": 1,
                    "container_spec": {
                        "image_uri": "tensorflow/tensorflow:2.21.0",
                        "command": ["python", "-c", code],
                        "args": list(args),
                    },
                }
            ],
        },
    }
    if base is not None:
        job["job_spec"]["base_output_directory"] = {"output_uri_prefix": base}
    if scheduling:
        job["job_spec"]["scheduling"] = scheduling
    return job


def create(clients: Clients, job: dict[str, Any]) -> str:
    created = clients.jobs.create_custom_job(parent=clients.location, custom_job=job)
    name: str = created.name
    return name


def wait(clients: Clients, name: str, *states: str) -> Any:
    while True:
        job = clients.jobs.get_custom_job(name=name)
        if job.state.name in (states or ENDED):
            return job
        assert job.state.name not in ENDED, job
        time.sleep(0.05)


def run(clients: Clients, job: dict[str, Any]) -> Any:
    return wait(clients, create(clients, job), *ENDED)


def entries(clients: Clients, name: str) -> list[dict[str, Any]]:
    job_id = name.rpartition("/")[2]
    answer = requests.post(
        f"{clients.url}/v2/entries:list",
        json={
            "resourceNames": ["projects/test-project"],
            "filter": f'resource.type="ml_job" AND resource.labels.job_id="{job_id}"',
            "pageSize": 1000,
        },
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json().get("entries", [])
    return found


def output(clients: Clients, name: str, task: str = "workerpool0-0") -> list[str]:
    """What a replica printed as plain text."""
    return [
        each["textPayload"]
        for each in entries(clients, name)
        if each["resource"]["labels"]["task_name"] == task and "textPayload" in each
    ]
