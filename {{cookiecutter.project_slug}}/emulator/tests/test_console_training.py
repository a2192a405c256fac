"""The console's pages of training pipelines, data sets and experiments."""

import html
import time
from typing import Any

import custom_jobs
import pytest
import requests
from conftest import HOSTILE
from console_pages import page, post, token

from vertex_emulator.console.experiments import best_order
from vertex_emulator.testing.clients import Clients
from vertex_emulator.vertex.datasets import TABLES
from vertex_emulator.vertex.pipelines import CUSTOM_TASK

SHOWN = html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def pipeline(clients: Clients, code: str, **fields: Any) -> str:
    pools = custom_jobs.spec(code)["job_spec"]["worker_pool_specs"]
    body = {
        "displayName": HOSTILE,
        "trainingTaskDefinition": CUSTOM_TASK,
        "trainingTaskInputs": {"workerPoolSpecs": pools},
    }
    name: str = post(clients, f"{clients.location}/trainingPipelines", body | fields)["name"]
    return name


def reading(dataset: str) -> dict[str, Any]:
    destination = {"outputUriPrefix": "gs://console-bucket/exported"}
    return {"datasetId": dataset.rpartition("/")[2], "gcsDestination": destination}


def wait(clients: Clients, name: str, *states: str) -> Any:
    while True:
        found = requests.get(f"{clients.url}/v1/{name}", timeout=60).json()
        if found["state"] in {f"PIPELINE_STATE_{each}" for each in states}:
            return found
        time.sleep(0.05)


@pytest.fixture(scope="module")
def dataset(clients: Clients, console_bucket: str) -> str:
    blob = clients.storage.bucket(console_bucket).blob("tables/people.csv")
    blob.upload_from_string("age,late\n" + "3,1\n" * 10, content_type="text/csv")
    uris = [f"gs://{console_bucket}/tables/people.csv"]
    body = {
        "displayName": HOSTILE,
        "metadataSchemaUri": TABLES[0],
        "metadata": {"inputConfig": {"gcsSource": {"uri": uris}}},
    }
    name: str = post(clients, f"{clients.location}/datasets", body)["response"]["name"]
    return name


def test_a_pipeline_shows_its_data_its_job_and_its_end(clients: Clients, dataset: str) -> None:
    name = pipeline(clients, "1 / 0", inputDataConfig=reading(dataset))
    failed = wait(clients, name, "FAILED")
    text = page(
        clients, f"/-/{clients.location}/trainingPipelines?filter=state%3D%22FAILED%22", 400
    )
    assert "unknown state &#39;FAILED&#39; (known: PIPELINE_STATE_" in text
    failed_ones = "?filter=state%3D%22PIPELINE_STATE_FAILED%22"
    text = page(clients, f"/-/{clients.location}/trainingPipelines{failed_ones}")
    assert f'<a href="/-/{name}">{SHOWN}</a>' in text
    assert f'<a href="/-/{dataset}">{SHOWN}</a>' in text
    text = page(clients, f"/-/{name}")
    assert html.escape(failed["error"]["message"]) in text
    assert f'href="/-/{dataset}"' in text
    assert HOSTILE not in text
    assert "none: nothing is to be uploaded" in text


def test_a_pipeline_is_cancelled(clients: Clients) -> None:
    name = pipeline(clients, "import time; time.sleep(600)")
    job = wait(clients, name, "RUNNING")["trainingTaskMetadata"]["backingCustomJob"]
    text = page(clients, f"/-/{name}")
    assert f"curl -s -X POST {clients.url}/v1/{name}:cancel" in text
    assert f'<a href="/-/{job}">' in text
    form = {"token": token(text)}
    answer = requests.post(f"{clients.url}/-/{name}:cancel", data=form, timeout=60)
    assert answer.status_code == 200
    wait(clients, name, "CANCELLED")
    assert "Cancel" not in page(clients, f"/-/{name}")


def test_a_data_set_shows_its_files_and_who_reads_it(clients: Clients, dataset: str) -> None:
    name = pipeline(clients, "pass", inputDataConfig=reading(dataset))
    wait(clients, name, "SUCCEEDED")
    text = page(clients, f"/-/{dataset}")
    assert "object=tables%2Fpeople.csv" in text
    assert f'<a href="/-/{name}">' in text
    clients.storage.bucket("console-bucket").blob("tables/people.csv").delete()
    for path in (f"/-/{clients.location}/datasets", f"/-/{dataset}"):
        text = page(clients, path)
        assert "missing</span>" in text
        assert SHOWN in text
    requests.delete(f"{clients.url}/v1/{dataset}", timeout=60)
    assert "deleted" in page(clients, f"/-/{name}")
    assert "Back to data sets" in page(clients, f"/-/{dataset}", 404)


def test_runs_stand_beside_each_other_best_first(clients: Clients, experiment: str) -> None:
    contexts = experiment.rpartition("/")[0]
    text = page(clients, f"/-/{contexts}")
    assert f'<a href="/-/{experiment}">sweep {SHOWN}</a></td><td class="right">3</td>' in text
    assert "console-sweep-run-0" not in text  # a run is no experiment

    def order(path: str) -> list[int]:
        shown = page(clients, path)
        places = [shown.index(f'value="console-sweep-run-{number}"') for number in range(3)]
        return sorted(range(3), key=lambda number: places[number])

    assert order(f"/-/{experiment}") == [1, 2, 0]
    assert order(f"/-/{experiment}?by=log_loss") == [2, 1, 0]
    assert order(f"/-/{experiment}?by=auc&order=asc") == [0, 2, 1]
    text = page(clients, f"/-/{experiment}")
    assert "The same in all runs: 2 parameters" in text
    assert HOSTILE not in text
    runs = "&".join(f"run=console-sweep-run-{number}" for number in (1, 2))
    text = page(clients, f"/-/{experiment}:compare?{runs}")
    assert "2 runs compared" in text
    assert '<th scope="row">rate</th><td class="value"><div>0.1</div>' in text


def test_a_job_and_its_run_lead_to_each_other(clients: Clients, experiment: str) -> None:
    run = f"{experiment}-run-1"
    text = page(clients, f"/-/{run}")
    assert f'<a href="/-/{experiment}">' in text
    assert "<li><span>auc</span> <strong>0.9</strong></li>" in text
    job = clients.metadata.get_context(name=run).metadata["_custom_jobs"][0]
    name = job["custom_job_resource_name"]
    assert f'<a href="/-/{name}">run-1</a>' in text
    assert f'<dt>Run</dt><dd><a href="/-/{run}">run-1</a>' in page(clients, f"/-/{name}")


def test_what_is_not_there_is_said(clients: Clients) -> None:
    elsewhere = "/-/projects/elsewhere/locations/europe-west4"
    for path, words in {
        "/trainingPipelines": "There is no training pipeline yet.",
        "/datasets": "There is no data set yet.",
        "/metadataStores/default/contexts": "There is no experiment yet.",
    }.items():
        text = page(clients, elsewhere + path)
        assert words in text
        assert "How one is made" in text
        page(clients, f"{elsewhere}{path}/123", 404)
    page(clients, f"{elsewhere}/metadataStores/other/contexts", 404)


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("auc", "desc"),
        ("accuracy", "desc"),
        ("logloss", "asc"),
        ("eval_RMSE", "asc"),
        ("received", "desc"),
    ],
)
def test_the_best_is_first_by_a_metrics_name(metric: str, order: str) -> None:
    assert best_order(metric) == order
