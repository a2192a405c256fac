"""Files of data, local or in Cloud Storage: found by a pattern, read as a stream with its hash."""

import glob
import gzip
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from trainer import storage
from trainer.errors import UserError

CHUNK = 8 << 20  # bytes


class File:
    """What is left of an open file, decompressed."""

    def __init__(self, name: str, raw: BinaryIO) -> None:
        """Begins to read; a name that ends in .gz is decompressed."""
        self.name = name
        self.digest = hashlib.sha256()  # of the bytes as they are stored
        self._raw = raw
        stored: Any = self
        self._stream = gzip.GzipFile(fileobj=stored) if name.endswith(".gz") else None

    def chunks(self) -> Iterator[bytes]:
        """Gives the contents in pieces.

        Raises:
            UserError: it ends in .gz and is no whole gzip file.
        """
        read = self._stream.read if self._stream else self.read
        try:
            while chunk := read(CHUNK):
                yield chunk
        except (gzip.BadGzipFile, EOFError) as error:
            raise UserError(
                f"{self.name}: expected a whole gzip file ({error}); write it again."
            ) from error

    def read(self, size: int = -1) -> bytes:
        """Reads stored bytes."""
        content = self._raw.read(size)
        self.digest.update(content)
        return content


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
def whole(path: Path) -> Iterator[Path]:
    """Gives a path to write to; the file appears under its own name once it is whole.

    Names that begin with a dot are unfinished: `Mirror` does not upload them.

    Raises:
        OSError: it cannot be written; its `filename` is the file that was meant.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        error.filename = str(path)  # a write that fails for want of room names no file
        unfinished.unlink(missing_ok=True)  # half a file takes up the room that is wanting
        raise


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
