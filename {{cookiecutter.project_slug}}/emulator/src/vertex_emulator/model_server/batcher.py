"""Requests that wait while the model is busy become its next batch."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from vertex_emulator.http.errors import RequestError
from vertex_emulator.model_server import tensors
from vertex_emulator.model_server.errors import document, fault, invalid
from vertex_emulator.model_server.metrics import Metrics
from vertex_emulator.model_server.payload import Question, explain
from vertex_emulator.model_server.tensors import Array, MismatchError

Answer = tuple[int, bytes]  # HTTP status and JSON body


@dataclass(frozen=True, slots=True)
class _Waiting:
    question: Question
    size: int
    respond: Callable[[int, bytes], None]


class Batcher:
    """Hands questions to the model, one batch at a time, in a thread of its own.

    The event loop stays free to read the requests that make up the next batch. All methods are
    for the loop's thread.

    Args:
        max_rows: where a batch is split; a single larger request goes alone and whole.
        max_waiting_bytes: sum of the bodies that may wait; more are refused with 503.
    """

    def __init__(self, max_rows: int, max_waiting_bytes: int, metrics: Metrics) -> None:
        self._max_rows = max_rows
        self._max_waiting_bytes = max_waiting_bytes
        self._metrics = metrics
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._busy = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """Number of questions that are not yet with the model."""
        return len(self._waiting)

    def submit(self, question: Question, size: int, respond: Callable[[int, bytes], None]) -> None:
        """Queues a question.

        Args:
            question: what to ask the model.
            size: bytes of the request's body.
            respond: called with HTTP status and JSON body, once, in the loop's thread.

        Raises:
            RequestError: 503, the queue is full.
        """
        if self._waiting and self._waiting_bytes + size > self._max_waiting_bytes:
            raise RequestError(503, "The server is overloaded; send the request again later")
        self._waiting.append(_Waiting(question, size, respond))
        self._waiting_bytes += size
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._start)  # after the other requests that arrived just now

    def call(self, work: Callable[[], Answer], respond: Callable[[int, bytes], None]) -> None:
        """Has the model's thread answer a request by itself, after those that came before.

        Args:
            work: returns the answer; raises nothing.
            respond: called with it, once, in the loop's thread.
        """
        future = self._thread.submit(work)
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(respond, *done.result())
        )

    def close(self) -> None:
        """Lets the batch that runs end, and ends the thread."""
        self._thread.shutdown()

    def _start(self) -> None:
        batch = self._take()
        self._metrics.count_batch(len(batch), sum(item.question.rows for item in batch))
        future = self._thread.submit(answer, [item.question for item in batch])
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._finish, batch, done)
        )

    def _take(self) -> list[_Waiting]:
        """Takes the longest-waiting question and those that may share its call."""
        first = self._waiting.popleft()
        batch, rows = [first], first.question.rows
        others: deque[_Waiting] = deque()
        joins = first.question.signature.joinable and rows
        while self._waiting and joins and rows < self._max_rows:
            item = self._waiting.popleft()
            if (
                item.question.signature is first.question.signature
                and item.question.rows
                and rows + item.question.rows <= self._max_rows
            ):
                batch.append(item)
                rows += item.question.rows
            else:
                others.append(item)
        self._waiting.extendleft(reversed(others))
        self._waiting_bytes -= sum(item.size for item in batch)
        return batch

    def _finish(self, batch: list[_Waiting], done: "Future[list[Answer]]") -> None:
        if self._waiting:
            self._start()  # first: the model works while the loop writes
        else:
            self._busy = False
        for item, (status, body) in zip(batch, done.result(), strict=True):
            item.respond(status, body)


def answer(questions: Sequence[Question]) -> list[Answer]:
    """Answers questions to one signature with one call of it where that can be done.

    Where the call fails, each half is tried by itself, so that a bad request fails alone and its
    neighbours cost a few more calls, not one each.
    """
    try:
        return _answer_together(questions)
    except Exception as error:
        if len(questions) == 1:
            refusal = _refusal(questions[0], error)
            return [(refusal.status, document(refusal))]
    half = len(questions) // 2
    return [*answer(questions[:half]), *answer(questions[half:])]


def _answer_together(questions: Sequence[Question]) -> list[Answer]:
    signature = questions[0].signature
    columns = zip(*(question.columns for question in questions), strict=True)
    arrays = [
        tensors.pack(spec, list(chain.from_iterable(parts)) if len(parts) > 1 else parts[0])
        for spec, parts in zip(signature.inputs, columns, strict=True)
    ]
    if len(questions) > 1 and not signature.declares(arrays):
        raise ValueError("in other shapes than the signature declares, rows may not stay apart")
    outputs = signature.call(arrays)
    if len(questions) == 1:
        return [(200, _encode(questions[0], outputs))]
    rows = sum(question.rows for question in questions)
    if any(not array.ndim or len(array) != rows for array in outputs.values()):
        signature.joinable = False  # its shapes promise rows, its graph does something else
        raise ValueError(f"signature {signature.name} does not return a row for each row")
    answers = []
    begin = 0
    for question in questions:
        end = begin + question.rows
        part = {name: array[begin:end] for name, array in outputs.items()}
        answers.append((200, _encode(question, part)))
        begin = end
    return answers


def _encode(question: Question, outputs: dict[str, Array]) -> bytes:
    """Writes the answer. Raises RequestError 400 where it has no form in JSON."""
    for name, array in outputs.items():
        if array.dtype.name not in tensors.OUTPUT_TYPES:
            raise invalid(
                f"Failed to write JSON value for tensor type: {array.dtype} of output {name}; "
                "let the signature cast it, to float32 for one"
            )
    if question.columnar:
        return tensors.encode_columns(outputs)
    rows = None
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid(
                f"Tensor name: {name} has no shape information; ask for it with 'inputs' in "
                "place of 'instances'"
            )
        if rows not in (None, len(array)):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: "
                f"{rows}; ask for it with 'inputs' in place of 'instances'"
            )
        rows = len(array)
    return tensors.encode_rows(outputs)


def _refusal(question: Question, error: Exception) -> RequestError:
    if isinstance(error, MismatchError):
        return explain(question, error)
    if isinstance(error, RequestError):
        return error
    return fault(error)
