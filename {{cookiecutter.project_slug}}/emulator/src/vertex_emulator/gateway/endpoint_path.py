"""The path of a prediction: the one place that knows how an endpoint's address is written.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/predict
and `…/rawPredict` of the same collection. `/v1beta1/` (the gcloud CLI) and `/ui/` (the SDK) are the
same as `/v1/`.
"""

import re
from typing import NamedTuple

API = "v1|v1beta1|ui"
PART = r"[^/:?#%\x00-\x20]+"
ENDPOINT = rf"projects/{PART}/locations/{PART}/endpoints/{PART}"
METHOD = "predict|rawPredict"

_TARGET = re.compile(rf"/(?:{API})/({ENDPOINT}):({METHOD})(?:\?.*)?", re.DOTALL)
_FIRST_LINE = re.compile(
    rf"POST /(?:{API})/{ENDPOINT}:(?:{METHOD})(?:\?[^ \r\n]*)? HTTP/1\.[01]\r?\n".encode()
)


class Target(NamedTuple):
    """What a prediction's path names.

    Attributes:
        endpoint: resource name.
        raw: whether the container's own answer is asked for (`:rawPredict`).
    """

    endpoint: str
    raw: bool


def parse(path: str) -> Target | None:
    """Reads the path of a request, with its query; None where it is no prediction's."""
    found = _TARGET.fullmatch(path)
    return found and Target(found[1], found[2] == "rawPredict")


def begins_prediction(data: bytes) -> bool:
    """Whether bytes from a client begin with the first line of a prediction."""
    return _FIRST_LINE.match(data) is not None
