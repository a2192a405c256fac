"""Folders in Cloud Storage: training works in local scratch folders, which are mirrored live.

TensorFlow writes to gs:// by itself, but only to Google's own address, and the mount under /gcs
shows a file only once it is closed. This way is the same on Google Cloud and on an emulator.
"""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Self

from trainer import console, storage
from trainer.errors import UserError

# Vertex AI sets these in every job that has a base output directory. Source:
# https://cloud.google.com/vertex-ai/docs/training/code-requirements.
FOLDERS = {
    "model_dir": "AIP_MODEL_DIR",
    "checkpoint_dir": "AIP_CHECKPOINT_DIR",
    "log_dir": "AIP_TENSORBOARD_LOG_DIR",
}
# These make other files whole: they are read before the others and uploaded after them.
COMMITS = {"checkpoint.json", "saved_model.pb"}
INTERVAL = 1.0  # seconds from one look at the folders to the next
PATIENCE = 180.0  # seconds of failures after which the last upload is given up


@dataclass(frozen=True)
class Folders:
    """Where to write on this machine."""

    model: Path
    checkpoints: Path
    logs: Path
    scratch: Path


@contextmanager
def local_folders(uris: Mapping[str, str], writes: bool) -> Iterator[Folders]:
    """Gives local folders for those of a training, with the checkpoints that are there already.

    Args:
        uris: `model_dir`, `checkpoint_dir` and `log_dir`, each local or gs://.
        writes: whether this worker writes; what the others write is thrown away.

    Raises:
        UserError: Cloud Storage refuses, or does not take what was written.
    """
    with ExitStack() as stack:
        scratch = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="trainer-", ignore_cleanup_errors=True)
            )
        )
        paths = {name: scratch / name for name in uris}
        mirrored = {paths[name]: uri for name, uri in uris.items() if storage.is_uri(uri)}
        for name, uri in uris.items():
            if not storage.is_uri(uri) and (writes or name == "checkpoint_dir"):
                paths[name] = Path(uri)
            paths[name].mkdir(parents=True, exist_ok=True)
        if mirrored:
            mirror = Mirror(mirrored)
            if paths["checkpoint_dir"] in mirrored:
                mirror.download(paths["checkpoint_dir"])
            if writes:
                stack.enter_context(mirror)
        yield Folders(paths["model_dir"], paths["checkpoint_dir"], paths["log_dir"], scratch)


class Mirror:
    """Copies what changes in local folders to Cloud Storage, from a thread of its own.

    What it uploads is always whole: a file that is named in a commit is there before the commit
    is, and a file that grows, as TensorBoard's do, is uploaded at the size that was seen. Names
    that begin with a dot are unfinished and stay here.
    """

    def __init__(self, folders: Mapping[Path, str]) -> None:
        """Takes the URI of each folder; nothing happens until it is entered."""
        self._folders = folders
        self._seen: dict[Path, tuple[int, int]] = {}  # size and time of each file uploaded
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mirror", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._closing.set()
        self._thread.join()
        try:
            self._flush()
        except UserError as failure:
            if error is None:
                raise
            console.say(str(failure), severity="WARNING")

    def download(self, folder: Path) -> None:
        """Brings a folder's objects here.

        Raises:
            UserError: the bucket is not there or cannot be read.
        """
        bucket, prefix = _prefix(self._folders[folder])
        with storage.readable(self._folders[folder]):
            for blob in storage.client().list_blobs(bucket, prefix=prefix, retry=storage.retry()):
                name = PurePosixPath(blob.name[len(prefix) :])
                if blob.name.endswith("/") or ".." in name.parts:
                    continue
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                blob.download_to_filename(path, retry=storage.retry())
                self._seen[path] = _state(path.stat())

    def sweep(self) -> None:
        """Uploads what changed since the last time, and removes what was removed here."""
        # What is gone before the commits are read is not named in them.
        gone = [path for path in self._seen if not path.exists()]
        with ExitStack() as stack:
            commits = self._open(stack, commits=True)
            others = self._open(stack, commits=False)
            for path, file in (others | commits).items():
                state = _state(os.fstat(file.fileno()))
                self._blob(path).upload_from_file(
                    file,
                    size=state[0],
                    content_type=storage.content_type(path.name),
                    retry=storage.retry(),
                )
                self._seen[path] = state
        for path in gone:
            _delete(self._blob(path))
            del self._seen[path]

    def _open(self, stack: ExitStack, commits: bool) -> dict[Path, BinaryIO]:
        """Opens the files that changed, so that they are there even if training removes them."""
        found: dict[Path, BinaryIO] = {}
        for folder in self._folders:
            for path in folder.rglob("*"):
                hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
                if hidden or (path.name in COMMITS) != commits or not path.is_file():
                    continue
                if _state(path.stat()) != self._seen.get(path):
                    found[path] = stack.enter_context(path.open("rb"))
        return found

    def _blob(self, path: Path) -> Any:
        [folder] = [folder for folder in self._folders if path.is_relative_to(folder)]
        bucket, prefix = _prefix(self._folders[folder])
        return storage.client().bucket(bucket).blob(prefix + path.relative_to(folder).as_posix())

    def _watch(self) -> None:
        """Sweeps again and again; a failure is said once, until a sweep succeeds."""
        failing = False
        while not self._closing.wait(INTERVAL):
            try:
                self.sweep()
                failing = False
            except FileNotFoundError:
                continue  # removed between two looks at it: the next sweep sees the newer files
            except storage.failures() as error:
                if not failing:
                    console.say(
                        f"Not uploaded yet, trying again: {storage.first_line(error)}",
                        severity="WARNING",
                    )
                failing = True

    def _flush(self) -> None:
        """Uploads the rest.

        Raises:
            UserError: it does not succeed.
        """
        begun = time.monotonic()
        while True:
            try:
                return self.sweep()
            except storage.failures() as error:
                if storage.is_final(error) or time.monotonic() - begun > PATIENCE:
                    uris = ", ".join(self._folders.values())
                    raise UserError(
                        f"{uris}: cannot be written ({storage.first_line(error)}); check the bucket"
                        " and the permissions, and start again to continue from the last"
                        " checkpoint."
                    ) from error
                time.sleep(INTERVAL)


def _prefix(uri: str) -> tuple[str, str]:
    """Returns a folder's bucket and the prefix of its objects, which ends with a slash or is ''."""
    bucket, name = storage.split(uri)
    return bucket, f"{name}/" if name else ""


def _delete(blob: Any) -> None:
    from google.api_core.exceptions import NotFound

    with contextlib.suppress(NotFound):  # an attempt before this one has removed it
        blob.delete(retry=storage.retry())


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
