"""Cloud Storage: a row names each object, and points at the blob file that holds its bytes.

An object changes in one transaction that points its row at another blob. So a reader sees the old
object or the new one, and a process killed at any moment leaves one of the two.
"""

import re
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from vertex_emulator import errors
from vertex_emulator.disk import reporting_full_disk
from vertex_emulator.object_store.blobs import CHUNK, Blob, Blobs, BlobWriter
from vertex_emulator.object_store.buckets import Buckets, Change, microseconds
from vertex_emulator.object_store.conditions import ALWAYS, Conditions
from vertex_emulator.object_store.listing import Listing, Page, decode_token, page
from vertex_emulator.object_store.object_rows import ObjectRows, Shown, StoredObject
from vertex_emulator.state.database import Database

# Runs in the transaction that makes an object, given that object.
Alongside = Callable[[sqlite3.Connection, StoredObject], None]

Held = TypeVar("Held")

_VERSION_TOKEN = re.compile(r"([^.]*)\.([0-9]{1,18})")


@dataclass(frozen=True)
class Ref:
    """The object that a request is about.

    Attributes:
        bucket: its bucket.
        name: its name.
        generation: the one meant, live or not; None means the live one, whichever it is.
        conditions: what must hold of the live object.
        soft_deleted: the generation meant is among those that are soft-deleted.
    """

    bucket: str
    name: str
    generation: int | None = None
    conditions: Conditions = ALWAYS
    soft_deleted: bool = False


def check_object_name(name: str) -> None:
    """Refuses a name that Cloud Storage has no place for.

    Source: https://cloud.google.com/storage/docs/objects#naming

    Raises:
        ApiError: 400.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise errors.invalid_argument(
            "Expected an object name that can be encoded in UTF-8."
        ) from error
    if not 1 <= size <= 1024 or name in {".", ".."} or "\r" in name or "\n" in name:
        raise errors.invalid_argument(
            "Expected an object name of 1 to 1024 bytes of UTF-8, without line ends and other "
            f"than '.' and '..', got {name[:80]!r} ({size} bytes)."
        )


class Objects:
    """Buckets and their objects.

    Every method may raise ApiError: 404 for a bucket, object or generation that is not there, 412
    for conditions that do not hold (304 where a read's "not match" does not), 400 for a name
    against the rules, 507 for a full disk.

    Args:
        database: where the rows are.
        folder: of the blob files; made when missing. One process at a time uses it.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self._rows = ObjectRows(database)
        self.blobs = Blobs(folder, database.sync)
        self.buckets = Buckets(database)
        with database.transaction():
            expired = self._rows.expire()
        self.blobs.release(*expired)

    def blob_sizes(self) -> dict[str, int | None]:
        """Returns how many bytes each blob that an object points at has, by id."""
        return self._rows.blob_sizes()

    def names_of(self, blob_ids: Collection[str]) -> list[str]:
        """Returns the gs:// URIs of the objects that point at some of these blobs."""
        return self._rows.names_of(blob_ids)

    def find(self, bucket: str, name: str) -> StoredObject | None:
        """Returns a live object without its bytes, or None."""
        return self._rows.find(bucket, name)

    def stat(self, ref: Ref) -> StoredObject:
        """Returns an object without its bytes."""
        stored = self._require(ref)
        ref.conditions.check(stored.generation, stored.metageneration, reading=True)
        return stored

    def open(self, ref: Ref) -> tuple[StoredObject, BufferedReader]:
        """Returns an object and its bytes, which stay whole while others overwrite the object."""
        return self._hold(ref, self.blobs.open, reading=True)

    def copy_to_file(self, ref: Ref, path: Path) -> StoredObject:
        """Writes an object's bytes to a file, whose folder must exist."""
        stored, source = self.open(ref)
        with source, reporting_full_disk(), path.open("wb") as target:
            while data := source.read(CHUNK):
                target.write(data)
        return stored

    def list_page(
        self, bucket: str, listing: Listing, shown: Shown = Shown.LIVE
    ) -> Page[StoredObject]:
        """Returns one page of a bucket's objects (400 for a malformed page token or glob)."""
        self.buckets.get(bucket)
        # A page may end between two versions of one name: the token has the generation too.
        token, least = listing.page_token, 0
        if match := _VERSION_TOKEN.fullmatch(token):
            token, least = match[1], int(match[2])
        first = decode_token(token)

        def scan(lower: str, upper: str | None) -> Generator[StoredObject]:
            with closing(self._rows.scan(bucket, lower, upper, shown)) as found:
                for each in found:
                    if each.generation >= least or each.name != first:
                        yield each

        result = page(scan, replace(listing, page_token=token))
        if result.following and shown != Shown.LIVE:
            result.next_page_token += f".{result.following.generation}"
        return result

    def walk(self, bucket: str, prefix: str = "", start: str = "") -> Iterator[StoredObject]:
        """Yields every object whose name begins so, by name from `start` on.

        Objects may change meanwhile.
        """
        listing = Listing(prefix=prefix, start_offset=start)
        while True:
            found = self.list_page(bucket, listing)
            yield from found.items
            if not found.next_page_token:
                return
            listing = replace(listing, page_token=found.next_page_token)

    def new_blob(self) -> BlobWriter:
        """Starts the bytes of an object; `put` makes them one."""
        return self.blobs.create()

    def write(
        self,
        bucket: str,
        name: str,
        source: Path | BinaryIO,
        content_type: str = "application/octet-stream",
    ) -> StoredObject:
        """Makes or overwrites an object with all that a file, or what is open, has left."""
        with self.new_blob() as writer:
            if isinstance(source, Path):
                with source.open("rb") as file:
                    writer.write_from(file)
            else:
                writer.write_from(source)
            blob = writer.finish()
        return self.put(Ref(bucket, name), blob, {"contentType": content_type})

    def put(
        self,
        target: Ref,
        blob: Blob,
        attributes: dict[str, Any],
        *,
        components: int | None = None,
        alongside: Alongside | None = None,
    ) -> StoredObject:
        """Makes a finished blob the content of an object; removes the blob when it cannot.

        Args:
            target: the object, made or overwritten; its bucket must exist.
            blob: its bytes from now on.
            attributes: settable fields of the Object resource.
            components: how many pieces the blob was put together from.
            alongside: another change, to happen if and only if this one does.
        """
        try:
            check_object_name(target.name)
            with reporting_full_disk(), self.database.transaction() as connection:
                unused = self._displace(self._check_target(target))
                stored = self._rows.put(
                    target.bucket,
                    target.name,
                    blob,
                    self._defaults(target.bucket) | attributes,
                    components,
                )
                if alongside:
                    alongside(connection, stored)
        except BaseException:
            self.blobs.discard(blob.id)
            raise
        self.blobs.release(*unused)
        return stored

    def check_target(self, target: Ref) -> None:
        """Refuses early what `put` would refuse at the end of a long upload."""
        check_object_name(target.name)
        self._check_target(target)

    def update(self, ref: Ref, change: Change) -> StoredObject:
        """Puts what `change` makes of an object's attributes in their place."""
        with reporting_full_disk(), self.database.transaction():
            stored = self._require(ref)
            ref.conditions.check(stored.generation, stored.metageneration)
            changed = replace(
                stored,
                metageneration=stored.metageneration + 1,
                updated=microseconds(),
                attributes=change(stored.attributes),
            )
            self._rows.update(changed)
        return changed

    def delete(self, ref: Ref) -> None:
        """Removes an object; a generation that is named is no version afterwards either."""
        with reporting_full_disk(), self.database.transaction():
            stored = self._require(ref)
            ref.conditions.check(stored.generation, stored.metageneration)
            unused = self._displace(stored, for_good=ref.generation is not None)
        self.blobs.release(*unused)

    def delete_bucket(self, name: str, conditions: Conditions = ALWAYS) -> None:
        """Removes an empty bucket; what is soft-deleted in it goes for good."""
        unused: list[str] = []
        self.buckets.delete(
            name, conditions, lambda: unused.extend(self._rows.drop_soft_deleted(name))
        )
        self.blobs.release(*unused)

    def restore(self, ref: Ref) -> StoredObject:
        """Makes what is soft-deleted the live object, in a new generation.

        Args:
            ref: the soft-deleted generation; its conditions are about the live object.
        """
        target = replace(ref, generation=None, soft_deleted=False)
        self.check_target(target)
        stored, twin = self._hold(
            replace(ref, conditions=ALWAYS, soft_deleted=True), self.blobs.duplicate
        )
        return self.put(
            target,
            replace(stored.blob, id=twin),
            stored.attributes,
            components=stored.components,
        )

    def copy(
        self, source: Ref, target: Ref, attributes: dict[str, Any] | None = None
    ) -> StoredObject:
        """Makes an object with the bytes of another.

        Args:
            source: what to copy.
            target: the copy, made or overwritten.
            attributes: of the copy; None takes those of the source.
        """
        self.check_target(target)
        stored, twin = self._hold(source, self.blobs.duplicate)
        return self.put(
            target,
            replace(stored.blob, id=twin),
            stored.attributes if attributes is None else attributes,
            components=stored.components,
        )

    def move(self, source: Ref, target: Ref) -> StoredObject:
        """Renames an object within its bucket, in one step."""
        check_object_name(target.name)
        if source.name == target.name:
            raise errors.invalid_argument(
                f"Expected a name other than the source's, got {target.name!r}."
            )
        with reporting_full_disk(), self.database.transaction():
            stored = self._require(source)
            source.conditions.check(stored.generation, stored.metageneration)
            unused = self._displace(self._check_target(target))
            unused += self._displace(stored)
            blob = stored.blob
            if blob.id not in unused:  # the bucket keeps what was
                blob = replace(blob, id=self.blobs.duplicate(blob.id))
            moved = self._rows.put(
                target.bucket, target.name, blob, stored.attributes, stored.components
            )
        self.blobs.release(*(blob_id for blob_id in unused if blob_id != blob.id))
        return moved

    def compose(
        self,
        sources: Sequence[Ref],
        target: Ref,
        attributes: dict[str, Any],
        *,
        delete_sources: bool = False,
    ) -> StoredObject:
        """Makes an object with the bytes of others, one after the other.

        Args:
            sources: what to put together, each as it is when its turn comes.
            target: the whole, made or overwritten; may be one of the sources.
            attributes: of the whole.
            delete_sources: remove the sources in the same step, but for the target and for what
                was overwritten since its turn.
        """
        self.check_target(target)
        components = 0
        used: list[StoredObject] = []
        unused: list[str] = []
        with self.new_blob() as writer:
            for source in sources:
                stored, file = self._hold(source, self.blobs.open)
                with file:
                    writer.write_from(file)
                components += stored.components or 1
                used.append(stored)
            blob = writer.finish()

        def remove_sources(_connection: sqlite3.Connection, _whole: StoredObject) -> None:
            for each in {each.name: each for each in used if each.name != target.name}.values():
                current = self._rows.find(each.bucket, each.name)
                if current and current.generation == each.generation:
                    unused.extend(self._displace(current))

        stored = self.put(
            target,
            replace(blob, md5=None),
            attributes,
            components=components,
            alongside=remove_sources if delete_sources else None,
        )
        self.blobs.release(*unused)
        return stored

    def _hold(
        self, ref: Ref, take: Callable[[str], Held], *, reading: bool = False
    ) -> tuple[StoredObject, Held]:
        """Takes hold of an object's bytes, again where it is overwritten between row and file."""
        before: StoredObject | None = None
        while True:
            stored = self._require(ref)
            ref.conditions.check(stored.generation, stored.metageneration, reading=reading)
            try:
                if not self.blobs.is_whole(stored.blob):
                    raise _damaged(ref)
                return stored, take(stored.blob.id)
            except FileNotFoundError as error:
                if before and before.blob == stored.blob:
                    raise _damaged(ref) from error
                before = stored

    def _require(self, ref: Ref) -> StoredObject:
        stored = None if ref.soft_deleted else self._rows.find(ref.bucket, ref.name)
        if ref.generation is not None and (stored is None or stored.generation != ref.generation):
            stored = self._rows.find_past(
                ref.bucket, ref.name, ref.generation, soft_deleted=ref.soft_deleted
            )
        if stored is None:
            self.buckets.get(ref.bucket)
            raise errors.not_found(f"No such object: {ref.bucket}/{ref.name}")
        return stored

    def _check_target(self, target: Ref) -> StoredObject | None:
        self.buckets.get(target.bucket)
        current = self._rows.find(target.bucket, target.name)
        target.conditions.check(
            current.generation if current else 0, current.metageneration if current else 0
        )
        return current

    def _displace(self, stored: StoredObject | None, *, for_good: bool = False) -> list[str]:
        """Takes an object out of the way, as its bucket has it; returns the blobs to release.

        Args:
            stored: what is to go; None where there is nothing.
            for_good: keep no noncurrent version; it may still be soft-deleted.
        """
        if stored is None:
            return []
        settings = self.buckets.get(stored.bucket).attributes
        self._rows.delete(stored)
        now = microseconds()
        if settings.get("versioning", {}).get("enabled") and stored.is_live and not for_good:
            self._rows.keep(replace(stored, deleted=now))
            return []
        seconds = int(settings.get("softDeletePolicy", {}).get("retentionDurationSeconds", 0))
        if seconds and stored.soft_deleted is None:
            until = now + seconds * 1_000_000
            self._rows.keep(replace(stored, soft_deleted=now, hard_delete=until))
            return self._rows.expire()
        return [stored.blob.id]

    def _defaults(self, bucket: str) -> dict[str, Any]:
        settings = self.buckets.get(bucket).attributes
        return {"storageClass": settings.get("storageClass", "STANDARD")}


def _damaged(ref: Ref) -> errors.ApiError:
    # No 5xx: clients would ask again for minutes.
    return errors.failed_precondition(
        f"The bytes of gs://{ref.bucket}/{ref.name} are damaged in the emulator's data folder, as"
        " after a power cut; upload the object again or delete it."
    )
