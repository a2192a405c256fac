"""The endpoints, and which of an endpoint's deployed models gets a prediction."""

import asyncio
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import orjson

from vertex_emulator.errors import (
    ApiError,
    failed_precondition,
    from_http_status,
    invalid_argument,
    missing,
    unavailable,
)
from vertex_emulator.gateway import endpoint_path
from vertex_emulator.gateway.call import Call
from vertex_emulator.gateway.pool import CALL_SECONDS, JSON, Pool
from vertex_emulator.http.connection import Connection, Request, Respond
from vertex_emulator.http.errors import RequestError

MAX_BYTES = 1_572_864  # of a request to a shared endpoint, 1.5 MB
SWEEP_SECONDS = 1.0

Admit = Callable[[dict[bytes, bytes]], ApiError | None]


@dataclass(frozen=True)
class Split:
    """The deployed models of an endpoint that get traffic.

    Attributes:
        ids: of the deployed models.
        bounds: for each, the percentage up to which a number below 100 chooses it.
    """

    ids: Sequence[str] = ()
    bounds: Sequence[int] = ()

    @classmethod
    def of(cls, shares: dict[str, int]) -> "Split":
        """Returns the split of percentages by deployed model."""
        some = {key: share for key, share in shares.items() if share}
        return cls(list(some), list(accumulate(some.values())))

    def choose(self) -> str:
        """Returns one of `ids` by chance, as often as its share says."""
        if len(self.ids) == 1:
            return self.ids[0]
        point = random.random() * self.bounds[-1]  # noqa: S311, no secret
        return self.ids[bisect_right(self.bounds, point)]


class _TooLargeError(RequestError):
    """The request is beyond `MAX_BYTES`."""


def too_large(size: int) -> ApiError:
    """The error of a request beyond `MAX_BYTES` (400, in Google's words).

    Args:
        size: bytes that are known of; there may be more.
    """
    return failed_precondition(
        f"The request size ({size} bytes) exceeds 1.500MB limit. Send fewer instances at a time,"
        " or use a batch prediction job."
    )


class Gateway:
    """Takes predictions from clients' connections, for the endpoints that it is told of.

    `publish`, `withdraw`, `attach`, `detach` and `pool` are for any thread, the rest for the
    loop's.

    Args:
        admit: says why a request with these headers is refused, if so.
        call_seconds: after which a request is answered with an error.
    """

    def __init__(self, admit: Admit, call_seconds: float = CALL_SECONDS) -> None:
        self.max_body = MAX_BYTES
        self.connections: set[Connection] = set()
        self.draining = False
        self.receiving = 0
        self.call_seconds = call_seconds
        self._splits: dict[str, Split] = {}
        self._pools: dict[str, Pool] = {}
        self._admit = admit

    # What there is; each change of a dictionary is whole by itself

    def publish(self, endpoint: str, shares: dict[str, int]) -> None:
        """Takes predictions for an endpoint, from now on with this traffic split.

        Args:
            endpoint: resource name.
            shares: percentages by the deployed models' ids; empty where none gets traffic.
        """
        self._splits[endpoint] = Split.of(shares)

    def withdraw(self, endpoint: str) -> None:
        """Takes no more predictions for an endpoint."""
        self._splits.pop(endpoint, None)

    def attach(self, pool: Pool) -> None:
        """Sends a deployed model the share of predictions that splits give it."""
        self._pools[pool.version.deployed_id] = pool

    def detach(self, pool: Pool) -> None:
        self._pools.pop(pool.version.deployed_id, None)

    def pool(self, deployed_id: str) -> Pool | None:
        """Returns the pool of a deployed model, or None."""
        return self._pools.get(deployed_id)

    # Predictions

    async def run(self) -> None:
        """Ends what takes too long, for ever."""
        loop = asyncio.get_running_loop()
        pause = min(SWEEP_SECONDS, self.call_seconds / 4)
        while True:
            await asyncio.sleep(pause)
            now = loop.time()
            for connection in list(self.connections):
                connection.close_if_overdue(now)
            for pool in list(self._pools.values()):
                pool.sweep(now)

    def admit(self, headers: dict[bytes, bytes]) -> RequestError | None:
        """Refuses what a web page of another site sends through the user's browser."""
        error = self._admit(headers)
        return None if error is None else RequestError(error.code, error.message)

    def too_large(self, size: int) -> RequestError:
        return _TooLargeError(400, too_large(size).message)

    def refusal(self, error: RequestError) -> bytes:
        """Returns the error in the shape that every Google API answers with."""
        if isinstance(error, _TooLargeError):
            return orjson.dumps(failed_precondition(error.message).body())
        return orjson.dumps(from_http_status(error.status, error.message).body())

    def handle(self, request: Request, respond: Respond) -> None:
        """Answers a request that came on a connection of predictions."""
        target = endpoint_path.parse(request.path)
        if target is None or request.method != "POST":
            error = invalid_argument(
                f"{request.method} {request.path[:200]} came behind a prediction that is not"
                " answered yet; wait for that, or use another connection."
            )
            respond(error.code, orjson.dumps(error.body()), JSON)
            return
        content_type = request.headers.get(b"content-type", b"application/json")
        self.predict(target, request.body, content_type, respond)

    def predict(
        self, target: endpoint_path.Target, body: bytes, content_type: bytes, respond: Respond
    ) -> None:
        """Answers a prediction.

        Args:
            target: the endpoint and the method.
            body: of at most `max_body` bytes.
            content_type: of the body.
            respond: called once, now or later.
        """
        try:
            pool = self._choose(target.endpoint)
        except ApiError as error:
            respond(error.code, orjson.dumps(error.body()), JSON)
            return
        now = asyncio.get_running_loop().time()
        pool.submit(Call(target.raw, body, content_type, respond, now))

    def _choose(self, name: str) -> Pool:
        split = self._splits.get(name)
        if split is None:
            raise missing("Endpoint", name[:500])
        if not split.ids:
            raise failed_precondition(
                f"{name} has no deployed model with traffic; deploy a model version to it first."
            )
        pool = self._pools.get(split.choose())
        if pool is None or self.draining:
            raise unavailable("The emulator is closing, or the traffic is being moved; try again.")
        return pool
