"""Cloud Storage, by Google's own client: URIs, objects to read, and what its failures mean."""

import functools
import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from trainer.errors import UserError

UNKNOWN = "application/octet-stream"
# Python's own list without the machine's, so that it is the same everywhere.
_TYPES = mimetypes.MimeTypes()
for _ending, _type in {
    ".keras": "application/zip",
    ".npz": "application/zip",
    ".pb": "application/x-protobuf",
}.items():
    _TYPES.add_type(_type, _ending)

ATTEMPT = 20.0  # seconds after which a request that fails is given up


def is_uri(path: str) -> bool:
    """Whether it is in Cloud Storage."""
    return path.startswith("gs://")


def split(uri: str) -> tuple[str, str]:
    """Returns an object's bucket and name, or a folder's bucket and path, without end slashes."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name.strip("/")


def content_type(name: str) -> str:
    """Returns the media type of an object that a training writes, by the end of its name."""
    kind, packing = _TYPES.guess_type(name.rpartition("/")[2])
    return kind if kind and packing is None else UNKNOWN


def find(pattern: str) -> list[str]:
    """Returns the objects that a pattern names; `**` stands for any part of a name.

    Source: https://cloud.google.com/storage/docs/json_api/v1/objects/list (matchGlob).

    Raises:
        UserError: the bucket is not there or cannot be read.
    """
    bucket, match_glob = split(pattern)
    with readable(pattern):
        blobs = client().list_blobs(bucket, match_glob=match_glob, retry=retry())
        return [f"gs://{bucket}/{blob.name}" for blob in blobs]


@contextmanager
def opened(uri: str) -> Iterator[BinaryIO]:
    """Opens an object to be read as a stream.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    bucket, name = split(uri)
    with (
        readable(uri),
        client().bucket(bucket).blob(name).open("rb", retry=retry(), raw_download=True) as file,
    ):
        yield file


@functools.cache
def client() -> Any:
    """Returns Google's client, of the emulator where `STORAGE_EMULATOR_HOST` names one."""
    # Costs half a second to import, which training on local files need not pay.
    from google.cloud import storage

    return storage.Client()


def retry() -> Any:
    """Returns how a request is tried again."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(ATTEMPT)


def failures() -> tuple[type[Exception], ...]:
    """Returns what Cloud Storage's client raises when a request fails."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
    from requests.exceptions import RequestException

    return GoogleAPIError, GoogleAuthError, DataCorruption, InvalidResponse, RequestException


def is_final(error: Exception) -> bool:
    """Whether asking again is no use, as it is after most HTTP statuses 4xx."""
    code = getattr(error, "code", None)
    return isinstance(code, int) and 400 <= code < 500 and code not in (408, 429)


def first_line(error: Exception) -> str:
    """Returns the first line of a message, or the error's name where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def readable(uri: str) -> Iterator[None]:
    """Turns a failed request into one sentence.

    Raises:
        UserError: Cloud Storage refuses, or cannot be reached.
    """
    try:
        yield
    except failures() as error:
        if getattr(error, "code", None) == 404:
            raise UserError(f"{uri}: there is no such object or bucket; check the URI.") from error
        raise UserError(
            f"{uri}: cannot be read ({first_line(error)}); check the permissions, the credentials"
            " and the network."
        ) from error
