"""What a model takes and answers: its contract.json, or its signature where it has none."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.api_core import exceptions

from cloud import lookup
from cloud.client import Client
from cloud.errors import UserError
from cloud.serving import instances, model_folder, plain_instances, signature
from cloud.serving.instances import Instance, Row
from cloud.serving.plain_instances import Input
from table_schema import tables
from table_schema.columns import Table

FILE = "contract.json"  # as the trainer writes it beside its SavedModel


class Contract(ABC):
    """How rows become what a model takes.

    Attributes:
        sample: an instance to ask the model with; None where only the data set has some.
        table: what the model was trained on; None of a model that is no table's.
        outputs: what each output means, by its name; empty where nobody wrote it down.
    """

    sample: Instance | None
    table: Table | None
    outputs: Mapping[str, str]

    @abstractmethod
    def parse(self, text: str) -> Instance:
        """Reads `--instance`.

        Raises:
            UserError: it is no JSON object.
        """

    @abstractmethod
    def read(self, path: Path, *, allow_missing: bool = False) -> list[Instance]:
        """Reads the instances of a file of this machine.

        Raises:
            UserError: it cannot be read, holds none, or lacks an input.
        """

    @abstractmethod
    def rows(self, path: Path) -> list[Row] | None:
        """Returns the rows of a file as they are; None where they are the instances themselves."""

    @abstractmethod
    def whole(self, instance: Instance) -> Instance:
        """Returns an instance as it is sent."""

    def body(self, found: Sequence[Instance]) -> dict[str, Any]:
        """Returns the body of a request for predictions."""
        return {"instances": [self.whole(each) for each in found]}

    def in_requests(self, found: list[Instance]) -> Iterator[list[Instance]]:
        """Yields the instances in lists that a request has room for."""
        return instances.in_requests(self.whole(each) for each in found)


class TableContract(Contract):
    """Of a model that was trained on a table: raw values by the names or headings of columns."""

    def __init__(
        self, table: Table, sample: Instance | None = None, outputs: Mapping[str, str] | None = None
    ) -> None:
        self.table: Table = table
        self.sample = sample
        self.outputs = outputs or {}

    def parse(self, text: str) -> Instance:
        return instances.parse(text, self.table)

    def read(self, path: Path, *, allow_missing: bool = False) -> list[Instance]:
        return instances.read(path, self.table, allow_missing=allow_missing)

    def rows(self, path: Path) -> list[Row] | None:
        return instances.rows_of(path, self.table)

    def whole(self, instance: Instance) -> Instance:
        return instances.whole(self.table, instance)


class PlainContract(Contract):
    """Of any other model: JSON as its signature takes it.

    Attributes:
        inputs: by name.
    """

    table = None

    def __init__(
        self,
        inputs: dict[str, Input],
        sample: Instance | None,
        outputs: Mapping[str, str] | None = None,
    ) -> None:
        self.inputs = inputs
        self.sample = sample
        self.outputs = outputs or {}

    def parse(self, text: str) -> Instance:
        return plain_instances.parse(text, self.inputs)

    def read(self, path: Path, *, allow_missing: bool = False) -> list[Instance]:
        return plain_instances.read(path, self.inputs, allow_missing=allow_missing)

    def rows(self, path: Path) -> list[Row] | None:
        return plain_instances.rows_of(path)

    def whole(self, instance: Instance) -> Instance:
        return instance

    def in_requests(self, found: list[Instance]) -> Iterator[list[Instance]]:
        for same in plain_instances.alike(found):
            yield from instances.in_requests(same)


def of_version(client: Client, version: Any) -> Contract:
    """Returns the contract of a version, a `Model`.

    Raises:
        UserError: its folder has no SavedModel, or what is in it is something else.
    """
    return read(client, version.artifact_uri)


def of_default(client: Client) -> Contract:
    """Returns the contract of the default version.

    Raises:
        UserError: there is none yet.
    """
    return of_version(client, lookup.version(client, "default"))


def of_batch_job(client: Client, job: Any) -> Contract:
    """Returns the contract of the version that a `BatchPredictionJob` asks.

    Raises:
        UserError: as `of_version` does.
    """
    return of_version(client, client.models.get_model(name=job.model))


def read(client: Client, folder: str) -> Contract:
    """Returns the contract of a model.

    Args:
        client: of the target.
        folder: gs:// URI of the folder with the SavedModel's numbered folder.

    Raises:
        UserError: as `of_version` does.
    """
    uri = f"{folder.rstrip('/')}/{FILE}"
    try:
        text = client.blob(uri).download_as_bytes()
    except exceptions.NotFound:
        return _of_signature(client, folder)
    try:
        return _parse(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{uri}: expected the contract that the trainer writes, got something else"
            f" ({error!r}); train the model again."
        ) from error


def _parse(document: dict[str, Any]) -> Contract:
    sample, outputs = document.get("sample"), document.get("outputs")
    if document.get("table") is not None:
        return TableContract(tables.of_document(document["table"]), sample, outputs)
    inputs = {
        each["name"]: Input(each["name"], each["kind"], each["about"], _tensor(each))
        for each in document["inputs"]
    }
    return PlainContract(inputs, sample, outputs)


def _tensor(described: dict[str, Any]) -> str:
    """Returns dtype and shape of an input that is a list."""
    if described["kind"] != "tensor":
        return ""
    sizes = ", ".join("any" if size is None else str(size) for size in described["shape"])
    return f"{described['dtype']} [{sizes}]"


def _of_signature(client: Client, folder: str) -> Contract:
    """Returns the contract of a model that has none written.

    One that takes what the project's table has is taken for a model of that table.
    """
    place = model_folder.saved_model_of(client, folder)
    taken = signature.inputs(client.blob(place).download_as_bytes(), place)
    table = lookup.table(client.config) if client.config.data_set else None
    if table is not None and taken.keys() == {column.name for column in table.columns}:
        return TableContract(table)
    inputs = {name: Input(name, each.kind, each.described) for name, each in taken.items()}
    shapes = {name: each.shape for name, each in taken.items()}
    return PlainContract(inputs, plain_instances.made_up(inputs, shapes))
