"""The folder that holds all that an emulator remembers: made, and checked before it is used."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# SQLite opens paths of up to 512 bytes, Windows mostly of 260; the names below the folder need 110.
MAX_PATH = 150 if os.name == "nt" else 400
DATABASE = "emulator.sqlite"
FOLDERS = ("batches", "blobs", "jobs", "proxy", "servers")
REMEDY = "let the emulator write there, or name another folder with --data-dir"


class DataFolderError(Exception):
    """The folder cannot be used; the message is a sentence for who named it."""


def prepare(data_dir: Path) -> None:
    """Makes the folder, for its owner alone, and those in it.

    Raises:
        DataFolderError: its path is too long, something else lies in its place or in that of a
            folder in it, or one cannot be written to.
    """
    length = len(os.fsencode(data_dir))
    if length > MAX_PATH:
        raise DataFolderError(
            f"--data-dir {data_dir}: expected a path of up to {MAX_PATH} bytes, got {length}; take"
            " a shorter one, as SQLite and the system open none that is much longer."
        )
    for folder in (data_dir, *(data_dir / name for name in FOLDERS)):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # jobs' variables are in there
        except FileExistsError as error:
            raise DataFolderError(
                f"{folder} is not a folder; delete it, or name another with --data-dir."
            ) from error
        except OSError as error:
            raise _unusable(error) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise DataFolderError(f"{folder} cannot be written to; {REMEDY}.")


@contextmanager
def reporting_unusable(data_dir: Path) -> Iterator[None]:
    """Turns what the system or SQLite says of a file in the folder into a sentence.

    Raises:
        DataFolderError: in the place of OSError that names a file, and of SQLite's errors.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise DataFolderError(
            f"{data_dir / DATABASE} cannot be used as the emulator's database ({error}); name"
            " another folder with --data-dir, or delete this one with all that it remembers."
        ) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise _unusable(error) from error


def _unusable(error: OSError) -> DataFolderError:
    return DataFolderError(f"{error.filename} cannot be used: {error.strerror}; {REMEDY}.")
