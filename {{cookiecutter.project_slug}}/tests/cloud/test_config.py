"""The values of pyproject.toml and their overrides."""

from pathlib import Path

import pytest

from cloud import config
from cloud.errors import UserError

TABLE = """
[tool.cloud]
target = "emulator"
project = "my-project"
region = "europe-west4"
bucket = "my-bucket"
model = "flights"
data_set = "flights"
trainer_module = "trainer.task"
job_arguments = ["--table={data_set}", "--train-data={train}"]
argument_check = ""
search_space = ""
tuning_metric = ""
machine_type = "n1-standard-4"
training_image = "tensorflow/tensorflow:2.21.0"
serving_image = "tensorflow/serving:2.19.1"
image_repository = "docker-hub"
emulator_port = 8085
emulator_folder = ".emulator"
data_folder = "data"
runs_folder = "runs"
clients_folder = "clients"
"""


@pytest.fixture
def pyproject(tmp_path: Path) -> Path:
    path = tmp_path / "pyproject.toml"
    path.write_text(TABLE)
    return path


def test_the_environment_overrides_a_value(pyproject: Path, tmp_path: Path) -> None:
    variables = {
        "CLOUD_BUCKET": "other",
        "CLOUD_DATA_FOLDER": str(tmp_path),
        "CLOUD_JOB_ARGUMENTS": "--data={data} --name='a b'",
    }
    values = config.load(pyproject, variables)
    assert (values.bucket, values.region) == ("other", "europe-west4")
    assert values.location == "projects/my-project/locations/europe-west4"
    assert values.data_folder == tmp_path
    assert values.job_arguments == ("--data={data}", "--name=a b")
    assert values.emulator_folder == config.ROOT / ".emulator"


def test_an_image_comes_through_the_projects_repository(pyproject: Path) -> None:
    values = config.load(pyproject, {})
    assert values.image_uri(values.serving_image) == (
        "europe-west4-docker.pkg.dev/my-project/docker-hub/tensorflow/serving:2.19.1"
    )
    own = "europe-docker.pkg.dev/my-project/mine/server:1"
    assert values.image_uri(own) == own


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"CLOUD_TARGET": "aws"}, "expected 'emulator' or 'cloud', got 'aws'"),
        ({"CLOUD_EMULATOR_PORT": "many"}, "CLOUD_EMULATOR_PORT: expected a whole number"),
    ],
)
def test_a_bad_value_is_named(pyproject: Path, variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        config.load(pyproject, variables)


def test_a_missing_value_is_named(pyproject: Path) -> None:
    pyproject.write_text(TABLE.replace('bucket = "my-bucket"', ""))
    with pytest.raises(UserError, match="expected a value for 'bucket', found none"):
        config.load(pyproject, {})


def test_this_project_has_every_value() -> None:
    config.load(environment={})
