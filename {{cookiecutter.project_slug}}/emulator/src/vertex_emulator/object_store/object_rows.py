"""The rows of objects in SQLite: one a live object, pointing at its blob."""

import sqlite3
from collections.abc import Collection, Generator
from dataclasses import dataclass
from typing import Any

import orjson

from vertex_emulator.object_store.blobs import Blob
from vertex_emulator.object_store.buckets import microseconds
from vertex_emulator.state.database import Database

_SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS objects (
        bucket TEXT NOT NULL,
        name TEXT NOT NULL,
        generation INTEGER NOT NULL,
        metageneration INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        blob TEXT NOT NULL,
        size INTEGER NOT NULL,
        md5 TEXT,
        crc32c TEXT NOT NULL,
        components INTEGER,
        attributes TEXT NOT NULL,
        PRIMARY KEY (bucket, name)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE IF NOT EXISTS last_generation (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO last_generation VALUES (1, 0)",
)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One live object.

    Attributes:
        bucket: its bucket.
        name: its name, any Unicode but carriage returns and line feeds.
        generation: of the content, also the moment it came to be, in microseconds since the epoch.
        metageneration: 1 at first, one more with each change of the attributes.
        updated: microseconds since the epoch, of the last change of the attributes.
        blob: the bytes.
        components: how many objects or parts it was put together from, or None.
        attributes: the settable fields of the JSON API's Object resource.
    """

    bucket: str
    name: str
    generation: int
    metageneration: int
    updated: int
    blob: Blob
    components: int | None
    attributes: dict[str, Any]

    @property
    def size(self) -> int:
        return self.blob.size


class ObjectRows:
    """Finds and changes rows; the caller has the transaction where it changes them.

    Args:
        database: where the rows are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.transaction() as connection:
            for statement in _SCHEMA:
                connection.execute(statement)

    def find(self, bucket: str, name: str) -> StoredObject | None:
        """Returns the live object, or None."""
        row = (
            self._database.connection()
            .execute("SELECT * FROM objects WHERE bucket = ? AND name = ?", (bucket, name))
            .fetchone()
        )
        return None if row is None else _stored(row)

    def scan(self, bucket: str, lower: str, upper: str | None) -> Generator[StoredObject]:
        """Yields the objects with lower <= name < upper, by name; None is no upper bound."""
        cursor = self._database.connection().execute(
            "SELECT * FROM objects WHERE bucket = ?1 AND name >= ?2 ORDER BY name"
            if upper is None
            else "SELECT * FROM objects WHERE bucket = ?1 AND name >= ?2 AND name < ?3"
            " ORDER BY name",
            (bucket, lower) if upper is None else (bucket, lower, upper),
        )
        try:
            for row in cursor:
                yield _stored(row)
        finally:
            cursor.close()  # an open cursor would hold this thread's view of the database

    def blob_sizes(self) -> dict[str, int | None]:
        """Returns how many bytes each blob that an object points at has, by id."""
        rows = self._database.connection().execute("SELECT blob, size FROM objects")
        return {row["blob"]: row["size"] for row in rows}

    def names_of(self, blob_ids: Collection[str]) -> list[str]:
        """Returns the gs:// URIs of the objects that point at some of these blobs."""
        rows = self._database.connection().execute("SELECT bucket, name, blob FROM objects")
        return [f"gs://{row['bucket']}/{row['name']}" for row in rows if row["blob"] in blob_ids]

    def put(
        self,
        bucket: str,
        name: str,
        blob: Blob,
        attributes: dict[str, Any],
        components: int | None,
    ) -> StoredObject:
        """Makes the live object of this name, in a new generation."""
        connection = self._database.connection()
        # Never twice the same, even where the clock stands still or is set back.
        generation: int = connection.execute(
            "UPDATE last_generation SET value = max(value + 1, ?) RETURNING value",
            (microseconds(),),
        ).fetchone()["value"]
        connection.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                bucket,
                name,
                generation,
                1,
                generation,
                blob.id,
                blob.size,
                blob.md5,
                blob.crc32c,
                components,
                orjson.dumps(attributes).decode(),
            ),
        )
        return StoredObject(bucket, name, generation, 1, generation, blob, components, attributes)

    def update(self, stored: StoredObject) -> None:
        """Writes the metageneration, the moment and the attributes."""
        self._database.connection().execute(
            "UPDATE objects SET metageneration = ?, updated = ?, attributes = ?"
            " WHERE bucket = ? AND name = ?",
            (
                stored.metageneration,
                stored.updated,
                orjson.dumps(stored.attributes).decode(),
                stored.bucket,
                stored.name,
            ),
        )

    def delete(self, stored: StoredObject) -> None:
        self._database.connection().execute(
            "DELETE FROM objects WHERE bucket = ? AND name = ?", (stored.bucket, stored.name)
        )


def _stored(row: sqlite3.Row) -> StoredObject:
    return StoredObject(
        row["bucket"],
        row["name"],
        row["generation"],
        row["metageneration"],
        row["updated"],
        Blob(row["blob"], row["size"], row["md5"], row["crc32c"]),
        row["components"],
        orjson.loads(row["attributes"]),
    )
