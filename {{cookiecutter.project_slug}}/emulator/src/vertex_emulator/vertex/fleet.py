"""The replicas of all deployed models: as many as the load wants, and each replaced when it dies.

One thread looks after all. It alone starts and stops processes, and it tells the gateway's pools
which replicas take requests.
"""

import asyncio
import contextlib
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psutil

from vertex_emulator.errors import ApiError, unavailable
from vertex_emulator.gateway.gateway import Gateway
from vertex_emulator.gateway.meter import Meter
from vertex_emulator.gateway.pool import Pool, Version
from vertex_emulator.gateway.upstream import Upstream
from vertex_emulator.pace import Pace
from vertex_emulator.processes.usage import Tree
from vertex_emulator.state.documents import Document
from vertex_emulator.vertex.scaling import Autoscaler, Bounds
from vertex_emulator.vertex.serving import ModelServer, ModelServers

LOOK_SECONDS = 0.1
MAX_PAUSE_SECONDS = 30.0  # between two starts of a server that does not come up
T = TypeVar("T")


@dataclass(eq=False)
class Member:
    """A process of a deployed model.

    Attributes:
        server: the process.
        upstream: it in the pool, once it is ready.
        tree: what it uses.
        retired: done once it owes no answer, where it is to end.
    """

    server: ModelServer
    upstream: Upstream | None = None
    tree: Tree | None = None
    retired: "Future[None] | None" = None


@dataclass(eq=False)
class Deployment:
    """A deployed model and its processes; written by the fleet's thread, but where it says so.

    Attributes:
        endpoint: resource name.
        deployed: the DeployedModel.
        version: the Model.
        pool: its side in the gateway.
        bounds: of its replicas; written by any thread.
        autoscaler: decides how many.
        members: all processes that have not ended.
        target: how many there should be.
        created: microseconds since the epoch.
        is_proven: whether a replica has come up since the start; before, the load says nothing.
        leaving: whether it is undeployed; written by any thread.
        failure: why no replica came up, where none did.
        failures: starts in a row that did not come up.
        start_after: moment before which none is started.
        look_at: moment of the next look at the load.
        answers: that the pool had given at the last look.
    """

    endpoint: str
    deployed: Document
    version: Document
    pool: Pool
    bounds: Bounds
    autoscaler: Autoscaler
    target: int
    members: list[Member] = field(default_factory=list)
    created: int = field(default_factory=lambda: time.time_ns() // 1000)
    is_proven: bool = False
    leaving: bool = False
    failure: ApiError | None = None
    failures: int = 0
    start_after: float = 0.0
    look_at: float = 0.0
    answers: int = 0

    @property
    def serving(self) -> list[Member]:
        """The processes that take requests."""
        return [each for each in self.members if each.upstream and each.retired is None]

    @property
    def staying(self) -> list[Member]:
        """The processes that take requests, or will."""
        return [each for each in self.members if each.retired is None]


class Fleet:
    """Keeps replicas running; `start` and `close` bound its life.

    Args:
        servers: starts the processes.
        gateway: sends them requests.
        pace: how soon replicas come and go.
    """

    def __init__(self, servers: ModelServers, gateway: Gateway, pace: Pace) -> None:
        self._servers = servers
        self._gateway = gateway
        self._pace = pace
        self._deployments: dict[str, Deployment] = {}
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)

    def start(self) -> None:
        """Begins to look after replicas; for the thread of the gateway's loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """Ends all replicas and waits for that."""
        self._closing.set()
        self._wake.set()
        self._thread.join()
        members = [each for one in self._deployments.values() for each in one.members]
        for member in members:
            member.server.stop(1.0)
        for member in members:
            member.server.run.wait(5.0)  # its log stays until the next start

    # For the resources' threads

    def deploy(self, endpoint: str, deployed: Document, version: Document) -> None:
        """Begins to keep replicas of a deployed model."""
        bounds = Bounds.of(deployed["dedicatedResources"])
        names = Version(
            endpoint.rpartition("/")[2],
            deployed["id"],
            deployed["model"],
            deployed["modelVersionId"],
            deployed["displayName"],
        )
        loop = self._loop
        assert loop is not None  # noqa: S101, the fleet has been started
        pool = Pool(names, loop, self._wake.set, self._gateway.call_seconds)
        autoscaler = Autoscaler(self._pace, time.monotonic())
        # Some come up at first, to show that the model can be served.
        self._deployments[deployed["id"]] = Deployment(
            endpoint, deployed, version, pool, bounds, autoscaler, target=bounds.initial
        )
        self._gateway.attach(pool)
        self._wake.set()

    def wait(self, deployed_id: str) -> None:
        """Waits until as many replicas answer as a deployment requires.

        Raises:
            ApiError: 400 FAILED_PRECONDITION where one ended instead, with its last words.
        """
        deployment = self._deployments[deployed_id]
        with self._changed:
            self._changed.wait_for(
                lambda: deployment.failure or len(deployment.serving) >= deployment.bounds.required
            )
        if deployment.failure is not None:
            raise deployment.failure

    def resize(self, deployed: Document) -> None:
        """Takes new bounds of a deployed model."""
        deployment = self._deployments.get(deployed["id"])
        if deployment is not None:
            deployment.bounds = Bounds.of(deployed["dedicatedResources"])
            deployment.look_at = 0.0
            self._wake.set()

    def undeploy(self, deployed_id: str) -> None:
        """Lets a deployed model that gets no more requests answer those it has, and end."""
        deployment = self._deployments.get(deployed_id)
        if deployment is not None:
            deployment.leaving = True
            self._wake.set()

    def deployments(self) -> list[Deployment]:
        return list(self._deployments.values())

    def measure(self, deployment: Deployment) -> Meter:
        """Returns a copy of what a deployed model has counted so far."""
        return self._call(lambda: deployment.pool.meter.since(Meter()))

    # For the fleet's own thread

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            for deployment in self.deployments():
                if self._closing.is_set():
                    return
                try:
                    self._tend(deployment)
                except Exception:  # a fault of ours with one model must not end the others' care
                    traceback.print_exc()

    def _tend(self, deployment: Deployment) -> None:
        now = time.monotonic()
        for member in list(deployment.members):
            self._look_after(deployment, member, now)
        if deployment.leaving:
            # Nothing new comes; what waits for a replica still gets one.
            owed = self._call(lambda: deployment.pool.outstanding)
            deployment.target = 1 if owed else 0
            if not owed and not deployment.members:
                self._forget(deployment)
                return
        elif deployment.is_proven and now >= deployment.look_at:
            deployment.look_at = now + self._pace.period
            self._decide(deployment, now)
        elif not deployment.target and deployment.pool.waiting:
            deployment.target = deployment.bounds.initial
        staying = deployment.staying
        for _ in range(deployment.target - len(staying)):
            if now >= deployment.start_after:
                self._launch(deployment)
        for member in self._superfluous(staying, len(staying) - deployment.target):
            self._retire(deployment, member)

    def _look_after(self, deployment: Deployment, member: Member, now: float) -> None:
        """Notices that a process has come up, refuses connections, owes nothing more or ended."""
        server = member.server
        if server.has_ended():
            deployment.members.remove(member)
            self._leave_pool(deployment, member)
            if member.upstream is None and member.retired is None:
                server.ready.wait()  # its failure is written down just now
                self._note_failure(deployment, server, now)
            server.remove()
        elif member.retired is not None:
            if member.retired.done() and not server.run.was_stopped():
                server.stop()
        elif member.upstream is None:
            if server.ready.is_set() and server.failure is None:
                self._enter_pool(deployment, member)
        elif not member.upstream.reachable and server.is_healthy():
            upstream = member.upstream
            self._call(lambda: deployment.pool.restore(upstream))

    def _enter_pool(self, deployment: Deployment, member: Member) -> None:
        server, pool = member.server, deployment.pool
        with contextlib.suppress(psutil.Error):
            member.tree = Tree(server.run.folder)
            member.tree.look()  # what loading took is no load
        member.upstream = self._call(lambda: pool.add(server.port, server.predict_route))
        deployment.failures, deployment.failure, deployment.is_proven = 0, None, True
        with self._changed:
            self._changed.notify_all()

    def _leave_pool(self, deployment: Deployment, member: Member) -> None:
        upstream, pool = member.upstream, deployment.pool
        if upstream is not None:
            self._call(lambda: pool.remove(upstream))

    def _note_failure(self, deployment: Deployment, server: ModelServer, now: float) -> None:
        deployment.failures += 1
        pause = min(LOOK_SECONDS * 2**deployment.failures, MAX_PAUSE_SECONDS)
        deployment.start_after = now + pause
        failure = server.failure
        if failure is not None and not deployment.serving:
            deployment.failure = failure
            self._call(lambda: deployment.pool.fail(unavailable(failure.message)))
        with self._changed:
            self._changed.notify_all()

    def _decide(self, deployment: Deployment, now: float) -> None:
        serving, pool = deployment.serving, deployment.pool
        load = 0.0
        for member in serving:
            with contextlib.suppress(psutil.Error):
                load += member.tree.look()[0] if member.tree else 0.0
        answers = pool.meter.total.count
        requests = bool(answers != deployment.answers or self._call(lambda: pool.outstanding))
        deployment.answers = answers
        if deployment.staying and not serving:
            return  # the first is still coming up
        deployment.target = deployment.autoscaler.decide(
            deployment.bounds, len(serving), load, requests=requests, now=now
        )

    def _launch(self, deployment: Deployment) -> None:
        try:
            server = self._servers.launch(
                deployment.endpoint, deployment.deployed, deployment.version
            )
        except (ApiError, OSError) as error:
            deployment.start_after = time.monotonic() + MAX_PAUSE_SECONDS
            deployment.failure = unavailable(f"A model server does not start: {error}")
            with self._changed:
                self._changed.notify_all()
        else:
            deployment.members.append(Member(server))

    @staticmethod
    def _superfluous(staying: list[Member], number: int) -> list[Member]:
        """Those that have come last: they are not ready yet, or have the least to lose."""
        return staying[len(staying) - number :] if number > 0 else []

    def _retire(self, deployment: Deployment, member: Member) -> None:
        upstream = member.upstream
        if upstream is None:
            member.retired = Future()
            member.retired.set_result(None)
        else:
            member.retired = self._begin(deployment.pool.retire(upstream))
        self._wake.set()

    def _forget(self, deployment: Deployment) -> None:
        del self._deployments[deployment.deployed["id"]]
        self._call(lambda: self._gateway.detach(deployment.pool))

    def _begin(self, work: Any) -> "Future[Any]":
        assert self._loop is not None  # noqa: S101
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _call(self, call: Callable[[], T]) -> T:
        """Calls in the loop's thread, and returns what that returns."""

        async def work() -> T:
            return call()

        result: T = self._begin(work()).result()
        return result
