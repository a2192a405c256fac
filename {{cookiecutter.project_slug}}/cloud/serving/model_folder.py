"""Where a job left its SavedModel: in a numbered folder, as TensorFlow Serving wants it."""

import re
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import say, step
from cloud.errors import UserError

SAVED_MODEL = "saved_model.pb"
CARD = "model_card.html"  # as the trainer writes it beside its SavedModel
VERSION = "1"


def of_job(client: Client, job: Any) -> str:
    """Returns the URI of the folder that holds a job's SavedModel, in a numbered one.

    Raises:
        UserError: there is no SavedModel in it.
    """
    folder = lookup.model_folder(job)
    if not folder or (not _numbers(client, folder) and not _give_number(client, folder)):
        raise UserError(
            f"There is no SavedModel at {folder}/{VERSION}; {job.display_name} is"
            f" {lookup.state(job)}. Name a job that succeeded; 'nox -s jobs' lists them."
        )
    return folder


def saved_model_of(client: Client, folder: str) -> str:
    """Returns the URI of the saved_model.pb that a server takes: that of the highest number.

    Raises:
        UserError: there is none.
    """
    numbers = _numbers(client, folder)
    if not numbers:
        raise UserError(f"There is no SavedModel at {folder}/{VERSION}; train again.")
    return f"{folder}/{max(numbers, key=int)}/{SAVED_MODEL}"


def _numbers(client: Client, folder: str) -> list[str]:
    """Returns the numbered folders that have a SavedModel."""
    place = client.blob(f"{folder}/*/{SAVED_MODEL}")
    blobs = client.storage.list_blobs(place.bucket, match_glob=place.name)
    names = [blob.name.split("/")[-2] for blob in blobs]
    return [name for name in names if re.fullmatch("[0-9]+", name)]


def _give_number(client: Client, folder: str) -> bool:
    """Copies a SavedModel that lies in the folder itself to the numbered one; whether one did."""
    if not client.blob(f"{folder}/{SAVED_MODEL}").exists():
        return False
    parent = client.blob(f"{folder}/{SAVED_MODEL}")
    prefix = parent.name.removesuffix(SAVED_MODEL)
    with step(f"Copying the SavedModel to {folder}/{VERSION}"):
        blobs = list(client.storage.list_blobs(parent.bucket, prefix=prefix))
        # What makes the others a SavedModel comes last.
        for blob in sorted(blobs, key=lambda each: each.name == parent.name):
            name = f"{prefix}{VERSION}/{blob.name.removeprefix(prefix)}"
            parent.bucket.copy_blob(blob, parent.bucket, name)
    say(
        f"The trainer saved its model to {folder}; TensorFlow Serving wants a number below that, so"
        f" it was copied to {folder}/{VERSION}.",
        "yellow",
    )
    return True
