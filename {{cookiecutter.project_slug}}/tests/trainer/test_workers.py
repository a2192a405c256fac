"""Several replicas of one training: devices of a machine, workers of a cluster."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import worker
from conftest import ROOT

from trainer.tabular.settings import Settings
from vertex_emulator.testing.clients import Clients

from .conftest import MakeSettings, made_once, settings_in, train, without_speed

TWO_DEVICES = """
import sys, threading
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from trainer.tabular import run, settings
run.choose_strategy = lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
run.run(settings.parse(sys.argv[1:]), threading.Event())
"""
# Trains as a job's replica does; the second worker's machine fails once, after the second epoch.
FAIL_ONCE = """
import json, os, runpy, sys
from pathlib import Path
root, mark, *arguments = sys.argv[1:]
sys.path.insert(0, root)
from trainer.tabular.loop import Loop
finish = Loop._finish_epoch
def fail_once(self, progress, *rest):
    finish(self, progress, *rest)
    is_worker = json.loads(os.environ["TF_CONFIG"])["task"]["type"] == "worker"
    if progress.epoch == 2 and is_worker and not Path(mark).exists():
        Path(mark).touch()
        os._exit(139)
Loop._finish_epoch = fail_once
sys.argv = ["task", *arguments]
runpy.run_module("trainer.task", run_name="__main__", alter_sys=True)
"""


def history(settings: Settings) -> list[dict[str, float]]:
    content = Path(settings.model_dir, "evaluation.json").read_text(encoding="utf-8")
    return list(without_speed(json.loads(content))["history"])


def check_same(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    """Compares epochs: the sums over replicas round otherwise than over one batch."""
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


@pytest.fixture(scope="module")
def alone(data: dict[str, dict[str, Path]], shared: Path) -> list[dict[str, float]]:
    """The history of one worker, with gradients cut, which needs the sum over all replicas."""

    def settings_at(place: Path) -> Settings:
        return settings_in(str(place), data["penguins"], table="penguins", clip_norm=0.05, epochs=4)

    made_once(shared / "alone", lambda place: train(settings_at(place)))
    return history(settings_at(shared / "alone"))


def test_devices_of_one_machine_share_the_same_batches(
    make_settings: MakeSettings, tmp_path: Path, alone: list[dict[str, float]]
) -> None:
    settings = make_settings("penguins", at=str(tmp_path / "devices"), clip_norm=0.05, epochs=4)
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, *settings.arguments()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check_same(history(settings), alone)


def test_four_workers_share_the_same_batches(
    make_settings: MakeSettings,
    tmp_path: Path,
    unused_ports: list[int],
    alone: list[dict[str, float]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")  # as the trainer does before the import
    settings = make_settings("penguins", at=str(tmp_path / "workers"), clip_norm=0.05, epochs=4)
    hosts = [f"127.0.0.1:{port}" for port in unused_ports]
    cluster = {"chief": hosts[:1], "worker": hosts[1:]}
    tasks = [("chief", 0), *(("worker", index) for index in range(len(hosts) - 1))]
    workers = {}
    for role, index in tasks:
        config = {"cluster": cluster, "task": {"type": role, "index": index}}
        printed = tmp_path / f"{role}-{index}.out"
        arguments = (config, settings.arguments(), printed)
        workers[printed] = worker.PROCESSES.Process(target=worker.train, args=arguments)
        workers[printed].start()
    for printed, process in workers.items():
        process.join()
        out, err = printed.read_text(), printed.with_suffix(".err").read_text()
        assert (process.exitcode, err) == (0, "")
        for said in ("Epoch 1/", "Test: "):
            assert (said in out) == printed.name.startswith("chief")
    assert len(list(Path(settings.log_dir, "train").iterdir())) == 1  # the chief's
    check_same(history(settings), alone)


def test_a_worker_whose_machine_fails_is_restarted_with_the_job_which_goes_on(
    clients: Clients,
    make_settings: MakeSettings,
    tmp_path: Path,
    alone: list[dict[str, float]],
) -> None:
    """Two workers, which share the same batches as well."""
    settings = make_settings("penguins", at=str(tmp_path / "job"), clip_norm=0.05, epochs=4)
    pool: dict[str, Any] = {
        "machine_spec": {"machine_type": "n1-standard-4"},
        "replica_count": 1,
        "container_spec": {
            "image_uri": "tensorflow/tensorflow:2.21.0",
            "command": ["python", "-c", FAIL_ONCE],
            "args": [str(ROOT), str(tmp_path / "failed"), *settings.arguments()],
        },
    }
    created = clients.jobs.create_custom_job(
        parent=clients.location,
        custom_job={
            "display_name": "two-workers",
            "job_spec": {
                "worker_pool_specs": [pool, pool],
                "scheduling": {"restart_job_on_worker_restart": True},
            },
        },
    )
    waiting = threading.Event()
    while (job := clients.jobs.get_custom_job(name=created.name)).end_time is None:
        waiting.wait(0.5)
    assert job.state.name == "JOB_STATE_SUCCEEDED", job.error
    assert (tmp_path / "failed").exists()
    check_same(history(settings), alone)
