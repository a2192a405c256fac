"""Blob files: the bytes of objects, each written once under a random name and never changed.

A blob becomes part of an object only when a row in the database names it, so a blob needs no
rename and no lock: what a killed process left behind is a file that no row names, and `sweep`
removes it at the next start. Names of objects never become names of files.

A power cut may undo the last changes of the database, and then rows name blobs that others have
replaced. So a blob that a row has named is `release`d, not removed: its file goes once the change
is on the disk itself.
"""

import base64
import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import google_crc32c

from vertex_emulator.disk import reporting_full_disk

CHUNK = 1 << 20  # bytes read or written at a time: one visit to the thread pool each

HELD_BLOBS, HELD_BYTES = 64, 64 << 20  # released blobs that may wait for their removal


@dataclass(frozen=True, slots=True)
class Blob:
    """A finished blob.

    Attributes:
        id: its name among the blobs.
        size: bytes.
        md5: MD5 of the content in base64, or None where Cloud Storage keeps none (objects put
            together from others).
        crc32c: CRC-32C of the content, big-endian, in base64.
    """

    id: str
    size: int
    md5: str | None
    crc32c: str


class Hashes:
    """The running MD5 and CRC-32C of a blob, in Cloud Storage's base64 notation."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = google_crc32c.Checksum()

    def update(self, data: bytes) -> None:
        """Takes the next bytes in."""
        self._md5.update(data)
        self._crc32c.update(data)

    @property
    def md5(self) -> str:
        """MD5 of the bytes so far."""
        return base64.b64encode(self._md5.digest()).decode()

    @property
    def crc32c(self) -> str:
        """CRC-32C of the bytes so far."""
        return base64.b64encode(self._crc32c.digest()).decode()


class BlobWriter:
    """A blob in the making; removed again unless `finish` was reached.

    Use as a context manager.
    """

    def __init__(self, blob_id: str, path: Path) -> None:
        self._id = blob_id
        self._path = path
        self._hashes = Hashes()
        self._size = 0
        self._finished = False
        with reporting_full_disk():
            self._file = path.open("xb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._finished:
            with suppress(OSError):  # a full disk refuses the last flush too
                self._file.close()
            self._path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Appends bytes.

        Raises:
            ApiError: 507 when the disk is full.
        """
        self._hashes.update(data)
        self._size += len(data)
        with reporting_full_disk():
            self._file.write(data)

    def write_from(self, source: BinaryIO) -> None:
        """Appends all that a file has left, chunk by chunk."""
        while data := source.read(CHUNK):
            self.write(data)

    def finish(self) -> Blob:
        """Closes the file; from here on the caller owns the blob."""
        with reporting_full_disk():
            self._file.close()
        self._finished = True
        return Blob(self._id, self._size, self._hashes.md5, self._hashes.crc32c)


class Blobs:
    """The folder of blob files, spread over 256 subfolders.

    Args:
        folder: made when missing.
        sync: returns once all changes of the database are on the disk itself.
    """

    def __init__(self, folder: Path, sync: Callable[[], None]) -> None:
        self._folder = folder
        self._sync = sync
        self._releasing = threading.Lock()
        self._released: dict[str, int] = {}  # bytes by id
        for shard in range(256):
            (folder / f"{shard:02x}").mkdir(parents=True, exist_ok=True)

    def path(self, blob_id: str) -> Path:
        """Returns where the blob lies."""
        return self._folder / blob_id[:2] / blob_id

    def new_id(self) -> str:
        """Returns a name that no blob has."""
        return uuid.uuid4().hex

    def create(self) -> BlobWriter:
        blob_id = self.new_id()
        return BlobWriter(blob_id, self.path(blob_id))

    def open(self, blob_id: str) -> BufferedReader:
        """Opens a blob for reading.

        Raises:
            FileNotFoundError: no such blob; it may just have been replaced.
        """
        return self.path(blob_id).open("rb")

    def duplicate(self, blob_id: str) -> str:
        """Returns a second name for the same bytes: a hard link, or a copy where links fail.

        Raises:
            FileNotFoundError: no such blob; it may just have been replaced.
            ApiError: 507 when the disk is full.
        """
        twin = self.new_id()
        with reporting_full_disk():
            try:
                os.link(self.path(blob_id), self.path(twin))
            except FileNotFoundError:
                raise
            except OSError:
                shutil.copyfile(self.path(blob_id), self.path(twin))
        return twin

    def measure(self, blob_id: str) -> Blob:
        """Hashes a blob that was written piece by piece."""
        hashes, size = Hashes(), 0
        with self.open(blob_id) as file:
            while data := file.read(CHUNK):
                hashes.update(data)
                size += len(data)
        return Blob(blob_id, size, hashes.md5, hashes.crc32c)

    def discard(self, blob_id: str) -> None:
        """Removes a blob that no row has named."""
        _remove(self.path(blob_id))

    def release(self, *blob_ids: str) -> None:
        """Removes blobs that no row names any more, once a power cut cannot bring the rows back.

        Up to `HELD_BLOBS` files, `HELD_BYTES` in all, wait for the next call or the next `sweep`:
        one sync serves them all.
        """
        with self._releasing:
            for blob_id in blob_ids:
                with suppress(FileNotFoundError):
                    self._released[blob_id] = self.path(blob_id).stat().st_size
            if len(self._released) < HELD_BLOBS and sum(self._released.values()) < HELD_BYTES:
                return
            self._sync()
            for blob_id in self._released:
                _remove(self.path(blob_id))
            self._released.clear()

    def is_whole(self, blob: Blob) -> bool:
        """Whether the file holds as many bytes as it should.

        Raises:
            FileNotFoundError: no such blob; it may just have been replaced.
        """
        return self.path(blob.id).stat().st_size == blob.size

    def sweep(self, keep: Mapping[str, int | None]) -> set[str]:
        """Removes every file but the blobs named.

        Args:
            keep: how many bytes each blob has; None where it still grows.

        Returns:
            The blobs that are not there with these bytes.
        """
        self._sync()
        found = {}
        for path in self._folder.glob("??/*"):
            if path.name in keep:
                found[path.name] = path.stat().st_size
            else:
                _remove(path)
        return {
            blob_id
            for blob_id, size in keep.items()
            if blob_id not in found or size not in (None, found[blob_id])
        }


def _remove(path: Path) -> None:
    # Readers that have the file open keep it; Windows leaves it to the next `sweep`.
    with suppress(FileNotFoundError, PermissionError):
        path.unlink()
