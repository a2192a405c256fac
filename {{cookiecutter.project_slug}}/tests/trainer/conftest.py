"""Small real data for the trainer, and settings that train on it in a second."""

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud import datasets
from trainer.settings import FOLDERS, Settings

MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """The files of each table by table and split; flights is a sample."""
    folder = tmp_path_factory.mktemp("data")
    return {
        "flights": datasets.write_csvs("flights", folder / "flights", rows=4_000),
        "penguins": datasets.write_csvs("penguins", folder / "penguins"),
    }


def settings_in(base: str, files: dict[str, Path], **values: Any) -> Settings:
    """Returns tiny settings with all folders in a place, a path or gs:// URI."""
    data = {f"{split}_data": str(path) for split, path in files.items()}
    return Settings.tiny(**data | {name: f"{base}/{name}" for name in FOLDERS} | values)


@pytest.fixture
def make_settings(data: dict[str, dict[str, Path]], tmp_path: Path) -> MakeSettings:
    """Makes settings of a table with the folders in `tmp_path`, or in another place `at`."""

    def make(table: str = "flights", at: str | None = None, **values: Any) -> Settings:
        return settings_in(at or str(tmp_path / "job"), data[table], table=table, **values)

    return make


@pytest.fixture(autouse=True)
def _outside_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLUSTER_SPEC", "CLOUD_ML_JOB_ID", "TF_CONFIG", *FOLDERS.values()):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def unused_ports() -> list[int]:
    """Two ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
