"""TensorFlow Serving's predict documents: what a request asks for, checked and cut into columns.

Source: https://www.tensorflow.org/tfx/serving/api_rest#predict_api
"""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from emulator.model_server.errors import RequestError, invalid
from emulator.model_server.model import DEFAULT_SIGNATURE, Signature
from emulator.model_server.tensors import MismatchError, is_base64, json_type, show


@dataclass(frozen=True, slots=True)
class Question:
    """A predict request, not yet tensors.

    Attributes:
        signature: what to call.
        columns: for each input of the signature in its order, the JSON value of the whole tensor:
            a sequence of rows, and any value where the input has no dimension of rows.
        rows: number of instances; 1 where the signature has no dimension of rows.
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
        rows = _common_length(columns, signature) if signature.batched else 1
        return Question(signature, columns, rows, columnar=True)
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
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in body and b"Infinity" not in body:
            raise invalid(f"JSON Parse error: {error}") from None
    try:  # TensorFlow Serving takes these tokens, which are not in the JSON standard
        document = json.loads(body.decode())
        json.dumps(document, ensure_ascii=False).encode()  # refuses halves of surrogate pairs
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from None
    return document


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
            f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def; '
            f"this model has {_names(signatures) or 'none that takes inputs'}"
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
        rows = None
    if rows is None or set(map(len, instances)) != {len(signature.inputs)}:
        complete = [_complete(row, i, signature) for i, row in enumerate(instances)]
        rows = list(map(signature.values_of, complete))
    return [rows] if len(signature.inputs) == 1 else list(zip(*rows, strict=True))


def _complete(instance: Any, index: int, signature: Signature) -> dict[str, Any]:
    """Returns an instance with the defaults of the inputs that it leaves out."""
    if not _is_object(instance):
        raise invalid(
            f"Failed to process element: {index} of 'instances' list. JSON Value: "
            f"{show(instance)} Type: {json_type(instance)} is not an object with the inputs "
            f"{_names(signature.names)}"
        )
    problem = _key_problem(instance, signature)
    if problem:
        raise invalid(f"Failed to process element: {index} of 'instances' list. {problem}")
    return {**signature.defaults, **instance}


def _columns_of_inputs(inputs: Any, signature: Signature) -> Sequence[Any]:
    if not _is_object(inputs):
        if len(signature.inputs) == 1:
            return [inputs]
        raise invalid(
            "inputs is a plain value/list, but expecting an object as multiple input tensors "
            f"required as per tensorinfo_map: {_names(signature.names)}"
        )
    problem = _key_problem(inputs, signature)
    if problem:
        raise invalid(f"Failed to process 'inputs' object. {problem}")
    if signature.defaults and signature.batched:
        rows = max((len(v) for v in inputs.values() if type(v) is list), default=1)
        defaults = {name: [value] * rows for name, value in signature.defaults.items()}
    else:
        defaults = signature.defaults
    filled = defaults | inputs
    return [filled[name] for name in signature.names]


def _common_length(columns: Sequence[Any], signature: Signature) -> int:
    lengths = {}
    for spec, column in zip(signature.inputs, columns, strict=True):
        if type(column) is not list:
            raise invalid(
                f"Failed to process key: {spec.name} of 'inputs' object. JSON Value: "
                f"{show(column)} Type: {json_type(column)} is not a list; "
                f"expected {spec.describe()}"
            )
        lengths[spec.name] = len(column)
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise invalid(f"The lists of 'inputs' have different numbers of rows ({sizes})")
    rows = len(columns[0])
    if not rows:
        raise invalid("No values in the lists of 'inputs'")
    return rows


def _is_object(value: Any) -> bool:
    return type(value) is dict and not is_base64(value)


def _key_problem(given: dict[str, Any], signature: Signature) -> str:
    """Says which keys are missing or unknown; empty where all is well."""
    missing = [n for n in signature.names if n not in given and n not in signature.defaults]
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
    return ", ".join(map(str, list(names)[:50]))
