"""Fixtures that several files share.

Of Cloud Storage's tests a server of the test run's own, and Google's client on it; of batch
prediction's the models.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import custom_jobs
import pytest
import requests
import times_model
from batch_prediction import write_exports
from console_pages import post
from storage_server import CheckedApp, client_of, running, storage_app
from times_model import deploy, upload_export

from vertex_emulator.testing.clients import PROJECT, REGION, Clients
from vertex_emulator.testing.running import RunningEmulator

ROOT = Path(__file__).parents[1]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"  # a name for the console
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def emulator(vertex_emulator: RunningEmulator) -> RunningEmulator:
    return vertex_emulator


@pytest.fixture(scope="session")
def clients(emulator: RunningEmulator) -> Clients:
    return Clients(emulator.url)


@pytest.fixture(scope="session")
def sdk_bucket(clients: Clients) -> str:
    clients.storage.create_bucket("sdk-bucket", location="us-central1")
    return "gs://sdk-bucket"


@pytest.fixture(scope="module")
def sdk(clients: Clients, sdk_bucket: str) -> Iterator[None]:
    """Points the high-level SDK at the emulator; it asks for states more often than by itself."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    aiplatform.init(
        project=PROJECT,
        location=REGION,
        staging_bucket=sdk_bucket,
        api_endpoint=clients.url,
        api_transport="rest",
        credentials=AnonymousCredentials(),
    )
    with pytest.MonkeyPatch.context() as patch:
        for module in (aiplatform.jobs, aiplatform.training_jobs):
            patch.setattr(module, "_JOB_WAIT_TIME", 0.1)
        yield
    aiplatform.initializer.global_config.__init__()  # as before `init`


@pytest.fixture(scope="session")
def storage_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="session")
def storage_app_and_url(storage_data_dir: Path) -> Iterator[tuple[CheckedApp, str]]:
    app = CheckedApp(storage_app(storage_data_dir))
    with running(app) as url:
        yield app, url


@pytest.fixture
def storage_url(storage_app_and_url: tuple[CheckedApp, str]) -> Iterator[str]:
    """The server's address; the test fails where an answer is not as Google describes it."""
    app, url = storage_app_and_url
    app.problems.clear()
    yield url
    assert not app.problems, "\n".join(app.problems)


@pytest.fixture
def storage_client(storage_url: str) -> Iterator[Any]:
    client = client_of(storage_url)
    yield client
    client.close()


@pytest.fixture
def bucket(storage_client: Any) -> Any:
    """A new and empty bucket."""
    return storage_client.create_bucket(f"bucket-{next(_numbers)}")


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SavedModels that multiply, in folders named for their factors."""
    folder = tmp_path_factory.mktemp("exports")
    times_model.write_exports(folder)
    return folder


@pytest.fixture(scope="session")
def batch_exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch-exports")
    write_exports(folder)
    return folder


@pytest.fixture(scope="session")
def batch_models(clients: Clients, batch_exports: Path) -> dict[str, str]:
    """Resource names by model; jobs read from and write to the bucket `batch-bucket`."""
    clients.storage.create_bucket("batch-bucket", location="us-central1")
    return {
        name: upload_export(clients, batch_exports / name, f"gs://batch-bucket/models/{name}").model
        for name in ("price", "total", "share", "marked", "seats", "text")
    }


@pytest.fixture(scope="session")
def console_bucket(clients: Clients) -> str:
    clients.storage.create_bucket("console-bucket", location="us-central1")
    return "console-bucket"


@pytest.fixture(scope="session")
def console_endpoint(clients: Clients, console_bucket: str, exports: Path) -> tuple[str, str, str]:
    """An endpoint with two versions of a model, of 80 and 20 percent, and their ids."""
    uri = f"gs://{console_bucket}/times"
    model = upload_export(clients, exports / "2", f"{uri}/2").model
    upload_export(clients, exports / "3", f"{uri}/3", parent=model)
    request = {"parent": clients.location, "endpoint": {"display_name": HOSTILE}}
    name: str = clients.endpoints.create_endpoint(**request).result(timeout=60).name
    one = deploy(clients, name, f"{model}@1", {"0": 100})
    return name, one, deploy(clients, name, f"{model}@2", {"0": 20, one: 80})


@pytest.fixture(scope="session")
def trained(clients: Clients, console_bucket: str, exports: Path) -> str:
    """A job that has succeeded, with a model in its folder."""
    base = f"gs://{console_bucket}/trained"
    job = custom_jobs.spec("print('done')", "--rate=0.5", base=base)
    labels = {"team": "a", "kind": "job"}
    name = custom_jobs.create(clients, job | {"display_name": "trained", "labels": labels})
    assert custom_jobs.wait(clients, name).state.name == "JOB_STATE_SUCCEEDED"
    for file in (exports / "3").rglob("*"):
        if file.is_file():
            path = f"trained/model/{file.relative_to(exports / '3').as_posix()}"
            clients.storage.bucket(console_bucket).blob(path).upload_from_filename(file)
    scores = clients.storage.bucket(console_bucket).blob("trained/model/metrics.json")
    scores.upload_from_string('{"auc": 0.75}', content_type="application/json")
    return name


@pytest.fixture(scope="session")
def experiment(clients: Clients) -> str:
    """An experiment of three runs; the one that is best by AUC has a job."""
    store = f"{clients.location}/metadataStores/default"
    if requests.get(f"{clients.url}/v1/{store}", timeout=60).status_code == 404:
        post(clients, f"{clients.location}/metadataStores?metadataStoreId=default", {})
    job = custom_jobs.spec("pass") | {"display_name": "run-1"}
    made = custom_jobs.create(clients, job)
    contexts = f"{store}/contexts"
    body = {"displayName": "sweep " + HOSTILE, "schemaTitle": "system.Experiment"}
    name: str = post(clients, f"{contexts}?contextId=console-sweep", body)["name"]
    children = []
    for number, auc in enumerate((0.7, 0.9, 0.8)):
        metadata = {
            "_params": {"rate": number / 10, "note": HOSTILE, "seed": 7},
            "_metrics": {"auc": auc, "log_loss": 0.5 - number / 10},
            "_state": "COMPLETE" if number else "RUNNING",
            "_custom_jobs": [{"custom_job_resource_name": made}] if number == 1 else [],
        }
        run = {"displayName": f"run-{number}", "schemaTitle": "system.ExperimentRun"}
        path = f"{contexts}?contextId=console-sweep-run-{number}"
        children.append(post(clients, path, run | {"metadata": metadata})["name"])
    post(clients, f"{name}:addContextChildren", {"childContexts": children})
    return name
