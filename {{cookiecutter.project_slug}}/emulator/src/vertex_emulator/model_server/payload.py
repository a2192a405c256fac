"""TensorFlow Serving's predict documents: what a request asks for, checked and cut into columns.

Source: https://www.tensorflow.org/tfx/serving/api_rest#predict_api
"""

import codecs
import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from vertex_emulator.http.errors import RequestError
from vertex_emulator.model_server.errors import invalid
from vertex_emulator.model_server.model import DEFAULT_SIGNATURE, Signature
from vertex_emulator.model_server.tensors import MismatchError, is_base64, json_type, show

_LONG = 100  # digits; no integer that a model takes has as many


@dataclass(frozen=True, slots=True)
class Question:
    """A predict request, not yet tensors.

    Attributes:
        signature: what to call.
        columns: for each input of the signature in its order, the JSON value of the whole tensor:
            of `instances` a sequence of rows, of `inputs` any value.
        rows: in each of the columns; 0 where they do not have as many, or none.
        columnar: whether it came as `inputs`, not `instances`; the answer takes the same form.
    """

    signature: Signature
    columns: Sequence[Any]
    rows: int
    columnar: bool


def parse(body: bytes, signatures: dict[str, Signature]) -> Question:
    """Reads a predict request.

    Raises:
        RequestError: 400 with the reason, in TensorFlow Serving's words where it has them.
    """
    document = _load(body)
    if type(document) is not dict:
        raise invalid(f'JSON Value: {show(document)} Is not object; send {{"instances": [...]}}')
    signature = _signature(document.get("signature_name", ""), signatures)
    if "instances" in document:
        if "inputs" in document:
            raise invalid(
                "JSON object Not formatted correctly expecting only one of 'inputs' or "
                "'instances' keys to exist"
            )
        instances = document["instances"]
        columns = _columns_of_instances(instances, signature)
        return Question(signature, columns, len(instances), columnar=False)
    if "inputs" in document:
        columns = _columns_of_inputs(document["inputs"], signature)
        return Question(signature, columns, _common_length(columns), columnar=True)
    raise invalid(
        f"Missing 'inputs' or 'instances' key; the request has {_names(document) or 'no key'}"
    )


def explain(question: Question, mismatch: MismatchError) -> RequestError:
    """Says which instance of the request, and which input of it, a value does not fit."""
    place = "" if mismatch.row is None else f" element: {mismatch.row}"
    form = "inputs" if question.columnar else "instances"
    return invalid(
        f"Failed to process{place} key: {mismatch.name} of '{form}' list. Error: {mismatch}"
    )


def _load(body: bytes) -> Any:
    if not body:
        raise invalid(
            'JSON Parse error: The document is empty; send {"instances": [...]} as the body'
        )
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        reason = str(error)
    try:
        text = body.decode()
        if "NaN" in text or "Infinity" in text:
            return _load_with_tokens(text)
    except UnicodeDecodeError as error:
        reason = f"Byte {error.start} is not UTF-8; send text in UTF-8, not compressed"
    except RecursionError:
        reason = "Lists and objects are nested too deep"
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        reason = f"A string has \\u{ord(half):04x} alone, which is half of a character"
    except ValueError as error:
        reason = str(error)
    raise invalid(f"JSON Parse error: {reason}")


def _load_with_tokens(text: str) -> Any:
    """Reads JSON with NaN, Infinity and -Infinity, which TensorFlow Serving takes as well."""
    document = json.loads(text, parse_float=_finite, parse_int=_whole)
    if "\\u" in text:
        json.dumps(document, ensure_ascii=False).encode()  # refuses halves of surrogate pairs
    return document


def _finite(digits: str) -> float:
    """Reads a number; the parser's own way takes 1e999 for Infinity."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:80]} is beyond the largest number, 1.8e308")
    return number


def _whole(digits: str) -> int | float:
    """Reads an integer; Python's own way refuses more than 4,300 digits in words of its own."""
    return int(digits) if len(digits) < _LONG else _finite(digits)


def _signature(name: Any, signatures: dict[str, Signature]) -> Signature:
    if type(name) is not str:
        raise invalid(
            f"JSON Value: {show(name)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    try:
        return signatures[name or DEFAULT_SIGNATURE]
    except KeyError:
        raise invalid(
            f"Serving signature name: {show(name or DEFAULT_SIGNATURE)} not found in signature "
            f"def; this model has {_names(signatures) or 'none that takes inputs'}"
        ) from None


def _columns_of_instances(instances: Any, signature: Signature) -> Sequence[Any]:
    if type(instances) is not list:
        raise invalid(f"JSON Value: {show(instances)} Expecting 'instances' to be a list/array")
    if not instances:
        raise invalid("No values in 'instances' array; send at least one instance")
    if len(signature.inputs) == 1 and not _is_object(instances[0]):
        for index, instance in enumerate(instances):
            if _is_object(instance):
                raise invalid(f"Expecting value/list but got object at item {index} of input list")
        return [instances]
    try:
        rows = list(map(signature.values_of, instances))
    except (KeyError, TypeError):
        raise _misfit(instances, signature) from None
    if set(map(len, instances)) != {len(signature.inputs)}:
        raise _misfit(instances, signature)
    return [rows] if len(signature.inputs) == 1 else list(zip(*rows, strict=True))


def _misfit(instances: list[Any], signature: Signature) -> RequestError:
    """Says which instance is the first without the signature's inputs, or with others."""
    names = set(signature.names)
    index, instance = next(
        (i, each)
        for i, each in enumerate(instances)
        if not _is_object(each) or each.keys() != names
    )
    if not _is_object(instance):
        return invalid(
            f"Failed to process element: {index} of 'instances' list. JSON Value: "
            f"{show(instance)} Type: {json_type(instance)} is not an object with the inputs "
            f"{_names(signature.names)}"
        )
    problem = _key_problem(instance, signature)
    return invalid(f"Failed to process element: {index} of 'instances' list. {problem}")


def _columns_of_inputs(inputs: Any, signature: Signature) -> Sequence[Any]:
    if not _is_object(inputs):
        if len(signature.inputs) == 1:
            return [inputs]
        raise invalid(
            "inputs is a plain value/list, but expecting an object as multiple input tensors "
            f"required as per tensorinfo_map: {_names(signature.names)}; got {show(inputs)}"
        )
    try:
        return [inputs[name] for name in signature.names]  # others are passed over
    except KeyError:
        problem = _key_problem(inputs, signature)
        raise invalid(f"Failed to process 'inputs' object. {problem}") from None


def _common_length(columns: Sequence[Any]) -> int:
    """Returns how many rows each column has; 0 where they do not have as many."""
    lengths = {len(column) if type(column) is list else 0 for column in columns}
    return lengths.pop() if len(lengths) == 1 else 0


def _is_object(value: Any) -> bool:
    return type(value) is dict and not is_base64(value)


def _key_problem(given: dict[str, Any], signature: Signature) -> str:
    """Says which keys are missing, and which unknown."""
    missing = [name for name in signature.names if name not in given]
    unknown = [name for name in given if name not in signature.names]
    parts = []
    if missing:
        parts.append(f"Missing named input: {_names(missing)}.")
    for name in unknown[:5]:
        close = difflib.get_close_matches(name[:80], signature.names, n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        parts.append(f"JSON object: does not have named input: {show(name)}{hint}")
    if parts:
        parts.append(f"JSON object keys must be equal to: {_names(signature.names)}.")
    return " ".join(parts)


def _names(names: Any) -> str:
    return ", ".join(name if len(name) <= 80 else name[:80] + "..." for name in list(names)[:50])
