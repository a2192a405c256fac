"""How good a model is, where its job wrote that beside it.

No API of Google's names a place for scores. Read here are the numbers of `evaluation.json`, or of
`metrics.json`, in the folder that `AIP_MODEL_DIR` names: those of its field `test`, `metrics` or
`scores` where it has one, else those at the top.
"""

from functools import lru_cache
from typing import Any

import orjson

from vertex_emulator.object_store.objects import Objects, Ref
from vertex_emulator.state.documents import Document
from vertex_emulator.uris import split_uri

FILES = ("evaluation.json", "metrics.json")
FIELDS = ("test", "metrics", "scores")
MOST_BYTES = 4 * 1024 * 1024

Scores = dict[str, float]


def of_job(objects: Objects, job: Document) -> Scores:
    """Returns the scores of a job that has ended; nothing where it left none."""
    base = job["jobSpec"].get("baseOutputDirectory", {}).get("outputUriPrefix", "")
    if not base or job["state"] != "JOB_STATE_SUCCEEDED":
        return {}
    return of_folder(objects, f"{base.rstrip('/')}/model")


def of_folder(objects: Objects, uri: str) -> Scores:
    """Returns the scores of the model in a folder."""
    bucket, prefix = split_uri(uri.rstrip("/"))
    for file in FILES:
        stored = objects.find(bucket, f"{prefix}/{file}")
        if stored is not None and stored.size <= MOST_BYTES:
            return _of_object(objects, Ref(bucket, stored.name, stored.generation))
    return {}


@lru_cache(4096)  # an object of a generation does not change
def _of_object(objects: Objects, ref: Ref) -> Scores:
    try:
        _stored, file = objects.open(ref)
        with file:
            document = orjson.loads(file.read())
    except (ValueError, OSError):
        return {}
    if not isinstance(document, dict):
        return {}
    for field in FIELDS:
        found = numbers(document.get(field))
        if found:
            return found
    return numbers(document)


def numbers(value: Any) -> Scores:
    """Returns the fields of an object that are numbers."""
    if not isinstance(value, dict):
        return {}
    return {
        name: float(each)
        for name, each in value.items()
        if isinstance(each, int | float) and not isinstance(each, bool)
    }
