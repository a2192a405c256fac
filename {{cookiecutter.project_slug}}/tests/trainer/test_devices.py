"""What a training says of the devices it runs on."""

import json

import pytest
import tensorflow as tf

from trainer.tabular import workers


def cluster_spec(accelerator: str | None, pool: str = "workerpool0", *, as_text: bool) -> str:
    """A job of two pools of machines, of which the second has no accelerator."""
    machine = {"machineType": "n1-standard-4"}
    with_accelerator = machine | ({"acceleratorType": accelerator} if accelerator else {})
    job = {"workerPoolSpecs": [{"machineSpec": with_accelerator}, {"machineSpec": machine}]}
    return json.dumps(
        {
            "cluster": {"workerpool0": ["a:2222"], "workerpool1": ["b:2222"]},
            "task": {"type": pool, "index": 0},
            "job": json.dumps(job) if as_text else job,
        }
    )


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    ("accelerator", "pool", "expected"),
    [
        ("NVIDIA_TESLA_T4", "workerpool0", "NVIDIA_TESLA_T4"),
        ("NVIDIA_TESLA_T4", "workerpool1", ""),
        ("NVIDIA_TESLA_T4", "workerpool7", ""),
        ("ACCELERATOR_TYPE_UNSPECIFIED", "workerpool0", ""),
        (None, "workerpool0", ""),
    ],
)
def test_a_job_knows_which_accelerator_its_pool_asked_for(
    accelerator: str | None,
    pool: str,
    expected: str,
    as_text: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLUSTER_SPEC", cluster_spec(accelerator, pool, as_text=as_text))
    assert workers.requested_accelerator() == expected


@pytest.mark.parametrize("spec", [None, "", "{}", '{"job": null}', '{"task": {}, "job": "{}"}'])
def test_a_job_without_a_specification_asked_for_nothing(
    spec: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if spec is not None:
        monkeypatch.setenv("CLUSTER_SPEC", spec)
    assert workers.requested_accelerator() == ""


def test_snake_case_is_the_same_job(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = [{"machine_spec": {"accelerator_type": "NVIDIA_L4"}}]
    monkeypatch.setenv("CLUSTER_SPEC", json.dumps({"job": {"worker_pool_specs": pools}}))
    assert workers.requested_accelerator() == "NVIDIA_L4"


def test_an_accelerator_that_is_not_there_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workers, "_name", lambda _device: "")
    monkeypatch.setattr(tf.config, "list_physical_devices", {"CPU": ["c"]}.get)
    monkeypatch.setenv("CLUSTER_SPEC", cluster_spec("NVIDIA_L4", as_text=True))
    workers.report_devices()
    devices, warning = map(json.loads, capsys.readouterr().out.splitlines())
    assert (devices["severity"], devices["message"]) == ("INFO", "Training on 1 CPU.")
    assert warning["severity"] == "WARNING"
    assert warning["message"].startswith("The job asked for NVIDIA_L4, and TensorFlow sees no")


def test_gpus_are_named_and_no_warning_follows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"CPU": ["c"], "GPU": ["g0", "g1"]}
    monkeypatch.setattr(tf.config, "list_physical_devices", found.get)
    monkeypatch.setattr(workers, "_name", lambda _device: "Tesla T4")
    workers.report_devices()
    assert capsys.readouterr().out == "Training on 2 GPUs (Tesla T4).\n"
