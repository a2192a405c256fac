"""A replica of a batch prediction: a model server that takes blocks of rows, too.

python -m vertex_emulator.batch --model-dir DIR --port P --max-body-bytes N

The flags and variables are those of `python -m vertex_emulator.model_server`.
"""

import asyncio
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor

import orjson

from vertex_emulator.batch.predictions import predict_block
from vertex_emulator.batch.rows import MAX_ROW_BYTES, RowError
from vertex_emulator.batch.task import ROUTE, Done, Task
from vertex_emulator.http.connection import Request, Respond
from vertex_emulator.http.errors import RequestError
from vertex_emulator.model_server.__main__ import parse_options
from vertex_emulator.model_server.errors import StartError, document, fault
from vertex_emulator.model_server.server import AnyModel, Options, Server, serve
from vertex_emulator.uris import split_uri


class BatchServer(Server):
    """Predicts for blocks in a thread of its own, one after the other."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rows")
        self._loop = asyncio.get_running_loop()

    def handle(self, request: Request, respond: Respond) -> None:
        """Answers a request; a block later, when it is done."""
        if request.path != ROUTE or self.model is None:
            super().handle(request, respond)
            return
        future = self._thread.submit(_predict, self.model, request.body)
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(_deliver, done, respond)
        )

    def close(self) -> None:
        self._thread.shutdown()
        super().close()


def _predict(model: AnyModel, body: bytes) -> Done:
    task, data = Task.decode(body)
    return predict_block(task, data, model, fetch)


def _deliver(done: "Future[Done]", respond: Respond) -> None:
    error = done.exception()
    if not isinstance(error, Exception):
        respond(200, orjson.dumps(done.result()), "application/json")
        return
    is_of_input = isinstance(error, RowError)
    refusal = RequestError(400, str(error)) if is_of_input else fault(error)
    respond(refusal.status, document(refusal), "application/json")


def fetch(uri: str) -> bytes:
    """Returns the content of an object.

    Raises:
        RowError: there is none, or it is too large.
    """
    # Beside a file-list only; it costs a second to import.
    from google.cloud import storage

    bucket, name = split_uri(uri)
    if not uri.startswith("gs://") or not bucket or not name:
        raise RowError(f"expected a URI gs://BUCKET/OBJECT, got {uri[:80]!r}")
    blob = storage.Client().bucket(bucket).get_blob(name)
    if blob is None:
        raise RowError(f"there is no object {uri}")
    if blob.size > MAX_ROW_BYTES:
        raise RowError(f"expected at most {MAX_ROW_BYTES} bytes, got {blob.size}")
    return bytes(blob.download_as_bytes())


def main() -> None:
    try:
        asyncio.run(serve(parse_options(sys.argv[1:], os.environ), BatchServer))
    except StartError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
