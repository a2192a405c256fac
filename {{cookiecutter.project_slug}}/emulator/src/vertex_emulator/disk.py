"""A full disk: told from other errors, answered so that clients understand it."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from vertex_emulator import errors

_FULL_DISK = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


def is_full(error: BaseException) -> bool:
    """Whether the disk, or SQLite on it, refused a write for want of room."""
    if isinstance(error, sqlite3.OperationalError):
        # The low byte is the primary code: https://www.sqlite.org/rescode.html
        return error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
    if isinstance(error, errors.ApiError):
        return error.code == errors.NO_SPACE
    return isinstance(error, OSError) and error.errno in _FULL_DISK


@contextmanager
def reporting_full_disk() -> Iterator[None]:
    """Turns a write that the disk or SQLite refused into the answer that a client understands.

    Raises:
        ApiError: 507.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        if is_full(error):
            raise errors.no_space(
                f"The emulator's data folder has no room left ({error}); free some space."
            ) from error
        raise
