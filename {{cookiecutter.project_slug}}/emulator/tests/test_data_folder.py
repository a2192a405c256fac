"""A data folder that cannot be used is one sentence, which names what is wrong and what to do."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vertex_emulator.data_folder import (
    DATABASE,
    FOLDERS,
    MAX_PATH,
    DataFolderError,
    prepare,
    reporting_unusable,
)
from vertex_emulator.state.database import Database
from vertex_emulator.state.documents import Documents

UNPRIVILEGED = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)


def start(folder: Path) -> tuple[int, str]:
    """Starts an emulator that is to refuse; returns its exit code and what it printed."""
    command = [sys.executable, "-m", "vertex_emulator", "--port", "0", "--data-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def no_database(file: Path) -> None:
    file.write_bytes(b"a photograph" * 1000)


def a_folder(file: Path) -> None:
    file.mkdir()


def broken_pages(file: Path) -> None:
    """Leaves the first page, and with it the names of the tables."""
    database = Database(file)
    documents = Documents(database)
    for number in range(200):
        name = f"projects/p/locations/l/customJobs/{number}"
        document = {"name": name, "state": "JOB_STATE_QUEUED", "displayName": "x" * 100}
        documents.create("customJob", "projects/p/locations/l", document)
    database.close()
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\x5a" * (file.stat().st_size - 4096))


@pytest.mark.parametrize("write", [no_database, a_folder, broken_pages])
def test_a_database_that_is_none(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / DATABASE)
    code, printed = start(tmp_path)
    assert code == 1
    assert printed.startswith(f"{tmp_path / DATABASE} cannot be used as the emulator's database")
    assert printed.endswith("delete this one with all that it remembers.\n")
    assert printed.count("\n") == 1


def test_an_address_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "address.json").mkdir()
    code, printed = start(tmp_path)
    assert code == 1
    assert printed.startswith(f"{tmp_path / 'address.part'} cannot be used: ")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_in_the_place_of_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(DataFolderError, match=f"{name} is not a folder; delete it"):
        prepare(tmp_path)


def test_a_file_in_the_place_of_the_folder_or_above(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DataFolderError, match="is not a folder"):
        prepare(file)
    with pytest.raises(DataFolderError, match="cannot be used"):
        prepare(file / "below")


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(DataFolderError, match=f"a path of up to {MAX_PATH} bytes"):
        prepare(tmp_path / ("é" * (MAX_PATH // 2)))


@UNPRIVILEGED
@pytest.mark.parametrize("name", ["", *FOLDERS])
def test_a_folder_that_may_only_be_read(tmp_path: Path, name: str) -> None:
    prepare(tmp_path)
    (tmp_path / name).chmod(0o500)
    with pytest.raises(DataFolderError, match="cannot be written to"):
        prepare(tmp_path)
    (tmp_path / name).chmod(0o700)


@UNPRIVILEGED
def test_a_database_that_may_only_be_read(tmp_path: Path) -> None:
    Database(tmp_path / DATABASE).close()
    (tmp_path / DATABASE).chmod(0o400)
    with pytest.raises(DataFolderError, match="readonly database"), reporting_unusable(tmp_path):
        Documents(Database(tmp_path / DATABASE))


def test_another_error_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no file"), reporting_unusable(tmp_path):
        raise OSError("no file")
    with pytest.raises(DataFolderError, match="locked"), reporting_unusable(tmp_path):
        raise sqlite3.OperationalError("database is locked")
