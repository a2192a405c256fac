"""The server's routes, its state from loading to draining, and the loop that runs it."""

import asyncio
import functools
import gc
import ipaddress
import re
import signal
import types
import urllib.parse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import orjson

from vertex_emulator.http.connection import Connection, Request, Respond
from vertex_emulator.http.errors import RequestError
from vertex_emulator.limits import allow_many_files
from vertex_emulator.model_server import estimators, payload, source
from vertex_emulator.model_server import model as models
from vertex_emulator.model_server.batcher import Batcher
from vertex_emulator.model_server.errors import StartError, document, fault
from vertex_emulator.model_server.metrics import ROUTE as METRICS_ROUTE
from vertex_emulator.model_server.metrics import Metrics

AnyModel = models.Model | estimators.Estimator
DRAIN_SECONDS = 60.0  # the longest that an accepted request may take to its answer

_SWEEP_SECONDS = 1.0
_BACKLOG = 4096  # connections that may wait to be accepted
_JSON = "application/json"
_ROUTE = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata|:\w+)?")


@dataclass(frozen=True)
class Options:
    """How to serve.

    Attributes:
        model_dir: folder or gs:// URI with a numbered folder a version.
        model_name: the name in `/v1/models/NAME`.
        host: address to listen on.
        port: TCP port, 0 for a free one.
        health_route: a further path that answers 200 once the model is ready.
        predict_route: a further path to predict on.
        max_batch_size: rows at which a batch is split.
        max_body: bytes of a request's body.
        max_waiting: bytes of the bodies that may wait for the model.
        intra_op_threads: that an op may use, 0 for as many as there are processors.
        batching: whether requests that wait may share a call of any model.
        prebuilt: framework of the prebuilt image that the server stands for, or "" for TensorFlow
            Serving.
    """

    model_dir: str
    model_name: str
    host: str
    port: int
    health_route: str
    predict_route: str
    max_batch_size: int
    max_body: int
    max_waiting: int
    intra_op_threads: int
    batching: bool = False
    prebuilt: str = ""


class Server:
    """Serves one model; made and used in the event loop's thread."""

    def __init__(self, options: Options) -> None:
        self.max_body = options.max_body
        self.connections: set[Connection] = set()
        self.draining = False
        self.receiving = 0
        self._options = options
        self._is_local = _is_local_name(options.host.encode())
        self.model: AnyModel | None = None
        self._predict_routes = {options.predict_route}
        self._metrics = Metrics()
        self._batcher = Batcher(options.max_batch_size, options.max_waiting, self._metrics)

    def ready(self, model: AnyModel) -> None:
        """Starts to answer predictions."""
        self.model = model

    def admit(self, headers: dict[bytes, bytes]) -> RequestError | None:
        """Refuses what a web page of another site sends through the user's browser.

        A page can reach loopback through a name of its own, which then is the Host. A server that
        others may reach has names that only they know.
        """
        host = headers.get(b"host")
        if self._is_local and host and not _is_local_name(host):
            return RequestError(
                403,
                "Expected a request to localhost or an IP address; the Host is "
                f"{host[:200].decode('latin-1')!r}; start the server with --host to serve others",
            )
        origin = headers.get(b"origin")
        if origin and origin.partition(b"://")[2] != headers.get(b"host"):
            return RequestError(
                403,
                "Requests of web pages from other origins are refused; the Origin is "
                f"{origin[:200].decode('latin-1')!r}",
            )
        return None

    def too_large(self, size: int) -> RequestError:
        """Refuses a body beyond the limit that the server was started with."""
        return RequestError(
            413,
            f"The request's body has {size} bytes or more, the limit is {self.max_body} bytes; "
            "send fewer instances a request",
        )

    def refusal(self, error: RequestError) -> bytes:
        """Returns TensorFlow Serving's error document."""
        return document(error)

    def handle(self, request: Request, respond: Respond) -> None:
        """Answers a request; predictions later, when the model has."""
        path = request.path.partition("?")[0]
        try:
            if request.method == "GET" and path == METRICS_ROUTE:
                respond(200, self._metrics.text(self._batcher.waiting), "text/plain; version=0.0.4")
            elif self.model is None:
                raise RequestError(503, "The model is still loading; send the request again later")
            elif request.method == "POST":
                self._predict(self.model, path, request.body, respond)
            else:
                respond(200, self._describe(self.model, request.method, path), _JSON)
        except RequestError as error:
            if request.method == "POST":
                self._metrics.count_answer(error.status)
            respond(error.status, document(error), _JSON)
        except Exception as error:  # a fault of ours is the answer to this request alone
            refusal = fault(error)
            respond(refusal.status, document(refusal), _JSON)

    def _predict(self, model: AnyModel, path: str, body: bytes, respond: Respond) -> None:
        if path not in self._predict_routes:
            verb = self._match("POST", path, model)
            if verb in {":classify", ":regress"}:
                raise RequestError(501, f"{verb[1:]} is not served here; use predict")
            if verb != ":predict":
                raise self._malformed(400, "POST", path)
            self._predict_routes.add(path)  # the next time it is found at once

        def deliver(status: int, answer: bytes) -> None:
            self._metrics.count_answer(status)
            respond(status, answer, _JSON)

        if isinstance(model, estimators.Estimator):
            self._batcher.call(lambda: model.answer(body), deliver)
        else:
            self._batcher.submit(payload.parse(body, model.signatures), len(body), deliver)

    def _describe(self, model: AnyModel, method: str, path: str) -> bytes:
        """Returns the model's status, or its metadata."""
        verb = "" if path == self._options.health_route else self._match(method, path, model)
        if method != "GET" or verb not in {"", "/metadata"}:
            raise self._malformed(400, method, path)
        if verb:
            return self._metadata(model)
        if self.draining:
            raise RequestError(503, "The server is shutting down")
        return self._status(model)

    def _match(self, method: str, path: str, model: AnyModel) -> str:
        """Returns what follows the model's name and version in the path."""
        match = _ROUTE.fullmatch(path)
        if match is None:
            raise self._malformed(400 if path.startswith("/v1/") else 404, method, path)
        name, version, verb = match.groups()
        if name != self._options.model_name or version not in {None, str(model.version)}:
            wanted = f"Specific({name[:80]}, {version[:20]})" if version else f"Latest({name[:80]})"
            raise RequestError(
                404,
                f"Servable not found for request: {wanted}; this server has model "
                f"{self._options.model_name}, version {model.version}",
            )
        return verb or ""

    def _malformed(self, status: int, method: str, path: str) -> RequestError:
        own = f"/v1/models/{self._options.model_name}"
        return RequestError(
            status,
            f"Malformed request: {method} {path[:200]}; this server has "
            f"POST {own}:predict, GET {own}, GET {own}/metadata",
        )

    def _status(self, model: AnyModel) -> bytes:
        return orjson.dumps(
            {
                "model_version_status": [
                    {
                        "version": str(model.version),
                        "state": "AVAILABLE",
                        "status": {"error_code": "OK", "error_message": ""},
                    }
                ]
            }
        )

    def _metadata(self, model: AnyModel) -> bytes:
        return orjson.dumps(
            {
                "model_spec": {
                    "name": self._options.model_name,
                    "signature_name": "",
                    "version": str(model.version),
                },
                "metadata": {"signature_def": {"signature_def": model.definition}},
            }
        )

    async def sweep(self) -> None:
        """Ends overdue connections, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            for connection in list(self.connections):
                connection.close_if_overdue(loop.time())

    async def drain(self) -> bool:
        """Answers what was accepted and closes all connections; returns whether it came so far."""
        self.draining = True
        await asyncio.sleep(0)  # requests that have reached the socket already are read first
        await asyncio.sleep(0)
        deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS
        while self.connections and asyncio.get_running_loop().time() < deadline:
            for connection in list(self.connections):
                connection.close_if_idle()
            await asyncio.sleep(0.01)
        return not self.connections

    def close(self) -> None:
        self._batcher.close()


async def serve(options: Options, kind: type[Server] = Server) -> None:
    """Listens, loads the model, and answers until SIGTERM or SIGINT; then drains.

    Args:
        options: how to serve.
        kind: what answers.

    Raises:
        StartError: it cannot listen or load, or did not drain in time.
    """
    allow_many_files()
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    _on_signals(lambda: loop.call_soon_threadsafe(stopped.set))
    server = kind(options)
    try:
        listener = await loop.create_server(
            lambda: Connection(server), options.host, options.port, backlog=_BACKLOG
        )
    except OSError as error:
        reason = str(error.strerror or error).rpartition(": ")[2]  # asyncio repeats the address
        raise StartError(
            f"Cannot listen on {options.host}:{options.port}: {reason}; "
            "choose another --port, or 0 for a free one."
        ) from None
    port = listener.sockets[0].getsockname()[1]
    sweeping = loop.create_task(server.sweep())
    with ExitStack() as stack:
        try:
            server.ready(await loop.run_in_executor(None, _load, options, stack))
            if not stopped.is_set():
                print(f"Model server ready on http://{options.host}:{port}", flush=True)
            await stopped.wait()
            listener.close()
            if not await server.drain():
                raise StartError(f"Requests were not answered within {DRAIN_SECONDS:.0f} s.")
        finally:
            sweeping.cancel()
            listener.close()
            server.close()


def _load(options: Options, stack: ExitStack) -> AnyModel:
    model: AnyModel
    if options.prebuilt in estimators.FILES:
        folder = source.find_files(options.model_dir, stack)
        model = estimators.load(folder, options.model_dir, options.prebuilt)
    elif options.prebuilt:
        folder = source.find_files(options.model_dir, stack)
        source.check_saved_model(folder, options.model_dir)
        model = models.load(folder, options.intra_op_threads, batching=options.batching, version=1)
    else:
        folder = source.find(options.model_dir, stack)
        model = models.load(folder, options.intra_op_threads, batching=options.batching)
    # What TensorFlow's import made stays for ever: collections need not look at it again.
    gc.collect()
    gc.freeze()
    return model


@functools.lru_cache(maxsize=256)
def _is_local_name(host: bytes) -> bool:
    """Whether a Host is `localhost` or an IP address: names that no other site can have."""
    try:
        name = urllib.parse.urlsplit("//" + host.decode("latin-1")).hostname or ""
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def _on_signals(stop: Callable[[], object]) -> None:
    """Calls `stop` at the first SIGTERM or SIGINT; the second ends the process at once."""

    def handle(number: int, _frame: types.FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
