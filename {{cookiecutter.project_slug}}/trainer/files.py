"""Files that are written whole: they appear under their names once nothing of them is missing."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# How a write fails for want of room: a full disk, a quota, a limit of a file's size.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
