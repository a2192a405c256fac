"""Log entries in the order of their time, found by the job that wrote them."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from vertex_emulator.state.database import Database
from vertex_emulator.times import text_of

Entry = dict[str, Any]
Position = tuple[str, int]  # microseconds since the epoch, and a number among entries of all jobs

EPOCH = datetime.fromtimestamp(0, UTC)

SCHEMA = """
CREATE TABLE IF NOT EXISTS log_job (
    id INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS log_source (
    id INTEGER PRIMARY KEY,
    common TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS log_entry (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL,
    source INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS log_entry_by_time ON log_entry (timestamp, sequence);
CREATE INDEX IF NOT EXISTS log_entry_by_job ON log_entry (job, timestamp, sequence);
CREATE TABLE IF NOT EXISTS consumed (
    source TEXT PRIMARY KEY,
    offset INTEGER NOT NULL
);
DROP TABLE IF EXISTS entry;
"""


class Entries:
    """Cloud Logging's `LogEntry` documents.

    What all entries of a replica have in common is kept once, so that a log takes about as much
    room here as its text.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._database.connection().executescript(SCHEMA)

    def append(self, job_id: str, common: Entry, entries: Iterable[Entry]) -> None:
        """Stores entries of one job in their order.

        Args:
            job_id: the job that wrote them.
            common: the fields that all of them have.
            entries: the fields of each, `timestamp` among them, as `times.now` writes it.
        """
        with self._database.transaction() as connection:
            job = _id_of(connection, "log_job", "job_id", job_id)
            source = _id_of(connection, "log_source", "common", orjson.dumps(common).decode())
            connection.executemany(
                "INSERT INTO log_entry (job, source, timestamp, body) VALUES (?, ?, ?, ?)",
                ((job, source, *_stored(each)) for each in entries),
            )

    def consume(
        self, source: str, offset: int, job_id: str, common: Entry, entries: Iterable[Entry]
    ) -> None:
        """Stores entries read from a file and how far it is read, in one transaction.

        Whatever moment the emulator dies at, each line of the file becomes one entry.

        Args:
            source: the file.
            offset: bytes of it that are read, these entries included.
            job_id: the job that wrote them.
            common: the fields that all of them have.
            entries: what was read, as `append` takes it.
        """
        with self._database.transaction() as connection:
            self.append(job_id, common, entries)
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
            conditions["job = (SELECT id FROM log_job WHERE job_id = ?)"] = [job_id]
        if since is not None:
            conditions["timestamp >= ?"] = [microseconds(since)]
        if after is not None:
            conditions[f"(timestamp, sequence) {beyond} (?, ?)"] = [int(after[0]), after[1]]
        return self._entries(
            f"{' AND '.join(conditions)} ORDER BY timestamp {order}, sequence {order}",
            [value for values in conditions.values() for value in values],
        )

    def last(self) -> int:
        """Returns the number of the newest entry; 0 where there is none."""
        [number] = (
            self._database.connection()
            .execute("SELECT coalesce(max(sequence), 0) FROM log_entry")
            .fetchone()
        )
        return int(number)

    def since(self, job_id: str, number: int) -> Iterator[tuple[Position, Entry]]:
        """Yields a job's entries that came after that number, in the order in which they came.

        By time, one would miss the entries of a replica that is read after another.
        """
        return self._entries(
            # Unary plus: the few newest entries of all jobs are read, not all of this job's.
            "sequence > ? AND +job = (SELECT id FROM log_job WHERE job_id = ?) ORDER BY sequence",
            [number, job_id],
        )

    def _entries(self, condition: str, values: list[object]) -> Iterator[tuple[Position, Entry]]:
        connection = self._database.connection()
        common: dict[int, Entry] = {}
        rows = connection.execute(
            f"SELECT timestamp, sequence, source, body FROM log_entry WHERE {condition}",  # noqa: S608, words of ours
            values,
        )
        for row in rows:
            source = row["source"]
            if source not in common:
                [text] = connection.execute(
                    "SELECT common FROM log_source WHERE id = ?", (source,)
                ).fetchone()
                common[source] = orjson.loads(text)
            moment = text_of(EPOCH + timedelta(microseconds=row["timestamp"]))
            entry = common[source] | {
                # Readers take entries of one moment in the order of this text.
                "insertId": f"{row['sequence']:016x}",
                "timestamp": moment,
                "receiveTimestamp": moment,
            }
            yield (str(row["timestamp"]), row["sequence"]), entry | orjson.loads(row["body"])

    def delete(self, job_id: str) -> None:
        """Removes the entries of a job."""
        with self._database.transaction() as connection:
            job = "job = (SELECT id FROM log_job WHERE job_id = ?)"
            sources = connection.execute(
                f"SELECT DISTINCT source FROM log_entry WHERE {job}",  # noqa: S608, words of ours
                (job_id,),
            ).fetchall()
            connection.execute(f"DELETE FROM log_entry WHERE {job}", (job_id,))  # noqa: S608
            connection.executemany("DELETE FROM log_source WHERE id = ?", sources)
            connection.execute("DELETE FROM log_job WHERE job_id = ?", (job_id,))
            connection.execute("DELETE FROM consumed WHERE source LIKE ? || '/%'", (job_id,))


def microseconds(moment: str) -> int:
    """A moment in RFC 3339 as microseconds since the epoch."""
    return (datetime.fromisoformat(moment) - EPOCH) // timedelta(microseconds=1)


def _stored(entry: Entry) -> tuple[int, str]:
    own = {name: value for name, value in entry.items() if name != "timestamp"}
    return microseconds(entry["timestamp"]), orjson.dumps(own).decode()


def _id_of(connection: sqlite3.Connection, table: str, column: str, value: str) -> int:
    row = connection.execute(
        f"INSERT INTO {table} ({column}) VALUES (?) ON CONFLICT DO UPDATE SET {column} = {column}"  # noqa: S608, words of ours
        " RETURNING id",
        (value,),
    ).fetchone()
    return int(row["id"])
