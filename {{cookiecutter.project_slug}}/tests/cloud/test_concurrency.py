"""Two commands at once: each does its whole work, or waits, and nothing is mixed."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from project import Project

from cloud import config
from cloud.client import Client
from cloud.datasets import makers
from cloud.serving import deployments, model_versions
from cloud.training import job_request, submission
from cloud.training.job_request import JobSettings
from cloud.training.submission import Plan


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("at_once"), "penguins")
    made.run("target")
    yield made
    made.run("emulator", "--stop")


@pytest.fixture
def client(project: Project, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    return Client(config.load())


@pytest.mark.parametrize("rows", [(None, None, None), (None, 100, 200)])
def test_data_of_one_call_lie_in_the_bucket(
    project: Project, client: Client, tmp_path: Path, rows: tuple[int | None, ...]
) -> None:
    flags = [() if each is None else ("--rows", str(each)) for each in rows]
    with ThreadPoolExecutor(len(rows)) as pool:
        ran = list(pool.map(lambda words: project.call("data", *words), flags))
    assert [each.returncode for each in ran] == [0] * len(rows), [each.stderr for each in ran]
    possible = []
    for number, count in enumerate(rows):
        files = makers.write_csvs("penguins", tmp_path / str(number), count)
        possible.append({split: path.read_bytes() for split, path in files.items()})
    found = {
        split: client.bucket.blob(f"data/penguins/{split}.csv").download_as_bytes()
        for split in ("train", "eval", "test")
    }
    assert found in possible, {k: hashlib.sha256(v).hexdigest() for k, v in found.items()}


def reserved(client: Client, plan: Plan) -> AbstractContextManager[dict[str, Any]]:
    uri = "gs://test-bucket/packages/x.whl"
    return submission.reserved(
        client,
        submission.names(client.config, plan),
        lambda name: plan.request(client.config, name, uri),
    )


def test_submissions_in_the_same_second_get_folders_of_their_own(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2027, 1, 1, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, _zone: Any = None) -> Any:
            return moment

    monkeypatch.setattr(submission, "datetime", Clock)
    plan = Plan(JobSettings(name="twin"), ["--epochs=1"])
    together = threading.Barrier(4)

    def reserve(_number: int) -> tuple[str, str]:
        together.wait()
        with reserved(client, plan) as request:
            return (
                request["display_name"],
                request["job_spec"]["base_output_directory"]["output_uri_prefix"],
            )

    client.bucket  # noqa: B018, made before the threads share it
    with ThreadPoolExecutor(4) as pool:
        found = sorted(pool.map(reserve, range(4)))
    assert len(set(found)) == 4
    assert found[0] == ("twin-20270101-000000", "gs://test-bucket/jobs/twin-20270101-000000")
    assert found[1][0] == "twin-20270101-000000-2"


def test_a_refused_job_frees_its_folder(client: Client) -> None:
    from google.api_core import exceptions

    plan = Plan(JobSettings(name="refused"), [])
    with (
        pytest.raises(exceptions.InvalidArgument),
        reserved(client, plan) as request,
    ):
        raise exceptions.InvalidArgument("no")
    assert not list(client.bucket.list_blobs(prefix=f"jobs/{request['display_name']}/"))


def test_first_deployments_at_once_share_one_model_and_one_endpoint(client: Client) -> None:
    class Job:
        display_name = "first"

    client.bucket.blob("jobs/first/model/1/saved_model.pb").upload_from_string(b"")
    folder = "gs://test-bucket/jobs/first/model"
    client.models, client.endpoints, client.storage  # noqa: B018, made before the threads
    with ThreadPoolExecutor(3) as pool:
        versions = list(
            pool.map(lambda _n: model_versions.upload(client, Job(), folder, None), range(3))
        )
        endpoints = list(pool.map(lambda _n: deployments.create_endpoint(client), range(3)))
    assert sorted(each.version_id for each in versions) == ["1", "2", "3"]
    assert len({each.name.partition("@")[0] for each in versions}) == 1
    assert len({each.name for each in endpoints}) == 1


def test_the_job_settings_are_read_back_from_a_job() -> None:
    values = config.load(environment={"CLOUD_BUCKET": "b"})
    job = job_request.custom_job(
        values,
        JobSettings(),
        name="x",
        folder="gs://b/jobs/x",
        package_uri="gs://b/t.whl",
        arguments=["--epochs=3", "--config", "tiny", "--learning-rate", "0.1"],
    )
    from google.cloud import aiplatform_v1

    settings = job_request.trainer_settings(aiplatform_v1.CustomJob(job))
    assert settings == {"epochs": "3", "config": "tiny", "learning-rate": "0.1"}
