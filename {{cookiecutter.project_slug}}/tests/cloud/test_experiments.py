"""What a job's run in an experiment is, where the end-to-end tests do not come."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from google.api_core import exceptions

from cloud import config
from cloud.training import experiments, job_request


@pytest.fixture
def client() -> Any:
    """A client of a target that lets nobody use its metadata."""
    refused = exceptions.Forbidden("Permission 'aiplatform.contexts.create' denied.")
    return SimpleNamespace(
        config=config.load(environment={"CLOUD_MODEL": "m"}),
        console_url=str,
        metadata=Mock(
            create_context=Mock(side_effect=refused), get_context=Mock(side_effect=refused)
        ),
    )


def job(state: str, *arguments: str) -> Any:
    pool = SimpleNamespace(container_spec=SimpleNamespace(args=["package", *arguments]))
    return SimpleNamespace(
        name="projects/p/locations/l/customJobs/7",
        display_name="m-1",
        state=SimpleNamespace(name=state),
        job_spec=SimpleNamespace(worker_pool_specs=[pool]),
    )


def test_a_job_goes_on_where_its_run_is_refused(
    client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    experiments.start(client, job("JOB_STATE_QUEUED"))
    experiments.close(client, [job("JOB_STATE_RUNNING")])
    experiments.close(client, [job("JOB_STATE_SUCCEEDED")])
    lines = capsys.readouterr().out.replace("\n", " ")
    assert "The experiment m-training misses this job: Forbidden" in lines
    assert "The experiment m-training is not up to date: Forbidden" in lines
    assert client.metadata.get_context.call_count == 1


def test_settings_are_numbers_where_they_can_be(client: Any) -> None:
    words = ("--epochs=3", "--learning_rate", "1e-3", "--hidden_units=64,32", "--x=nan", "--fast")
    assert job_request.trainer_settings(job("JOB_STATE_QUEUED", *words))["fast"] == ""
    experiments.start(client, job("JOB_STATE_QUEUED", *words))
    [sent] = [call.kwargs["request"] for call in client.metadata.create_context.call_args_list]
    assert sent["context_id"] == "m-training-m-1"
    assert sent["context"]["metadata"]["_params"] == {
        "epochs": 3.0, "learning_rate": 0.001, "hidden_units": "64,32", "x": "nan", "fast": "true",
    }  # fmt: skip
