"""A file's contents, unpacked: gzip, xz, or a zip of one file."""

import gzip
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cloud.errors import UserError

SUFFIXES = (".gz", ".zip", ".xz")


def plain_suffix(path: Path) -> str:
    """Returns the end of a file's name, without that of its packing."""
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() if suffix in SUFFIXES else suffix


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Opens a file's contents, unpacked where it is gzip, xz, or a zip of one file.

    Raises:
        UserError: a zip holds several files, or none.
    """
    with ExitStack() as stack:
        raw: Any = stack.enter_context(path.open("rb"))
        begin = raw.peek(4)
        if begin.startswith(b"\x1f\x8b"):
            raw = stack.enter_context(gzip.open(raw))
        elif begin.startswith(b"\xfd7zXZ"):
            raw = stack.enter_context(lzma.open(raw))
        elif begin.startswith(b"PK"):
            archive = stack.enter_context(zipfile.ZipFile(raw))
            names = [
                each.filename
                for each in archive.infolist()
                if not each.is_dir() and not each.filename.startswith("__MACOSX")
            ]
            if len(names) != 1:
                raise UserError(
                    f"{path}: expected a zip of one file, got {len(names)}: unpack it, and give"
                    " the files or their folder."
                )
            raw = stack.enter_context(archive.open(names[0]))
        try:
            yield raw
        except (gzip.BadGzipFile, EOFError, zipfile.BadZipFile, lzma.LZMAError) as error:
            raise UserError(f"{path}: cannot be unpacked ({error}); copy it again.") from error
