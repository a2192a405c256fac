"""One deployed model: its replicas, and the calls that wait for one of them."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from vertex_emulator.errors import ApiError, from_http_status, internal, unavailable
from vertex_emulator.gateway.call import Call
from vertex_emulator.gateway.meter import Meter
from vertex_emulator.gateway.upstream import Upstream

CALL_SECONDS = 60.0  # Vertex AI's limit for the answer to a request
MAX_AT_ONCE = 256  # calls with one replica, which joins those that wait there into a batch
MAX_WAITING = 10_000  # calls that no replica has taken yet
MAX_WAITING_BYTES = 64_000_000  # of their bodies
MAX_LOSSES = 3  # replicas that may end over one call, which may itself be what ends them
JSON = "application/json"


@dataclass(frozen=True)
class Version:
    """What an answer says of the deployed model that gave it."""

    endpoint_id: str
    deployed_id: str
    model: str
    version_id: str
    display_name: str


class Pool:
    """Routes calls to the replica with the fewest; all methods are for the loop's thread.

    A call goes to another replica only where the first broke off before a byte of its answer.

    Args:
        version: of the deployed model.
        loop: whose thread calls.
        starved: called when a call must wait and there is no replica, or one has broken.
        call_seconds: after which a call is answered with an error.
        log: called with each call that has its answer, where calls are logged.

    Attributes:
        upstreams: the replicas that take calls.
        waiting: calls that none of them has room for.
        meter: what became of all calls.
    """

    def __init__(
        self,
        version: Version,
        loop: asyncio.AbstractEventLoop,
        starved: Callable[[], object] = lambda: None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self.upstreams: list[Upstream] = []
        self.waiting: deque[Call] = deque()
        self.meter = Meter()
        self.log: Callable[[Call, int, bytes], object] | None = None
        self.version = version
        self._retiring: list[Upstream] = []
        self._waiting_bytes = 0
        self._call_seconds = call_seconds
        self._starved = starved
        self._loop = loop
        self._tail = (
            b","
            + orjson.dumps(
                {
                    "deployedModelId": version.deployed_id,
                    "model": version.model,
                    "modelDisplayName": version.display_name,
                    "modelVersionId": version.version_id,
                }
            )[1:]
        )
        self._headers = (
            f"X-Vertex-AI-Endpoint-Id: {version.endpoint_id}\r\n"
            f"X-Vertex-AI-Deployed-Model-Id: {version.deployed_id}\r\n"
            f"X-Vertex-AI-Model: {version.model}\r\n"
            f"X-Vertex-AI-Model-Version-Id: {version.version_id}\r\n"
        ).encode()

    @property
    def outstanding(self) -> int:
        """Number of calls that are not answered yet."""
        upstreams = [*self.upstreams, *self._retiring]
        return len(self.waiting) + sum(len(each.calls) for each in upstreams)

    # Calls

    def submit(self, call: Call) -> None:
        """Sends a call to a replica, or lets it wait, or refuses it where too many do."""
        upstream = self._choose() if not self.waiting else None
        if upstream is not None:
            self._send(upstream, call)
            return
        size = self._waiting_bytes + len(call.body)
        if self.waiting and (len(self.waiting) >= MAX_WAITING or size > MAX_WAITING_BYTES):
            message = (
                f"{len(self.waiting)} requests wait for the deployed model"
                f" {self.version.deployed_id} already; send this one again later."
            )
            self._refuse(call, ApiError(429, "RESOURCE_EXHAUSTED", message))
            return
        self.waiting.append(call)
        self._waiting_bytes = size
        if not self.upstreams:
            self._starved()

    def answered(
        self, _upstream: Upstream, call: Call, status: int, body: bytes, content_type: str
    ) -> None:
        """Passes a replica's answer on, with the version that gave it."""
        if call.raw:
            self._respond(call, status, body, content_type)
        elif status != 200:
            text = body.decode("utf-8", "replace")
            self._refuse(call, from_http_status(status, text))
        elif body[:1] == b"{" and body[-1:] == b"}" and len(body) > 2:
            # Into the object as it is: predictions may be large, and are not read here.
            self._respond(call, 200, body[:-1] + self._tail, JSON)
        else:
            self._refuse(call, internal("The model server's answer is not a JSON object."))
        self._advance()

    def lost(self, _upstream: Upstream, call: Call, *, partly_answered: bool) -> None:
        """Sends a call elsewhere where nothing of its answer came."""
        call.losses += 1
        if partly_answered or call.losses >= MAX_LOSSES:
            self._refuse(call, unavailable("The model server ended before it had answered."))
        else:
            self._wait_first(call)
        self._advance()

    def unreachable(self, upstream: Upstream, call: Call) -> None:
        """Takes a replica out that refuses connections; it has seen nothing of the call."""
        self.remove(upstream)
        self._starved()
        self._wait_first(call)
        self._advance()

    def _wait_first(self, call: Call) -> None:
        self.waiting.appendleft(call)
        self._waiting_bytes += len(call.body)

    def _advance(self) -> None:
        """Lets those that wait go to replicas that have room."""
        while self.waiting:
            upstream = self._choose()
            if upstream is None:
                if not self.upstreams:
                    self._starved()
                return
            call = self.waiting.popleft()
            self._waiting_bytes -= len(call.body)
            self._send(upstream, call)

    def _send(self, upstream: Upstream, call: Call) -> None:
        call.sent = self._loop.time()
        upstream.send(call)

    def _choose(self) -> Upstream | None:
        best, fewest = None, MAX_AT_ONCE
        for upstream in self.upstreams:
            if len(upstream.calls) < fewest:
                best, fewest = upstream, len(upstream.calls)
        return best

    def _refuse(self, call: Call, error: ApiError) -> None:
        self._respond(call, error.code, orjson.dumps(error.body()), JSON)

    def _respond(self, call: Call, status: int, body: bytes, content_type: str) -> None:
        self.meter.count(status, call.begun, call.sent, self._loop.time())
        call.respond(status, body, content_type, self._headers if call.raw else b"")
        if self.log is not None:
            self.log(call, status, body)

    # Replicas

    def add(self, port: int, path: str) -> Upstream:
        """Takes a replica that is ready for calls; returns it."""
        upstream = Upstream(self, port, path)
        self.upstreams.append(upstream)
        self._advance()
        return upstream

    def restore(self, upstream: Upstream) -> None:
        """Takes a replica again that refused a connection and answers all the same."""
        if not upstream.reachable and upstream not in self.upstreams:
            upstream.reachable = True
            self.upstreams.append(upstream)
            self._advance()

    def remove(self, upstream: Upstream) -> None:
        """Forgets a replica that has ended; its connections say so themselves."""
        if upstream in self.upstreams:
            self.upstreams.remove(upstream)

    async def retire(self, upstream: Upstream) -> None:
        """Sends a replica no more calls, and waits for the answers to those that it has."""
        self.remove(upstream)
        self._retiring.append(upstream)
        while upstream.calls:  # `sweep` bounds how long
            await asyncio.sleep(0.01)
        self._retiring.remove(upstream)
        upstream.close()

    def fail(self, error: ApiError) -> None:
        """Answers those that wait, where no replica will come."""
        calls, self.waiting, self._waiting_bytes = self.waiting, deque(), 0
        for call in calls:
            self._refuse(call, error)

    def sweep(self, now: float) -> None:
        """Answers the calls that have waited too long."""
        seconds = self._call_seconds
        while self.waiting and self.waiting[0].begun + seconds < now:
            call = self.waiting.popleft()
            self._waiting_bytes -= len(call.body)
            self._refuse(call, unavailable(f"No replica was ready within {seconds:g} s."))
        for upstream in [*self.upstreams, *self._retiring]:
            for call in [each for each in upstream.calls if each.begun + seconds < now]:
                upstream.abandon(call)
                late = f"The model took longer than {seconds:g} s."
                self._refuse(call, ApiError(504, "DEADLINE_EXCEEDED", late))
