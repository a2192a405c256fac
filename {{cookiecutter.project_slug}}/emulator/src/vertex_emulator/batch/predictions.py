"""A block of rows, predicted: each row becomes a line of the results or of the errors."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import orjson
from google.rpc.code_pb2 import INTERNAL, INVALID_ARGUMENT

from vertex_emulator.batch.columns import Columns, read_columns
from vertex_emulator.batch.rows import InstanceConfig, Row, read_rows
from vertex_emulator.batch.task import Done, Task
from vertex_emulator.http.errors import RequestError
from vertex_emulator.model_server import batcher, payload, tensors
from vertex_emulator.model_server.estimators import Estimator
from vertex_emulator.model_server.model import DEFAULT_SIGNATURE, Model, Signature
from vertex_emulator.model_server.tensors import Array

Fetch = Callable[[str], bytes]
Fault = tuple[str, int]  # a message, and a google.rpc.Code


def predict_block(task: Task, data: bytes, model: Model | Estimator, fetch: Fetch) -> Done:
    """Predicts for the rows of a block, and writes what becomes of them.

    All go through one call of the model where it is known to treat rows apart, otherwise as many
    as Vertex AI puts into a request.

    Args:
        task: how to read it, and where to write.
        data: whole records of a file.
        model: what predicts.
        fetch: returns the content of an object by its gs:// URI; raises `rows.RowError`.

    Raises:
        rows.RowError: the header of a csv file does not fit.
    """
    signature = None if isinstance(model, Estimator) else model.signatures.get(DEFAULT_SIGNATURE)
    if task.file_format == "jsonl" and signature is not None:
        columns = read_columns(data, signature, InstanceConfig.of(task.config))
        results = columns and _predict_columns(columns, signature, task.batch_size)
        if columns is not None and results is not None:
            Path(task.results).write_bytes(results)
            Path(task.errors).write_bytes(b"")
            return Done(len(columns.names))
    return _predict_rows(task, list(read_rows(data, task, fetch)), model)


def _predict_columns(columns: Columns, signature: Signature, batch_size: int) -> bytes | None:
    """Returns the lines of the results; None where the model refuses a row, to find which."""
    rows = len(columns.names)
    step = rows if signature.joinable else batch_size
    lines = []
    for begin in range(0, rows, step):
        part = slice(begin, begin + step)
        names = columns.names[part]
        try:
            outputs = signature.call([array[part] for array in columns.arrays])
        except RequestError:
            return None
        if any(
            not array.ndim
            or len(array) != len(names)
            or array.dtype.name not in tensors.OUTPUT_TYPES
            for array in outputs.values()
        ):
            return None
        lines.append(_lines(columns.label, names, outputs))
    return b"".join(lines)


def _lines(label: str, names: list[bytes], outputs: Mapping[str, Array]) -> bytes:
    """Returns a line of the results for each row; of one output, its bare value."""
    members = [f"{orjson.dumps(name).decode()}:" for name in outputs]
    opening, closing = ("{", "}") if len(members) > 1 else ("", "")
    first, *others = members if opening else [""]
    heads = [f'{{"{label}":', f',"prediction":{opening}{first}', *(f",{each}" for each in others)]
    columns = [names, *(_as_json(name, array) for name, array in outputs.items())]
    # One list of all pieces: joining it costs a third of formatting row by row.
    width = 2 * len(columns) + 1
    pieces = [f"{closing}}}\n".encode()] * (width * len(names))
    for place, (head, column) in enumerate(zip(heads, columns, strict=True)):
        pieces[2 * place :: width] = [head.encode()] * len(names)
        pieces[2 * place + 1 :: width] = column
    return b"".join(pieces)


def _as_json(name: str, array: Array) -> list[bytes]:
    """Returns each row of an output as JSON."""
    if array.ndim == 1 and array.dtype == object:
        texts: dict[bytes, bytes] = {}  # there are few labels, and many rows
        for data in set(array.tolist()):
            texts[data] = tensors.encode_value(name, np.array(data, object))
        return [texts[data] for data in array.tolist()]
    if array.ndim == 1:
        return tensors.encode_value(name, array)[1:-1].split(b",")
    return [tensors.encode_value(name, row) for row in array]


def _predict_rows(task: Task, rows: list[Row], model: Model | Estimator) -> Done:
    """Predicts for rows one by one where need be, so that the others of a batch are done."""
    sent = [row for row in rows if not row.problem]
    answers = _ask(sent, model, task.batch_size)
    results, errors, reasons = [], [], []
    for row in rows:
        answer = (row.problem, INVALID_ARGUMENT) if row.problem else next(answers)
        if isinstance(answer, bytes):
            results.append(b"{" + row.label + b',"prediction":' + answer + b"}\n")
            continue
        message, code = answer
        reasons.append(f"{task.uri}, row {row.place}: {message}")
        error = orjson.dumps({"code": code, "message": reasons[-1]})
        errors.append(b"{" + row.label + b',"error":' + error + b"}\n")
    Path(task.results).write_bytes(b"".join(results))
    Path(task.errors).write_bytes(b"".join(errors))
    return Done(len(results), len(errors), reasons[0] if reasons else "")


def _ask(rows: list[Row], model: Model | Estimator, batch_size: int) -> Iterator[bytes | Fault]:
    """Yields for each row its prediction as JSON, or why there is none."""
    if not rows:
        return
    if len(rows) > batch_size and not _may_join(rows[0], model):
        for begin in range(0, len(rows), batch_size):
            yield from _ask(rows[begin : begin + batch_size], model, batch_size)
        return
    try:
        predictions = _predictions([row.sent for row in rows], model)
    except RequestError as error:
        if len(rows) == 1:
            yield error.message, INTERNAL if error.status >= 500 else INVALID_ARGUMENT
            return
        half = len(rows) // 2
        yield from _ask(rows[:half], model, batch_size)
        yield from _ask(rows[half:], model, batch_size)
    else:
        yield from predictions


def _may_join(row: Row, model: Model | Estimator) -> bool:
    """Whether a row, and others of its shape, may go through one call of any size."""
    if isinstance(model, Estimator):
        return False
    try:
        question = payload.parse(b'{"instances":[' + row.sent + b"]}", model.signatures)
        pairs = zip(question.signature.inputs, question.columns, strict=True)
        arrays = [tensors.pack(spec, column) for spec, column in pairs]
    except (RequestError, tensors.MismatchError):
        return False
    return question.signature.joinable and question.signature.declares(arrays)


def _predictions(instances: list[bytes], model: Model | Estimator) -> list[bytes]:
    """Returns each instance's prediction as JSON.

    Raises:
        RequestError: there are not as many, for the reason that the model server gives.
    """
    body = b'{"instances":[' + b",".join(instances) + b"]}"
    if isinstance(model, Estimator):
        status, content = model.answer(body)
    else:
        [(status, content)] = batcher.answer([payload.parse(body, model.signatures)])
    if status != 200:
        raise RequestError(status, orjson.loads(content)["error"])
    try:
        predictions = [orjson.dumps(each) for each in orjson.loads(content)["predictions"]]
    except orjson.JSONDecodeError:  # NaN and Infinity, which the server writes as it has them
        predictions = [json.dumps(each).encode() for each in json.loads(content)["predictions"]]
    if len(predictions) != len(instances):
        raise RequestError(
            400,
            f"The model gives {len(predictions)} predictions for {len(instances)} instances; "
            "batch prediction needs one for each",
        )
    return predictions
