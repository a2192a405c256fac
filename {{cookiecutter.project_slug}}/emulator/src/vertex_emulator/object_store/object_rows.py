"""The rows of objects in SQLite, each pointing at its blob: live ones, and past ones.

Past are the noncurrent versions of a bucket that keeps them, and objects that are soft-deleted.
Sources: https://cloud.google.com/storage/docs/object-versioning and
https://cloud.google.com/storage/docs/soft-delete
"""

import enum
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
    """
    CREATE TABLE IF NOT EXISTS past_objects (
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
        deleted INTEGER,
        soft_deleted INTEGER,
        hard_delete INTEGER,
        PRIMARY KEY (bucket, name, generation)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE IF NOT EXISTS last_generation (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO last_generation VALUES (1, 0)",
)


_LIVE = 11  # columns of a live object's row


class Shown(enum.Enum):
    """Which objects a list shows."""

    LIVE = enum.auto()
    VERSIONS = enum.auto()  # live and noncurrent
    SOFT_DELETED = enum.auto()


_SCANS = {
    Shown.LIVE: "SELECT * FROM objects WHERE {bounds} ORDER BY name",
    Shown.VERSIONS: "SELECT *, NULL AS deleted, NULL AS soft_deleted, NULL AS hard_delete"
    " FROM objects WHERE {bounds} UNION ALL"
    " SELECT * FROM past_objects WHERE {bounds} AND soft_deleted IS NULL ORDER BY name, generation",
    Shown.SOFT_DELETED: "SELECT * FROM past_objects"
    " WHERE {bounds} AND hard_delete >= :now ORDER BY name, generation",
}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object, or an earlier version of it.

    Attributes:
        bucket: its bucket.
        name: its name, any Unicode but carriage returns and line feeds.
        generation: of the content, also the moment it came to be, in microseconds since the epoch.
        metageneration: 1 at first, one more with each change of the attributes.
        updated: microseconds since the epoch, of the last change of the attributes.
        blob: the bytes.
        components: how many objects or parts it was put together from, or None.
        attributes: the settable fields of the JSON API's Object resource.
        deleted: when a live version became noncurrent, in microseconds since the epoch.
        soft_deleted: when it was soft-deleted.
        hard_delete: when what is soft-deleted goes for good.
    """

    bucket: str
    name: str
    generation: int
    metageneration: int
    updated: int
    blob: Blob
    components: int | None
    attributes: dict[str, Any]
    deleted: int | None = None
    soft_deleted: int | None = None
    hard_delete: int | None = None

    @property
    def is_live(self) -> bool:
        return self.deleted is None and self.soft_deleted is None

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

    def find_past(
        self, bucket: str, name: str, generation: int, *, soft_deleted: bool
    ) -> StoredObject | None:
        """Returns a noncurrent version, or one that is soft-deleted and not yet gone, or None."""
        row = (
            self._database.connection()
            .execute(
                "SELECT * FROM past_objects WHERE bucket = ? AND name = ? AND generation = ?",
                (bucket, name, generation),
            )
            .fetchone()
        )
        if row is None or (row["soft_deleted"] is not None) != soft_deleted:
            return None
        stored = _stored(row)
        gone = stored.hard_delete is not None and stored.hard_delete < microseconds()
        return None if gone else stored

    def scan(
        self, bucket: str, lower: str, upper: str | None, shown: Shown = Shown.LIVE
    ) -> Generator[StoredObject]:
        """Yields objects with lower <= name < upper, by name and generation.

        Args:
            bucket: whose objects.
            lower: the least name.
            upper: what all names are below; None is no bound.
            shown: which of them.
        """
        bounds = "bucket = :bucket AND name >= :lower" + (
            "" if upper is None else " AND name < :upper"
        )
        cursor = self._database.connection().execute(
            _SCANS[shown].format(bounds=bounds),
            {"bucket": bucket, "lower": lower, "upper": upper, "now": microseconds()},
        )
        try:
            for row in cursor:
                yield _stored(row)
        finally:
            cursor.close()  # an open cursor would hold this thread's view of the database

    def blob_sizes(self) -> dict[str, int | None]:
        """Returns how many bytes each blob that an object points at has, by id."""
        rows = self._database.connection().execute(
            "SELECT blob, size FROM objects UNION ALL SELECT blob, size FROM past_objects"
        )
        return {row["blob"]: row["size"] for row in rows}

    def names_of(self, blob_ids: Collection[str]) -> list[str]:
        """Returns the gs:// URIs of the objects that point at some of these blobs."""
        rows = self._database.connection().execute(
            "SELECT bucket, name, blob FROM objects"
            " UNION ALL SELECT bucket, name, blob FROM past_objects"
        )
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
        table = "objects" if stored.is_live else "past_objects"
        self._database.connection().execute(
            f"UPDATE {table} SET metageneration = ?, updated = ?, attributes = ?"  # noqa: S608, ours
            " WHERE bucket = ? AND name = ? AND generation = ?",
            (
                stored.metageneration,
                stored.updated,
                orjson.dumps(stored.attributes).decode(),
                stored.bucket,
                stored.name,
                stored.generation,
            ),
        )

    def delete(self, stored: StoredObject) -> None:
        table = "objects" if stored.is_live else "past_objects"
        self._database.connection().execute(
            f"DELETE FROM {table} WHERE bucket = ? AND name = ? AND generation = ?",  # noqa: S608, ours
            (stored.bucket, stored.name, stored.generation),
        )

    def keep(self, past: StoredObject) -> None:
        """Writes an object among the past ones."""
        self._database.connection().execute(
            "INSERT OR REPLACE INTO past_objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                past.bucket,
                past.name,
                past.generation,
                past.metageneration,
                past.updated,
                past.blob.id,
                past.blob.size,
                past.blob.md5,
                past.blob.crc32c,
                past.components,
                orjson.dumps(past.attributes).decode(),
                past.deleted,
                past.soft_deleted,
                past.hard_delete,
            ),
        )

    def expire(self) -> list[str]:
        """Removes the rows of what was soft-deleted long enough ago; returns their blobs' ids."""
        rows = self._database.connection().execute(
            "DELETE FROM past_objects WHERE hard_delete < ? RETURNING blob", (microseconds(),)
        )
        return [row["blob"] for row in rows.fetchall()]

    def drop_soft_deleted(self, bucket: str) -> list[str]:
        """Removes what is soft-deleted in a bucket; returns the blobs' ids."""
        rows = self._database.connection().execute(
            "DELETE FROM past_objects WHERE bucket = ? AND soft_deleted IS NOT NULL RETURNING blob",
            (bucket,),
        )
        return [row["blob"] for row in rows.fetchall()]


def _stored(row: sqlite3.Row) -> StoredObject:
    past = (row["deleted"], row["soft_deleted"], row["hard_delete"]) if len(row) > _LIVE else ()
    return StoredObject(
        row["bucket"],
        row["name"],
        row["generation"],
        row["metageneration"],
        row["updated"],
        Blob(row["blob"], row["size"], row["md5"], row["crc32c"]),
        row["components"],
        orjson.loads(row["attributes"]),
        *past,
    )
