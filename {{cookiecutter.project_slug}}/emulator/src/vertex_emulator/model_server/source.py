"""Where the model comes from: a local folder or gs://.

It lies in a numbered folder a version, or by itself, as Google's prebuilt images expect it.
"""

import stat
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from vertex_emulator.model_server.errors import StartError
from vertex_emulator.uris import split_uri

_FILE = "saved_model.pb"


def find(base: str, stack: ExitStack) -> Path:
    """Returns the local folder of the highest version under `base`.

    Args:
        base: a folder or gs:// URI that holds `1/saved_model.pb`, as TensorFlow Serving's
            `--model_base_path` does.
        stack: keeps the download of a gs:// URI until it is closed.

    Raises:
        StartError: there is no such folder, or no version in it.
    """
    if base.startswith("gs://"):
        return _download(base, stack, lambda names: _highest_of(base, names))
    folder = Path(base)
    if not folder.is_dir():
        raise StartError(
            f"The model folder {base} does not exist; give the folder above 1/{_FILE}."
        )
    try:
        names = [path.name for path in folder.iterdir() if _is_file(path / _FILE)]
        return folder / _highest(base, names, bare=_is_file(folder / _FILE))
    except OSError as error:
        raise StartError(
            f"The model folder {base} cannot be read: {error.strerror}: {error.filename}."
        ) from None


def find_files(base: str, stack: ExitStack) -> Path:
    """Returns the local folder with all that is under `base`.

    Args:
        base: a folder or gs:// URI.
        stack: keeps the download of a gs:// URI until it is closed.

    Raises:
        StartError: there is no such folder, or it cannot be read.
    """
    if base.startswith("gs://"):
        return _download(base, stack, lambda _names: "")
    if not Path(base).is_dir():
        raise StartError(f"The model folder {base} does not exist.")
    return Path(base)


def check_saved_model(folder: Path, base: str) -> None:
    """Refuses a folder that is no SavedModel itself.

    Args:
        folder: on disk.
        base: what the person calls it.

    Raises:
        StartError: as the prebuilt image of TensorFlow refuses it.
    """
    if not (folder / _FILE).is_file():
        raise StartError(
            f"{base} contains no {_FILE}; a prebuilt image of TensorFlow expects the SavedModel"
            " itself there, and no numbered folder above it."
        )


def _is_file(path: Path) -> bool:
    """Whether a file is there. Raises OSError where nobody may look, which Path leaves out."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _highest(base: str, names: list[str], *, bare: bool) -> str:
    versions = [name for name in names if name.isascii() and name.isdigit()]
    if versions:
        return max(versions, key=int)
    if bare:
        raise StartError(
            f"{base} holds {_FILE} itself; put it into a numbered folder, such as {base}/1, as "
            "TensorFlow Serving expects."
        )
    raise StartError(f"{base} contains no SavedModel; expected a version in it, such as 1/{_FILE}.")


def _highest_of(base: str, names: list[str]) -> str:
    """Returns the highest version that files of these names are of."""
    files = [path for path in map(PurePosixPath, names) if path.name == _FILE]
    versions = [str(path.parent) for path in files if len(path.parts) == 2]
    return _highest(base, versions, bare=_FILE in names)


def _download(base: str, stack: ExitStack, choose: Callable[[list[str]], str]) -> Path:
    """Returns a local copy of a folder of `base`.

    Args:
        base: a gs:// URI.
        stack: keeps the copy until it is closed.
        choose: returns the folder, "" for all; takes the names of the objects below `base`.
    """
    # Beside local folders only; it costs a second to import.
    import requests
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import storage

    bucket_name, prefix = split_uri(base)
    prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
    try:
        bucket = storage.Client().bucket(bucket_name)
        blobs = {blob.name.removeprefix(prefix): blob for blob in bucket.list_blobs(prefix=prefix)}
        folder = choose(list(blobs))
        target = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="model-server-")))
        for name, blob in blobs.items():
            parts = PurePosixPath(name).parts
            # TensorFlow and consoles make empty objects that stand for folders.
            if name.endswith("/") or not name or (folder and parts[:1] != (folder,)):
                continue
            path = target.joinpath(*parts)
            if ".." in parts or not path.is_relative_to(target):
                raise StartError(
                    f"The object {name} under {base} has a name that points outside its folder."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            blob.download_to_filename(str(path))
    except (exceptions.GoogleAPIError, GoogleAuthError, requests.RequestException) as error:
        raise StartError(f"The model at {base} cannot be read: {error}") from None
    return target / folder
