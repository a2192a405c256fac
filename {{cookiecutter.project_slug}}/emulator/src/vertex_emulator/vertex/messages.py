"""Google's own message definitions check and normalise what goes over the wire.

`google.cloud.aiplatform_v1` carries the protocol buffers of the API, and protobuf's JSON mapping
is the one Google's servers use (https://protobuf.dev/programming-guides/json): fields in camel or
snake case, enums as names or numbers, int64 as strings, timestamps in RFC 3339.
"""

import importlib
import re
from typing import Any

from google.cloud import aiplatform_v1
from google.protobuf import json_format

from vertex_emulator.errors import invalid_argument
from vertex_emulator.field_masks import Path
from vertex_emulator.names import camel
from vertex_emulator.requests import kind_of


def normalise(message: str, body: Any, api: str = "v1") -> dict[str, Any]:
    """Reads a request body as a message of the API.

    Args:
        message: the message's name in `google.cloud.aiplatform.v1`, such as `CustomJob`.
        body: the decoded JSON.
        api: whose message it is; `v1beta1` has fields that `v1` has not, and takes a second to
            import.

    Returns:
        The same document with camel-case names, enum names and int64 strings.

    Raises:
        ApiError: 400 INVALID_ARGUMENT where the body is no such message; the message names the
            field.
    """
    if not isinstance(body, dict):
        raise invalid_argument(f"{message}: expected a JSON object, got {kind_of(body)}")
    name = f"google.cloud.aiplatform_{api}"
    messages = aiplatform_v1 if api == "v1" else importlib.import_module(name)
    target = getattr(messages, message).pb()()
    try:
        json_format.ParseDict(body, target)
    except json_format.ParseError as error:
        problem = re.sub(r"\s*Available Fields.*", "", str(error), flags=re.DOTALL)
        raise invalid_argument(f"Invalid {message}: {problem}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise invalid_argument(f"Invalid {message}: {error}") from error
    document: dict[str, Any] = json_format.MessageToDict(target)
    return document


def read_mask(message: str, mask: str) -> list[Path]:
    """Reads a `readMask`, whose paths may be in camel or snake case.

    Args:
        message: that the paths go through, such as `CustomJob`.
        mask: paths between commas, such as `name,jobSpec.scheduling`; `*` stands for all.

    Returns:
        The paths, in camel case.

    Raises:
        ApiError: 400 INVALID_ARGUMENT for a path that the message does not have.
    """
    if mask == "*":
        return [["*"]]
    paths = []
    for path in mask.split(","):
        parts = camel(path.strip()).split(".")
        descriptor = getattr(aiplatform_v1, message).pb().DESCRIPTOR
        for part in parts:
            field = descriptor and descriptor.fields_by_camelcase_name.get(part)
            if field is None:
                raise invalid_argument(f"readMask: expected fields of {message}, got {path!r}.")
            descriptor = None if field.is_repeated else field.message_type
        paths.append(parts)
    return paths
