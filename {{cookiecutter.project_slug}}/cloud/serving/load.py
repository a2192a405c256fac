"""An open loop of predictions: requests are due by the clock, whether earlier ones are answered.

Users do not wait for each other: where the endpoint is slow, requests pile up, and the latency of
each counts from the moment when it was due. A closed loop, which asks again once it is answered,
hides that. Source: B. Schroeder, A. Wierman, M. Harchol-Balter, Open Versus Closed: A Cautionary
Tale, NSDI 2006.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from cloud.client import Client
from cloud.serving.prediction import message

# Requests that are on their way at once; what is due beyond them waits here, which counts.
AT_ONCE = 128
# Vertex AI answers within 60 s, or with an error.
ANSWER_SECONDS = 90.0
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes:
        seconds: from the moment when it was due to its answer.
        version: number of the version that answered, or "".
        problem: what was wrong, or "".
    """

    seconds: float
    version: str
    problem: str


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        rate: requests a second.
        seconds: for which they are due.
        bodies: of the requests, taken in turn.
    """

    rate: float
    seconds: float
    bodies: Sequence[dict[str, Any]]

    @property
    def count(self) -> int:
        return max(1, round(self.rate * self.seconds))


class Measured:
    """What became of the requests so far; threads write it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.outcomes: list[Outcome] = []
        self.late = 0.0  # seconds by which the generator itself was late, at the most

    def add(self, outcome: Outcome) -> None:
        with self._lock:
            self.outcomes.append(outcome)

    @property
    def problems(self) -> Counter[str]:
        """How often each problem occurred."""
        return Counter(each.problem for each in self.outcomes if each.problem)

    def versions(self) -> dict[str, list[Outcome]]:
        """Returns the right answers by version."""
        found: dict[str, list[Outcome]] = {}
        for each in self.outcomes:
            if not each.problem:
                found.setdefault(each.version, []).append(each)
        return dict(sorted(found.items()))


def run(client: Client, url: str, load: Load, measured: Measured) -> None:
    """Sends a load, and waits for the answers.

    Args:
        client: of the target.
        url: as `prediction.endpoint_url` returns it.
        load: what to send.
        measured: where the outcomes go, as they come: Ctrl-C loses none of them.
    """
    session = client.session
    session.mount(f"{url.partition('://')[0]}://", HTTPAdapter(pool_maxsize=AT_ONCE))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = time.monotonic()
        try:
            bodies = itertools.cycle(load.bodies)
            for number, body in zip(range(load.count), bodies, strict=False):
                due = begun + number / load.rate
                time.sleep(max(0.0, due - time.monotonic()))
                measured.late = max(measured.late, time.monotonic() - due)
                pool.submit(_ask, session, url, body, due, measured)
            pool.shutdown()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def quantile(seconds: Sequence[float], share: float) -> float:
    """Returns the least latency that a share of all does not exceed."""
    ordered = sorted(seconds)
    return ordered[max(0, -(-round(share * 1000) * len(ordered) // 1000) - 1)]


def _ask(session: Any, url: str, body: Any, due: float, measured: Measured) -> None:
    version = problem = ""
    try:
        response = session.post(url, json=body, timeout=ANSWER_SECONDS)
        if response.status_code == 200:
            version = str(response.json().get("modelVersionId", "?"))
        else:
            problem = f"{response.status_code}: {message(response.text)}"
    except (requests.RequestException, ValueError) as error:
        problem = f"no answer: {type(error).__name__}"
    measured.add(Outcome(time.monotonic() - due, version, problem))
