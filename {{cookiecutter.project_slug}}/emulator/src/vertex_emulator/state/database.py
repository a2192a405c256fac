"""SQLite behind the emulator: one connection a thread, one writer at a time."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vertex_emulator.disk import reporting_full_disk
from vertex_emulator.patterns import has_match


class Database:
    """One SQLite file, shared by the threads of one process.

    Write-ahead logging keeps readers and the writer apart, and what `transaction` has committed
    survives the death of the process at any moment. A power cut may undo what was committed after
    the last `sync`, whole transactions from the newest back.

    Args:
        path: the database file; made when missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._writing = threading.RLock()
        self._connections: dict[threading.Thread, sqlite3.Connection] = {}
        self.connection().execute("PRAGMA journal_mode = WAL")

    def connection(self) -> sqlite3.Connection:
        """Returns this thread's connection, for reading; rows answer to column names."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path, isolation_level=None, timeout=60, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.create_function("regexp", 2, has_match, deterministic=True)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
            with self._writing:
                self._close_unused()
                self._connections[threading.current_thread()] = connection
        return connection

    def _close_unused(self) -> None:
        """Closes the connections of threads that have ended: pools come and go with the load."""
        for thread in [each for each in self._connections if not each.is_alive()]:
            self._connections.pop(thread).close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Runs the body as the only writer: committed whole, or not at all when it raises.

        A transaction inside a transaction of the same thread is part of the outer one.

        Raises:
            ApiError: 507 when the disk is full.
        """
        connection = self.connection()
        with self._writing, reporting_full_disk():
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise

    def sync(self) -> None:
        """Returns once all that is committed is on the disk itself.

        What is not in the write-ahead log any more, SQLite has synced before it left there
        (https://www.sqlite.org/pragma.html#pragma_synchronous).
        """
        with suppress(FileNotFoundError):
            log = os.open(f"{self._path}-wal", os.O_RDWR)
            try:
                os.fsync(log)
            finally:
                os.close(log)

    def close(self) -> None:
        """Closes the connections of all threads; nothing may use the database afterwards."""
        with self._writing:
            while self._connections:
                self._connections.popitem()[1].close()


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # where a disk is full, SQLite has done it already
        connection.execute("ROLLBACK")
