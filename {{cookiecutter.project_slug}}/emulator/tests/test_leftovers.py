"""What the data folder and the temporary files hold of what has ended: nothing."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import custom_jobs
import pytest
from batch_prediction import flights, job_of, jsonl, put
from batch_prediction import run as run_batch
from google.api_core import exceptions
from model_server_process import eventually
from times_model import deploy, running_pids, undeploy, upload_export

from vertex_emulator.testing.clients import Clients
from vertex_emulator.testing.running import RunningEmulator, start

KILLED = "import os, tempfile; print(tempfile.mkdtemp(), flush=True); os.kill(os.getpid(), 9)"


def left(data_dir: Path, name: str) -> list[str]:
    """The folders that a service has kept."""
    return [each.name for each in (data_dir / name).iterdir() if each.is_dir()]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("leftovers")


@pytest.fixture(scope="module")
def scratch(data_dir: Path) -> Path:
    """Writes what an emulator that was killed leaves; returns a job's temporary files."""
    for name in ("batches/1", "servers/2-abcdef01/scratch", "jobs/3", "jobs/4"):
        (data_dir / name).mkdir(parents=True)
    scratch = data_dir / "elsewhere"
    scratch.mkdir()
    plan = {"tasks": [], "scratch": str(scratch)}
    (data_dir / "jobs" / "3" / "plan.json").write_text(json.dumps(plan))
    (data_dir / "servers" / "forker.log").write_text("of the last")
    return scratch


@pytest.fixture(scope="module")
def emulator(data_dir: Path, scratch: Path) -> Iterator[RunningEmulator]:
    running = start(data_dir)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def clients(emulator: RunningEmulator) -> Clients:
    clients = Clients(emulator.url)
    clients.storage.create_bucket("batch-bucket", location="us-central1")
    return clients


def test_a_start_deletes_what_a_killed_emulator_left(
    emulator: RunningEmulator, scratch: Path
) -> None:
    for name in ("batches", "jobs"):
        assert left(emulator.data_dir, name) == []
    assert not scratch.exists()
    servers = emulator.data_dir / "servers"
    eventually(lambda: list(servers.iterdir()) == [])


def test_a_killed_job_leaves_nothing(emulator: RunningEmulator, clients: Clients) -> None:
    job = custom_jobs.run(clients, custom_jobs.spec(KILLED))
    assert job.state.name == "JOB_STATE_FAILED"
    [folder] = custom_jobs.output(clients, job.name)
    assert Path(folder).parent.name.startswith("vertex-job-")
    eventually(lambda: not Path(folder).parent.exists())
    eventually(lambda: left(emulator.data_dir, "jobs") == [])


def test_a_killed_server_leaves_nothing(
    emulator: RunningEmulator, clients: Clients, exports: Path
) -> None:
    model = upload_export(clients, exports / "2", "gs://batch-bucket/2").model
    created = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "leftovers"}
    )
    endpoint = created.result(timeout=60).name
    deployed = deploy(clients, endpoint, model, {"0": 100})
    [first] = left(emulator.data_dir, "servers")
    copies = list((emulator.data_dir / "servers" / first / "scratch").iterdir())
    assert [each.name.startswith("model-server-") for each in copies] == [True]
    [pid] = running_pids(emulator, deployed)
    os.kill(pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    eventually(lambda: first not in left(emulator.data_dir, "servers"))
    eventually(lambda: running_pids(emulator, deployed) != set())
    undeploy(clients, endpoint, deployed)
    eventually(lambda: left(emulator.data_dir, "servers") == [])


def test_a_model_that_does_not_load_leaves_nothing(
    emulator: RunningEmulator, clients: Clients, tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"no protocol buffer")
    model = upload_export(clients, tmp_path, "gs://batch-bucket/broken").model
    created = clients.endpoints.create_endpoint(
        parent=clients.location, endpoint={"display_name": "broken"}
    )
    with pytest.raises(exceptions.GoogleAPICallError, match="does not load as a SavedModel"):
        deploy(clients, created.result(timeout=60).name, model, {"0": 100})
    eventually(lambda: left(emulator.data_dir, "servers") == [])


def test_a_batch_leaves_nothing(
    emulator: RunningEmulator, clients: Clients, batch_exports: Path
) -> None:
    model = upload_export(clients, batch_exports / "price", "gs://batch-bucket/price").model
    for name, rows, state in (
        ("good", jsonl(flights(50)), "JOB_STATE_SUCCEEDED"),
        ("bad", "no JSON\n", "JOB_STATE_FAILED"),
    ):
        job = run_batch(clients, job_of(model, [put(clients, f"{name}.jsonl", rows)]))
        assert job.state.name == state
        eventually(lambda: left(emulator.data_dir, "batches") == [])
        assert left(emulator.data_dir, "servers") == []
