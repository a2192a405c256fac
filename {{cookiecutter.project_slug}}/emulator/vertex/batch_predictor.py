"""Batches of rows through a model server, each row with its prediction or its error."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from emulator.vertex.batch_rows import Row

TIMEOUT_SECONDS = 600.0  # of a request; a batch is large, and the model may be slow
OVERLOADED_SECONDS = 0.2  # until a request is sent again that the server had no place for
INVALID_ARGUMENT, INTERNAL = 3, 13  # google.rpc.Code


class ServerLostError(Exception):
    """The model server does not answer any more."""


@dataclass
class Outcome:
    """What became of a batch of rows.

    Attributes:
        results: lines `{"instance":…,"prediction":…}`, in the order of the rows.
        errors: lines `{"instance":…,"error":{"code":…,"message":…}}`, in the order of the rows.
        successful: number of result lines.
        reasons: the messages of the error lines.
    """

    results: bytes = b""
    errors: bytes = b""
    successful: int = 0
    reasons: list[str] = field(default_factory=list)


class Predictor:
    """Asks one model server; may be used by several threads at once.

    Args:
        url: the server's address and its predict route.
        parameters: `modelParameters` of the job, or None.
    """

    def __init__(self, url: str, parameters: Any) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port)
        self._path = parts.path
        tail = b"" if parameters is None else b',"parameters":' + orjson.dumps(parameters)
        self._tail = b"]" + tail + b"}"
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Breaks off the requests that are under way; `predict` raises ServerLostError in them."""
        for connection in self._connections:
            if connection.sock is not None:
                with contextlib.suppress(OSError):  # it may just have been closed
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def predict(self, uri: str, rows: Sequence[Row]) -> Outcome:
        """Returns the outcome of the rows of one file.

        Rows that the model refuses are found by halving the batch, so that the others of the batch
        are done.

        Raises:
            ServerLostError: the server does not answer.
        """
        answers = self._ask([row for row in rows if not row.problem])
        outcome, results, errors = Outcome(), [], []
        for row in rows:
            prediction = (row.problem, INVALID_ARGUMENT) if row.problem else next(answers)
            if isinstance(prediction, bytes):
                results.append(b"{" + row.label + b',"prediction":' + prediction + b"}\n")
                continue
            message, code = prediction
            reason = f"{uri}, row {row.place}: {message}"
            error = orjson.dumps({"code": code, "message": reason})
            errors.append(b"{" + row.label + b',"error":' + error + b"}\n")
            outcome.reasons.append(reason)
        outcome.results, outcome.errors = b"".join(results), b"".join(errors)
        outcome.successful = len(results)
        return outcome

    def _ask(self, rows: list[Row]) -> Any:
        """Yields for each row its prediction as JSON, or a message and a code."""
        if not rows:
            return
        body = b'{"instances":[' + b",".join([row.sent for row in rows]) + self._tail
        status, content = self._post(body)
        if status == 200:
            predictions = _predictions(content)
            if len(predictions) == len(rows):
                yield from predictions
                return
            content = b"the model does not return a prediction for each instance"
        if len(rows) == 1:
            yield _message(content), INTERNAL if status >= 500 else INVALID_ARGUMENT
            return
        half = len(rows) // 2
        yield from self._ask(rows[:half])
        yield from self._ask(rows[half:])

    def _post(self, body: bytes) -> tuple[int, bytes]:
        while True:
            status, content = self._send(body)
            if status != 503:
                return status, content
            time.sleep(OVERLOADED_SECONDS)

    def _send(self, body: bytes) -> tuple[int, bytes]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT_SECONDS)
            self._local.connection = connection
            self._connections.append(connection)
        try:
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            self._local.connection = None
            raise ServerLostError(f"the model server does not answer: {error!r}") from error


def _predictions(content: bytes) -> list[bytes]:
    """Returns each prediction of an answer as JSON."""
    try:
        return [orjson.dumps(each) for each in orjson.loads(content)["predictions"]]
    except orjson.JSONDecodeError:  # NaN and Infinity, which the server writes as it has them
        return [json.dumps(each).encode() for each in json.loads(content)["predictions"]]


def _message(content: bytes) -> str:
    try:
        return str(orjson.loads(content)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return content.decode("utf-8", "replace")
