"""Files of data, local or in Cloud Storage: found by a pattern, read as a stream with its hash."""

import glob
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from table_schema import values
from trainer import storage
from trainer.errors import UserError

CHUNK = 8 << 20  # bytes


GZIP = b"\x1f\x8b"


class File:
    """What is left of an open file, decompressed where it is gzip by its first bytes."""

    def __init__(self, name: str, raw: BinaryIO) -> None:
        """Begins to read."""
        self.name = name
        self.digest = hashlib.sha256()  # of the bytes as they are stored
        self._raw = raw
        self._stored = raw.read(len(GZIP))  # seen, and not read yet
        self._peeked = b""  # decompressed, seen, and not read yet
        stored: Any = self
        is_gzip = self._stored == GZIP
        self._stream = gzip.GzipFile(fileobj=stored) if is_gzip else None

    def peek(self, size: int) -> bytes:
        """Returns the first bytes of the contents, fewer of a short file.

        Raises:
            UserError: it begins as gzip and is no whole gzip file.
        """
        while len(self._peeked) < size and (more := self._read(size - len(self._peeked))):
            self._peeked += more
        return self._peeked[:size]

    def chunks(self) -> Iterator[bytes]:
        """Gives the contents in pieces.

        Raises:
            UserError: it begins as gzip and is no whole gzip file.
        """
        peeked, self._peeked = self._peeked, b""
        if peeked:
            yield peeked
        while chunk := self._read(CHUNK):
            yield chunk

    def check_readable(self, begin: bytes) -> None:
        """Raises UserError where the first bytes of the contents are of a kind that is not read."""
        if kind := values.other_kind(begin):
            raise UserError(
                f"{self.name}: expected CSV in UTF-8 or TFRecords, plain or gzip, got {kind};"
                " convert it."
            )

    def read(self, size: int = -1) -> bytes:
        end = len(self._stored) if size < 0 else size
        content, self._stored = self._stored[:end], self._stored[end:]
        if size < 0 or len(content) < size:
            content += self._raw.read(-1 if size < 0 else size - len(content))
        self.digest.update(content)
        return content

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size) if self._stream else self.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(
                f"{self.name}: expected a whole gzip file ({error}); write it again."
            ) from error


def find(pattern: str) -> list[str]:
    """Returns the files that a pattern names, in the order of their names.

    Raises:
        UserError: there is none.
    """
    in_bucket = storage.is_uri(pattern)
    if not glob.has_magic(pattern) or (not in_bucket and Path(pattern).is_file()):
        return [pattern]
    if in_bucket:
        found = storage.find(pattern)
    else:
        names = glob.glob(pattern, recursive=True)  # noqa: PTH207 - pathlib's takes no absolute ones
        found = [name for name in names if Path(name).is_file()]
    if not found:
        raise UserError(f"{pattern}: expected files of such names, found none; check the pattern.")
    return sorted(found)


@contextmanager
def opened(name: str) -> Iterator[File]:
    """Opens a file, local or gs://.

    Raises:
        UserError: there is none, or it cannot be read to its end.
    """
    with ExitStack() as stack:
        if storage.is_uri(name):
            raw = stack.enter_context(storage.opened(name))
        else:
            try:
                raw = stack.enter_context(Path(name).open("rb"))
            except OSError as error:
                raise UserError(
                    f"{name}: cannot be read ({error.strerror}); check the path."
                ) from error
        yield File(name, raw)
