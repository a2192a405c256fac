"""SQLite behind the emulator: one connection a thread, one writer at a time."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Database:
    """One SQLite file, shared by the threads of one process.

    Write-ahead logging keeps readers and the writer apart, and what `transaction` has committed
    survives the death of the process at any moment.

    Args:
        path: the database file; made when missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._writing = threading.RLock()
        self._connections: list[sqlite3.Connection] = []
        self.connection().execute("PRAGMA journal_mode = WAL")

    def connection(self) -> sqlite3.Connection:
        """Returns this thread's connection, for reading; rows answer to column names."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path, isolation_level=None, timeout=60, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
            with self._writing:
                self._connections.append(connection)
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Runs the body as the only writer: committed whole, or not at all when it raises.

        A transaction inside a transaction of the same thread is part of the outer one.
        """
        connection = self.connection()
        with self._writing:
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

    def close(self) -> None:
        """Closes the connections of all threads; nothing may use the database afterwards."""
        with self._writing:
            while self._connections:
                self._connections.pop().close()


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # where a disk is full, SQLite has done it already
        connection.execute("ROLLBACK")
