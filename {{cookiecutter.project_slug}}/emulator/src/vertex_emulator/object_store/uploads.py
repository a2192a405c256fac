"""Uploads that take more than one request: resumable ones, and those made of numbered parts.

Both survive the death of the process: their state is rows and blobs like everything else.
Sources: https://cloud.google.com/storage/docs/resumable-uploads and
https://cloud.google.com/storage/docs/multipart-uploads
"""

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any

import orjson

from vertex_emulator import errors
from vertex_emulator.disk import reporting_full_disk
from vertex_emulator.object_store.blobs import Blob
from vertex_emulator.object_store.buckets import microseconds
from vertex_emulator.object_store.conditions import Conditions
from vertex_emulator.object_store.object_rows import StoredObject
from vertex_emulator.object_store.objects import Objects, Ref

_SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS uploads (
        id TEXT PRIMARY KEY,
        bucket TEXT NOT NULL,
        name TEXT NOT NULL,
        conditions TEXT NOT NULL,
        attributes TEXT NOT NULL,
        hashes TEXT NOT NULL,
        size INTEGER,
        blob TEXT NOT NULL,
        started INTEGER NOT NULL,
        generation INTEGER
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS upload_parts (
        upload TEXT NOT NULL REFERENCES uploads ON DELETE CASCADE,
        number INTEGER NOT NULL,
        blob TEXT NOT NULL,
        size INTEGER NOT NULL,
        md5 TEXT NOT NULL,
        crc32c TEXT NOT NULL,
        PRIMARY KEY (upload, number)
    ) WITHOUT ROWID
    """,
)

_HOUR = 3600 * 1_000_000  # microseconds
_LIFETIME = 7 * 24 * _HOUR  # microseconds: Google drops an upload after a week
MAX_NAMED = 20  # damaged objects


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload under way.

    Attributes:
        id: what the client names it by.
        target: the object to be, with the conditions of its making.
        attributes: settable fields of the Object resource.
        hashes: `md5Hash` and `crc32c` where the client announced them.
        size: bytes announced, or None.
        blob: id of the blob that a resumable upload grows.
        generation: of the object once it is made, else None.
    """

    id: str
    target: Ref
    attributes: dict[str, Any]
    hashes: dict[str, str]
    size: int | None
    blob: str
    generation: int | None


class Uploads:
    """All uploads under way. Construct it once: it also clears away what a killed process left.

    An upload that is not finished is dropped after a week, as on Google Cloud.

    Args:
        objects: where finished uploads go; the rows are in the same database.
    """

    def __init__(self, objects: Objects) -> None:
        self._database = database = objects.database
        self._objects = objects
        self._busy: set[str] = set()
        self._lock = Lock()
        self._expire_at = 0
        with database.transaction() as connection:
            for statement in _SCHEMA:
                connection.execute(statement)
        self._expire()
        damaged = objects.names_of(
            objects.blobs.sweep(keep=objects.blob_sizes() | self._blob_sizes())
        )
        if damaged:
            print(
                f"The bytes of {len(damaged)} objects are damaged, as after a power cut; upload"
                f" them again or delete them: {' '.join(damaged[:MAX_NAMED])}"
                + (" …" if len(damaged) > MAX_NAMED else ""),
                file=sys.stderr,
            )

    def start(
        self,
        target: Ref,
        attributes: dict[str, Any],
        hashes: dict[str, str] | None = None,
        size: int | None = None,
    ) -> Upload:
        """Opens an upload.

        Raises:
            ApiError: 400, 404 or 412 where the object could not be made even now.
        """
        self._objects.check_target(target)
        self._expire()
        blob = self._objects.blobs.new_id()
        upload = Upload(
            self._objects.blobs.new_id(), target, attributes, hashes or {}, size, blob, None
        )
        with reporting_full_disk():
            self._objects.blobs.path(blob).touch()
            with self._database.transaction() as connection:
                connection.execute(
                    "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                    (
                        upload.id,
                        target.bucket,
                        target.name,
                        orjson.dumps(asdict(target.conditions)).decode(),
                        orjson.dumps(attributes).decode(),
                        orjson.dumps(upload.hashes).decode(),
                        size,
                        blob,
                        microseconds(),
                    ),
                )
        return upload

    def get(self, upload_id: str) -> Upload:
        """Returns an upload.

        Raises:
            ApiError: 404 when there is none: it never was, was cancelled or is over a week old.
        """
        row = (
            self._database.connection()
            .execute("SELECT * FROM uploads WHERE id = ?", (upload_id,))
            .fetchone()
        )
        if row is None:
            raise _no_such_upload(upload_id)
        return _upload(row)

    @contextmanager
    def only_request(self, upload: Upload) -> Iterator[None]:
        """Keeps a second request of the same upload away while one is served.

        Raises:
            ApiError: 503, which clients answer by asking again.
        """
        with self._lock:
            if upload.id in self._busy:
                raise errors.unavailable("Another request of this upload is still being served.")
            self._busy.add(upload.id)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(upload.id)

    def received(self, upload: Upload) -> int:
        """Returns how many bytes of a resumable upload are here.

        Raises:
            ApiError: 404 when the upload failed at its end and its bytes are gone.
        """
        try:
            return self._objects.blobs.path(upload.blob).stat().st_size
        except FileNotFoundError as error:
            raise _no_such_upload(upload.id) from error

    def append(self, upload: Upload, data: bytes) -> None:
        """Adds bytes to a resumable upload; they are there to stay when it returns.

        Raises:
            ApiError: 507 when the disk is full; `received` then tells how many were added.
        """
        with reporting_full_disk(), self._objects.blobs.path(upload.blob).open("ab") as file:
            file.write(data)

    def measure(self, upload: Upload) -> Blob:
        """Hashes what a resumable upload has received."""
        return self._objects.blobs.measure(upload.blob)

    def finish(self, upload: Upload, blob: Blob) -> StoredObject:
        """Makes the object of a resumable upload, whose bytes are complete.

        Raises:
            ApiError: as `Objects.put`; the upload is then over.
        """

        def close(connection: sqlite3.Connection, stored: StoredObject) -> None:
            connection.execute(
                "UPDATE uploads SET generation = ?, blob = '' WHERE id = ?",
                (stored.generation, upload.id),
            )

        try:
            return self._objects.put(upload.target, blob, upload.attributes, alongside=close)
        except errors.ApiError:
            self._forget(upload)
            raise

    def cancel(self, upload: Upload) -> None:
        """Drops an upload and what it received."""
        blobs = [upload.blob, *(part.id for part in self.parts(upload).values())]
        self._forget(upload)
        self._objects.blobs.release(*filter(None, blobs))

    def put_part(self, upload: Upload, number: int, blob: Blob) -> None:
        """Keeps a finished blob as a numbered part, in place of an earlier one."""
        replaced = self.parts(upload).get(number)
        try:
            with reporting_full_disk(), self._database.transaction() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO upload_parts VALUES (?, ?, ?, ?, ?, ?)",
                    (upload.id, number, blob.id, blob.size, blob.md5, blob.crc32c),
                )
        except BaseException:
            self._objects.blobs.discard(blob.id)
            raise
        if replaced:
            self._objects.blobs.release(replaced.id)

    def parts(self, upload: Upload) -> dict[int, Blob]:
        """Returns the parts received, by number."""
        rows = self._database.connection().execute(
            "SELECT * FROM upload_parts WHERE upload = ? ORDER BY number", (upload.id,)
        )
        return {
            row["number"]: Blob(row["blob"], row["size"], row["md5"], row["crc32c"]) for row in rows
        }

    def assemble(self, upload: Upload, parts: Sequence[Blob]) -> StoredObject:
        """Makes the object of parts, one after the other; the other parts are dropped.

        Raises:
            ApiError: as `Objects.put`; the upload stays open.
        """
        with self._objects.new_blob() as writer:
            for part in parts:
                try:
                    with self._objects.blobs.open(part.id) as file:
                        writer.write_from(file)
                except FileNotFoundError as error:
                    raise errors.conflict("A part was replaced while the upload ended.") from error
            blob = writer.finish()

        received = self.parts(upload)
        stored = self._objects.put(
            upload.target,
            Blob(blob.id, blob.size, None, blob.crc32c),
            upload.attributes,
            components=len(parts),
            alongside=lambda connection, _: _delete(connection, upload),
        )
        self._objects.blobs.release(upload.blob, *(part.id for part in received.values()))
        return stored

    def _forget(self, upload: Upload) -> None:
        with self._database.transaction() as connection:
            _delete(connection, upload)

    def _expire(self) -> None:
        """Drops uploads that are too old, at most once an hour."""
        now = microseconds()
        with self._lock:
            if now < self._expire_at:
                return
            self._expire_at = now + _HOUR
        with self._database.transaction() as connection:
            old = "FROM uploads WHERE started < ?"
            before = (now - _LIFETIME,)
            blobs = connection.execute(
                f"SELECT blob {old} AND blob <> '' UNION SELECT blob FROM upload_parts"  # noqa: S608, words of ours
                f" WHERE upload IN (SELECT id {old})",
                before * 2,
            ).fetchall()
            connection.execute(f"DELETE {old}", before)
        self._objects.blobs.release(*(row["blob"] for row in blobs))

    def _blob_sizes(self) -> dict[str, int | None]:
        rows = self._database.connection().execute(
            "SELECT blob, NULL AS size FROM uploads UNION ALL SELECT blob, size FROM upload_parts"
        )
        return {row["blob"]: row["size"] for row in rows}


def _delete(connection: sqlite3.Connection, upload: Upload) -> None:
    connection.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))


def _no_such_upload(upload_id: str) -> errors.ApiError:
    return errors.not_found(f"No such upload: {upload_id!r}; start it again.", "NoSuchUpload")


def _upload(row: sqlite3.Row) -> Upload:
    conditions = Conditions(**orjson.loads(row["conditions"]))
    return Upload(
        row["id"],
        Ref(row["bucket"], row["name"], conditions=conditions),
        orjson.loads(row["attributes"]),
        orjson.loads(row["hashes"]),
        row["size"],
        row["blob"],
        row["generation"],
    )
