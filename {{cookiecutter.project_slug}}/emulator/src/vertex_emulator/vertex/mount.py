"""`/gcs/BUCKET` of a job: the bucket as a folder.

On Google Cloud the folder is the bucket itself through Cloud Storage FUSE. Here it is a folder on
disk, filled before the job starts and made objects of when it ends; a command's words and variables
name it as there.

Source: https://cloud.google.com/vertex-ai/docs/training/cloud-storage-file-system
"""

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from vertex_emulator.errors import ApiError
from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.processes.supervisor import write_json

BUCKET = r"[a-z0-9][a-z0-9._-]*"
# A path begins a word, or follows what no path of its own ends with: --data=/gcs/b/x, a:/gcs/b.
START = r"(?<![\w./-])/gcs/"
IN_A_WORD = re.compile(rf"{START}(?P<bucket>{BUCKET})(?P<path>/(?:(?![,:; ]/gcs/).)*)?", re.DOTALL)
IN_A_SCRIPT = re.compile(rf"{START}(?P<bucket>{BUCKET})(?P<path>/[^\s'\";,|&<>()]*)?")
SHELLS = {"sh", "bash", "dash", "zsh", "ksh"}
SCRIPT_SIGNS = re.compile(r"[\n'\"();]")  # a word with these is code, not a path
GLOB = re.compile(r"[*?\[{]")
RECORD = "copied.json"  # beside the buckets' folders: what came in


class Mount:
    """The buckets of one job as folders.

    Args:
        folder: where `/gcs` stands on disk.
        objects: the objects of Cloud Storage.
    """

    def __init__(self, folder: Path, objects: Objects) -> None:
        self._folder = folder
        self._objects = objects
        # [size, modified in ns] of each file as it came in, by its path below the folder
        self._copied: dict[str, list[int]] = self._read_record()

    def expand(self, text: str) -> str:
        """Replaces `/gcs/BUCKET/…` in a word of a command line by its place on disk.

        A blank, a comma or a colon is a part of the path, as it is for the program.
        """
        pattern = IN_A_SCRIPT if SCRIPT_SIGNS.search(text) else IN_A_WORD
        return self._replaced(pattern, text, lambda path, _before: path)

    def expand_command(self, words: list[str]) -> list[str]:
        """Replaces `/gcs/BUCKET/…` in a command; in a shell's script a place is one word."""
        is_script = len(words) > 2 and Path(words[0]).name in SHELLS and words[1].endswith("c")
        if not is_script or not words[1].startswith("-"):
            return [self.expand(word) for word in words]
        script = self._replaced(IN_A_SCRIPT, words[2], _quoted)
        return [*words[:2], script, *map(self.expand, words[3:])]

    def strays(self, since: float) -> list[Path]:
        """Returns files in the machine's own `/gcs` that are newer than a moment (seconds)."""
        found = []
        for bucket in Path("/gcs").iterdir() if Path("/gcs").is_dir() else ():
            if self._objects.buckets.exists(bucket.name):
                files = [file for file in bucket.rglob("*") if file.is_file()]
                found += [file for file in files if file.stat().st_mtime > since]
        return found

    def publish(self) -> None:
        """Makes objects of the files that the job has written, and deletes those it removed.

        Raises:
            ValueError: a file's name is none that an object may have; nothing is published.
        """
        written = list(self._written())
        for bucket, name, file in written:
            self._objects.write(bucket, name, file)
        for path in [path for path in self._copied if not (self._folder / path).exists()]:
            bucket, _, name = path.partition("/")
            try:
                self._objects.delete(Ref(bucket, name))
            except ApiError as error:
                if error.code != 404:  # it is gone already
                    raise

    def _replaced(
        self, pattern: re.Pattern[str], text: str, write: Callable[[str, str], str]
    ) -> str:
        def place(found: re.Match[str]) -> str:
            bucket, path = found["bucket"], (found["path"] or "")
            if not self._objects.buckets.exists(bucket):
                return found[0]
            self._fetch(bucket, path.lstrip("/"))
            return write((self._folder / bucket).as_posix() + path, text[: found.start()])

        replaced = pattern.sub(place, text)
        if self._copied:
            write_json(self._folder / RECORD, self._copied)
        return replaced

    def _fetch(self, bucket: str, path: str) -> None:
        """Copies in what a path names: a file, all below a folder, or what a glob or prefix may."""
        (self._folder / bucket).mkdir(parents=True, exist_ok=True)
        prefix = GLOB.split(path, maxsplit=1)[0]
        for each in self._objects.walk(bucket):
            target = self._place(bucket, each.name)
            if target is None:
                continue
            # Folders are there as in the bucket, so that a job can write new files into them.
            if each.name.endswith("/"):
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if each.name.startswith(prefix) and not target.exists():
                self._objects.copy_to_file(Ref(bucket, each.name), target)
                self._copied[target.relative_to(self._folder).as_posix()] = _seen(target)

    def _written(self) -> Iterator[tuple[str, str, Path]]:
        """Yields bucket, name and file of what is new or another than when it came in."""
        for bucket in sorted(self._folder.iterdir()) if self._folder.exists() else ():
            if not bucket.is_dir() or not self._objects.buckets.exists(bucket.name):
                continue
            for file in sorted(bucket.rglob("*")):
                if not file.is_file() or file.is_symlink():
                    continue
                path = file.relative_to(self._folder).as_posix()
                if self._copied.get(path) != _seen(file):
                    yield bucket.name, _object_name(file.relative_to(bucket)), file

    def _place(self, bucket: str, name: str) -> Path | None:
        """Where an object stands on disk; None for a name that is no path of a file in there."""
        parts = name.removesuffix("/").split("/")
        forbidden = set("\\:\0") if os.name == "nt" else {"\0"}
        if any(part in ("", ".", "..") or set(part) & forbidden for part in parts):
            return None
        return (self._folder / bucket).joinpath(*parts)

    def _read_record(self) -> dict[str, list[int]]:
        try:
            found: dict[str, list[int]] = json.loads((self._folder / RECORD).read_text())
        except FileNotFoundError:
            return {}
        return found


def _seen(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns]


def _object_name(path: Path) -> str:
    name = path.as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the file name {name!r} under /gcs is not UTF-8") from None
    if "\n" in name or "\r" in name:
        raise ValueError(f"the file name {name!r} under /gcs has a line break")
    return name


def _quoted(path: str, before: str) -> str:
    """Writes a path into a shell's script, as one word, in which a glob stays a glob.

    Args:
        path: on disk.
        before: the script up to there, which says whether it stands in quotes.
    """
    quote = _open_quote(before)
    if quote == "'":
        return path.replace("'", "'\\''")
    if quote == '"':
        return re.sub(r'([$`"\\])', r"\\\1", path)
    return "".join(
        part if GLOB.fullmatch(part) or part in "]}" else shlex.quote(part)
        for part in re.split(r"([*?\[\]{}])", path)
        if part
    )


def _open_quote(script: str) -> str:
    """Returns the quote that is open at a script's end, or ""."""
    quote, escaped = "", False
    for char in script:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif char in "'\"" and not quote:
            quote = char
    return quote
