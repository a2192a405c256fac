"""Log entries in the order of their time, found by the job that wrote them."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from vertex_emulator.state.database import Database

Entry = dict[str, Any]
Position = tuple[str, int]  # an entry's timestamp, and its number among those of all jobs

SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_by_time ON entry (timestamp, sequence);
CREATE INDEX IF NOT EXISTS entry_by_job ON entry (job_id, timestamp, sequence);
CREATE TABLE IF NOT EXISTS consumed (
    source TEXT PRIMARY KEY,
    offset INTEGER NOT NULL
);
"""


class Entries:
    """Cloud Logging's `LogEntry` documents."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._database.connection().executescript(SCHEMA)

    def append(self, job_id: str, entries: Iterable[Entry]) -> None:
        """Stores entries of one job in their order."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO entry (job_id, timestamp, body) VALUES (?, ?, ?)",
                [(job_id, each["timestamp"], orjson.dumps(each).decode()) for each in entries],
            )

    def consume(self, source: str, offset: int, job_id: str, entries: Iterable[Entry]) -> None:
        """Stores entries read from a file and how far it is read, in one transaction.

        Whatever moment the emulator dies at, each line of the file becomes one entry.

        Args:
            source: the file.
            offset: bytes of it that are read, these entries included.
            job_id: the job that wrote them.
            entries: what was read.
        """
        with self._database.transaction() as connection:
            self.append(job_id, entries)
            connection.execute(
                "INSERT INTO consumed (source, offset) VALUES (?, ?)"
                " ON CONFLICT (source) DO UPDATE SET offset = excluded.offset",
                (source, offset),
            )

    def consumed(self, source: str) -> int:
        """Returns how many bytes of the file have been read."""
        row = (
            self._database.connection()
            .execute("SELECT offset FROM consumed WHERE source = ?", (source,))
            .fetchone()
        )
        return 0 if row is None else int(row["offset"])

    def scan(
        self,
        job_id: str | None,
        since: str | None,
        after: Position | None,
        *,
        descending: bool,
    ) -> Iterator[tuple[Position, Entry]]:
        """Yields entries by time, reading no more than is taken.

        Args:
            job_id: the job that wrote them; None takes all.
            since: the moment that none is before, as `times.now` writes it.
            after: the position that all follow.
            descending: newest first.
        """
        order, beyond = ("DESC", "<") if descending else ("ASC", ">")
        conditions: dict[str, list[object]] = {"TRUE": []}
        if job_id is not None:
            conditions["job_id = ?"] = [job_id]
        if since is not None:
            conditions["timestamp >= ?"] = [since]
        if after is not None:
            conditions[f"(timestamp, sequence) {beyond} (?, ?)"] = [*after]
        rows = self._database.connection().execute(
            f"SELECT timestamp, sequence, body FROM entry WHERE {' AND '.join(conditions)}"  # noqa: S608, no words but these
            f" ORDER BY timestamp {order}, sequence {order}",
            [value for values in conditions.values() for value in values],
        )
        for row in rows:
            yield (row["timestamp"], row["sequence"]), orjson.loads(row["body"])

    def delete(self, job_id: str) -> None:
        """Removes the entries of a job."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM entry WHERE job_id = ?", (job_id,))
