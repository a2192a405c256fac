"""The values of `[tool.cloud]` in pyproject.toml, each open to an environment variable."""

import os
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cloud.errors import UserError

ROOT = Path(__file__).parents[1]
PREFIX = "CLOUD_"
TARGETS = ("emulator", "cloud")


# How a value is read; folders are relative to the project's.
READ: dict[Any, Callable[[Any], Any]] = {
    str: str,
    int: int,
    Path: lambda text: ROOT / text,
    tuple[str, ...]: lambda words: tuple(shlex.split(words) if isinstance(words, str) else words),
}


@dataclass(frozen=True)
class Config:
    """Where the project runs and what its things are called.

    Attributes:
        target: `emulator` (this machine) or `cloud` (Google Cloud).
        project: Google Cloud project id.
        region: region of Vertex AI, such as `us-central1`.
        bucket: name of the Cloud Storage bucket, without `gs://`.
        model: display name of the model and of its endpoint.
        data_set: name of a table in `trainer/tables/`; empty where the trainer has its own data.
        trainer_module: what a job runs, as `python -m` does.
        job_arguments: what it is called with, before a person's own flags; {train}, {eval} and
            {test} stand for the files of the data set, {data} for the folder of all data, and
            {data_set} for the data set's name.
        argument_check: function of the trainer, as `module:function`, that reads its arguments and
            ends with a sentence where it refuses one; empty for none.
        search_space: function of the trainer, likewise, that takes its arguments and returns what a
            tuning may search; empty for none.
        tuning_metric: metric by which a tuning judges its trials; empty for the trainer's own.
        machine_type: machine of training and serving, such as `n1-standard-4`.
        training_image: image with TensorFlow, of Docker Hub or with its registry's host.
        serving_image: image of TensorFlow Serving, likewise.
        image_repository: Artifact Registry repository in `region` that passes on Docker Hub.
        emulator_port: port the emulator takes on loopback where it is free.
        emulator_folder: folder of what the emulator remembers.
        data_folder: folder of the data sets' CSV files on this machine.
        runs_folder: folder of what local training writes.
        clients_folder: folder of the endpoint's clients in other languages.
    """

    target: str
    project: str
    region: str
    bucket: str
    model: str
    data_set: str
    trainer_module: str
    job_arguments: tuple[str, ...]
    argument_check: str
    search_space: str
    tuning_metric: str
    machine_type: str
    training_image: str
    serving_image: str
    image_repository: str
    emulator_port: int
    emulator_folder: Path
    data_folder: Path
    runs_folder: Path
    clients_folder: Path

    @property
    def location(self) -> str:
        """The parent of every Vertex AI resource."""
        return f"projects/{self.project}/locations/{self.region}"

    @property
    def name_stem(self) -> str:
        """The model's name in the letters that labels and the names of jobs may have."""
        return re.sub(r"[^a-z0-9]+", "-", self.model.lower()).strip("-") or "job"

    @property
    def resource_id(self) -> str:
        """The id of the model and of its endpoint, so that two commands cannot create two.

        Of the letters that ids of both may have; it begins with a letter.
        """
        stem = self.name_stem if self.name_stem[0].isalpha() else f"m-{self.name_stem}"
        return stem[:63].rstrip("-")

    @property
    def experiment(self) -> str:
        """The experiment whose runs are the jobs; such names have at least four characters."""
        return f"{self.name_stem}-training"

    @property
    def labels(self) -> dict[str, str]:
        """The label of everything that the project makes, by which it knows its own again."""
        return {"model": self.name_stem}

    def image_uri(self, image: str) -> str:
        """Returns where Google Cloud pulls an image from.

        An image without a registry's host is of Docker Hub, and comes through the project's
        remote repository, which is the one kind that prediction accepts.
        """
        if "." in image.partition("/")[0]:
            return image
        return f"{self.region}-docker.pkg.dev/{self.project}/{self.image_repository}/{image}"


def load(
    path: Path = ROOT / "pyproject.toml", environment: Mapping[str, str] = os.environ
) -> Config:
    """Reads the values; `CLOUD_BUCKET=other` in the environment overrides `bucket`, and so on.

    Raises:
        UserError: a value is missing, unknown or of the wrong type.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("cloud", {})
    values: dict[str, Any] = {}
    for field in fields(Config):
        variable = PREFIX + field.name.upper()
        value = environment.get(variable, table.get(field.name))
        if value is None:
            raise UserError(
                f"{path.name}, [tool.cloud]: expected a value for {field.name!r}, found none; add"
                f" it or set {variable}."
            )
        try:
            values[field.name] = READ[field.type](value)
        except ValueError as error:
            raise UserError(f"{variable}: expected a whole number, got {value!r}.") from error
    config = Config(**values)
    if config.target not in TARGETS:
        raise UserError(
            f"{PREFIX}TARGET or [tool.cloud] target: expected 'emulator' or 'cloud',"
            f" got {config.target!r}."
        )
    return config
