"""Which endpoint a request names, and which of its deployed models gets it.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/predict
and `…/rawPredict` of the same collection.
"""

import asyncio
import random
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import orjson

from vertex_emulator.errors import ApiError, failed_precondition, invalid_argument, unavailable
from vertex_emulator.gateway.call import Call
from vertex_emulator.gateway.pool import CALL_SECONDS, JSON, Pool
from vertex_emulator.guard import Guard
from vertex_emulator.model_server.connection import Connection, Request, Respond
from vertex_emulator.model_server.errors import RequestError
from vertex_emulator.vertex.resources import missing

MOST_BYTES = 1_500_000  # of a request to a shared endpoint
SWEEP_SECONDS = 1.0

_PART = r"[^/:?#%\x00-\x20]+"
_TARGET = re.compile(
    rf"/(?:v1|v1beta1|ui)/(projects/{_PART}/locations/{_PART}/endpoints/{_PART})"
    r":(predict|rawPredict)(?:\?.*)?",
    re.DOTALL,
)
_STATUSES = {403: "PERMISSION_DENIED", 408: "DEADLINE_EXCEEDED", 503: "UNAVAILABLE"}


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


class Gateway:
    """Takes predictions from clients' connections; all methods are for the loop's thread.

    Args:
        guard: knows who may ask.
        call_seconds: after which a request is answered with an error.

    Attributes:
        splits: of all endpoints, by resource name; may be changed by any thread.
        pools: of all deployed models, by id; may be changed by any thread.
    """

    def __init__(self, guard: Guard, call_seconds: float = CALL_SECONDS) -> None:
        self.max_body = MOST_BYTES
        self.connections: set[Connection] = set()
        self.draining = False
        self.receiving = 0
        self.splits: dict[str, Split] = {}
        self.pools: dict[str, Pool] = {}
        self.call_seconds = call_seconds
        self._guard = guard

    async def run(self) -> None:
        """Ends what takes too long, for ever."""
        loop = asyncio.get_running_loop()
        pause = min(SWEEP_SECONDS, self.call_seconds / 4)
        while True:
            await asyncio.sleep(pause)
            now = loop.time()
            for connection in list(self.connections):
                connection.close_if_overdue(now)
            for pool in list(self.pools.values()):
                pool.sweep(now)

    def admit(self, headers: dict[bytes, bytes]) -> RequestError | None:
        """Refuses what a web page of another site sends through the user's browser."""
        error = self._guard.refusal(headers)
        return None if error is None else RequestError(error.code, error.message)

    def refusal(self, error: RequestError) -> bytes:
        """Returns the error in the shape that every Google API answers with."""
        status = _STATUSES.get(error.status, "INVALID_ARGUMENT")
        return orjson.dumps(ApiError(error.status, status, error.message).body())

    def handle(self, request: Request, respond: Respond) -> None:
        """Answers a request that came on a connection of predictions."""
        found = _TARGET.fullmatch(request.path)
        if found is None or request.method != "POST":
            error = invalid_argument(
                f"{request.method} {request.path[:200]} came behind a prediction that is not"
                " answered yet; wait for that, or use another connection."
            )
            respond(error.code, orjson.dumps(error.body()), JSON)
            return
        content_type = request.headers.get(b"content-type", b"application/json")
        self.predict(found[1], found[2] == "rawPredict", request.body, content_type, respond)

    def predict(
        self, name: str, raw: bool, body: bytes, content_type: bytes, respond: Respond
    ) -> None:
        """Answers a prediction.

        Args:
            name: the endpoint's resource name.
            raw: whether the container's own answer is asked for.
            body: of at most `max_body` bytes.
            content_type: of the body.
            respond: called once, now or later.
        """
        try:
            pool = self._pool(name)
        except ApiError as error:
            respond(error.code, orjson.dumps(error.body()), JSON)
            return
        now = asyncio.get_running_loop().time()
        pool.submit(Call(raw, body, content_type, respond, now))

    def _pool(self, name: str) -> Pool:
        split = self.splits.get(name)
        if split is None:
            raise missing("Endpoint", name[:500])
        if not split.ids:
            raise failed_precondition(
                f"{name} has no deployed model with traffic; deploy a model version to it first."
            )
        pool = self.pools.get(split.choose())
        if pool is None or self.draining:
            raise unavailable("The emulator is closing, or the traffic is being moved; try again.")
        return pool
