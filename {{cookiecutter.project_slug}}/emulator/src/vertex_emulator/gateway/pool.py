"""One deployed model: its replicas, and the calls that wait for one of them."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from vertex_emulator.errors import ApiError, internal, unavailable
from vertex_emulator.gateway.call import Call
from vertex_emulator.gateway.meter import Meter
from vertex_emulator.gateway.upstream import Replica

CALL_SECONDS = 60.0  # Vertex AI's limit for the answer to a request
MOST_AT_ONCE = 256  # calls with one replica, which joins those that wait there into a batch
MOST_WAITING = 10_000  # calls that no replica has taken yet
MOST_WAITING_BYTES = 64_000_000  # of their bodies
MOST_LOSSES = 3  # replicas that may end over one call, which may itself be what ends them
JSON = "application/json"

_STATUSES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


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
        replicas: those that take calls.
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
        self.replicas: list[Replica] = []
        self.waiting: deque[Call] = deque()
        self.meter = Meter()
        self.log: Callable[[Call, int, bytes], object] | None = None
        self.version = version
        self._retiring: list[Replica] = []
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
        replicas = [*self.replicas, *self._retiring]
        return len(self.waiting) + sum(len(each.calls) for each in replicas)

    # Calls

    def submit(self, call: Call) -> None:
        """Sends a call to a replica, or lets it wait, or refuses it where too many do."""
        replica = self._choose() if not self.waiting else None
        if replica is not None:
            self._send(replica, call)
            return
        size = self._waiting_bytes + len(call.body)
        if self.waiting and (len(self.waiting) >= MOST_WAITING or size > MOST_WAITING_BYTES):
            message = (
                f"{len(self.waiting)} requests wait for the deployed model"
                f" {self.version.deployed_id} already; send this one again later."
            )
            self._refuse(call, ApiError(429, "RESOURCE_EXHAUSTED", message))
            return
        self.waiting.append(call)
        self._waiting_bytes = size
        if not self.replicas:
            self._starved()

    def answered(
        self, _replica: Replica, call: Call, status: int, body: bytes, content_type: str
    ) -> None:
        """Passes a replica's answer on, with the version that gave it."""
        if call.raw:
            self._respond(call, status, body, content_type)
        elif status != 200:
            text = body.decode("utf-8", "replace")
            self._refuse(call, ApiError(status, _STATUSES.get(status, "INTERNAL"), text))
        elif body[:1] == b"{" and body[-1:] == b"}" and len(body) > 2:
            # Into the object as it is: predictions may be large, and are not read here.
            self._respond(call, 200, body[:-1] + self._tail, JSON)
        else:
            self._refuse(call, internal("The model server's answer is no JSON object."))
        self._advance()

    def lost(self, _replica: Replica, call: Call, *, partly_answered: bool) -> None:
        """Sends a call elsewhere where nothing of its answer came."""
        call.losses += 1
        if partly_answered or call.losses >= MOST_LOSSES:
            self._refuse(call, unavailable("The model server ended before it had answered."))
        else:
            self._wait_first(call)
        self._advance()

    def unreachable(self, replica: Replica, call: Call) -> None:
        """Takes a replica out that refuses connections; it has seen nothing of the call."""
        self.remove(replica)
        self._starved()
        self._wait_first(call)
        self._advance()

    def _wait_first(self, call: Call) -> None:
        self.waiting.appendleft(call)
        self._waiting_bytes += len(call.body)

    def _advance(self) -> None:
        """Lets those that wait go to replicas that have room."""
        while self.waiting:
            replica = self._choose()
            if replica is None:
                if not self.replicas:
                    self._starved()
                return
            call = self.waiting.popleft()
            self._waiting_bytes -= len(call.body)
            self._send(replica, call)

    def _send(self, replica: Replica, call: Call) -> None:
        call.sent = self._loop.time()
        replica.send(call)

    def _choose(self) -> Replica | None:
        best, fewest = None, MOST_AT_ONCE
        for replica in self.replicas:
            if len(replica.calls) < fewest:
                best, fewest = replica, len(replica.calls)
        return best

    def _refuse(self, call: Call, error: ApiError) -> None:
        self._respond(call, error.code, orjson.dumps(error.body()), JSON)

    def _respond(self, call: Call, status: int, body: bytes, content_type: str) -> None:
        self.meter.count(status, call.begun, call.sent, self._loop.time())
        call.respond(status, body, content_type, self._headers if call.raw else b"")
        if self.log is not None:
            self.log(call, status, body)

    # Replicas

    def add(self, port: int, path: str) -> Replica:
        """Takes a replica that is ready for calls; returns it."""
        replica = Replica(self, port, path)
        self.replicas.append(replica)
        self._advance()
        return replica

    def restore(self, replica: Replica) -> None:
        """Takes a replica again that refused a connection and answers all the same."""
        if not replica.reachable and replica not in self.replicas:
            replica.reachable = True
            self.replicas.append(replica)
            self._advance()

    def remove(self, replica: Replica) -> None:
        """Forgets a replica that has ended; its connections say so themselves."""
        if replica in self.replicas:
            self.replicas.remove(replica)

    async def retire(self, replica: Replica) -> None:
        """Sends a replica no more calls, and waits for the answers to those that it has."""
        self.remove(replica)
        self._retiring.append(replica)
        while replica.calls:  # `sweep` bounds how long
            await asyncio.sleep(0.01)
        self._retiring.remove(replica)
        replica.close()

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
        for replica in [*self.replicas, *self._retiring]:
            for call in [each for each in replica.calls if each.begun + seconds < now]:
                replica.abandon(call)
                late = f"The model took longer than {seconds:g} s."
                self._refuse(call, ApiError(504, "DEADLINE_EXCEEDED", late))
