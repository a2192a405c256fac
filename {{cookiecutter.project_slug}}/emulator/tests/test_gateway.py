"""Where a call goes, and what a client hears when a replica is slow, silent or gone."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from vertex_emulator.gateway import pool as pools
from vertex_emulator.gateway.call import Call
from vertex_emulator.gateway.gateway import Gateway, Split
from vertex_emulator.gateway.pool import Pool, Version
from vertex_emulator.guard import Guard
from vertex_emulator.http import connection as connections
from vertex_emulator.http.connection import Connection

ANSWER = b'{"predictions":[1.0]}'
ENDPOINT = "projects/p/locations/l/endpoints/7"
VERSION = Version("7", "42", "projects/p/locations/l/models/m", "3", 'a "name"')


class Upstream:
    """A replica under the test's control: answers a request when it is told what to do with it."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[bytes, asyncio.StreamWriter]] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await self.asked.put((await reader.readexactly(length), writer))
        except (OSError, EOFError):
            pass

    def stop(self) -> None:
        """Refuses connections from now on, and breaks those that are open."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()


def answer(writer: asyncio.StreamWriter, body: bytes = ANSWER, status: int = 200) -> None:
    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


class Client:
    """Sends calls to a pool and keeps the answers."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def ask(self, body: bytes = b"{}", *, raw: bool = False) -> "asyncio.Future[tuple[int, Any]]":
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[tuple[int, Any]] = loop.create_future()

        def respond(status: int, content: bytes, _type: str, headers: bytes = b"", /) -> None:
            answered.set_result((status, (content, headers) if raw else json.loads(content)))

        self._pool.submit(Call(raw, body, b"application/json", respond, loop.time()))
        return answered


def run(test: Callable[[Pool, Client, list[Upstream]], Awaitable[None]], replicas: int) -> Pool:
    """Runs a test with a pool of replicas; returns the pool."""

    async def main() -> Pool:
        pool = Pool(VERSION, asyncio.get_running_loop())
        upstreams = [Upstream() for _ in range(replicas)]
        for each in upstreams:
            pool.add(await each.start(), "/predict")
        async with asyncio.timeout(60):
            await test(pool, Client(pool), upstreams)
        for each in upstreams:
            each.stop()
        return pool

    return asyncio.run(main())


def test_an_answer_names_its_version() -> None:
    async def test(_pool: Pool, client: Client, upstreams: list[Upstream]) -> None:
        asked = client.ask(b'{"instances": [1]}')
        body, writer = await upstreams[0].asked.get()
        assert body == b'{"instances": [1]}'
        answer(writer, b'{"predictions":[NaN]}')
        status, document = await asked
        assert status == 200
        assert document["deployedModelId"] == "42"
        assert document["modelVersionId"] == "3"
        assert document["modelDisplayName"] == 'a "name"'
        assert str(document["predictions"]) == "[nan]"

        asked = client.ask(raw=True)
        answer((await upstreams[0].asked.get())[1], b"no JSON", 418)
        status, (content, headers) = await asked
        assert (status, content) == (418, b"no JSON")
        assert b"X-Vertex-AI-Deployed-Model-Id: 42\r\n" in headers

    pool = run(test, 1)
    assert pool.meter.answers == {200: 1, 418: 1}


@pytest.mark.parametrize(
    ("status", "body", "code", "name"),
    [
        (400, b'{"error": "wrong"}', 400, "INVALID_ARGUMENT"),
        (503, b'{"error": "full"}', 503, "UNAVAILABLE"),
        (500, b"\xff", 500, "INTERNAL"),
        (200, b"[1]", 500, "INTERNAL"),
        (200, b"{}", 500, "INTERNAL"),
    ],
)
def test_a_containers_error_becomes_googles(status: int, body: bytes, code: int, name: str) -> None:
    async def test(_pool: Pool, client: Client, upstreams: list[Upstream]) -> None:
        asked = client.ask()
        answer((await upstreams[0].asked.get())[1], body, status)
        got, document = await asked
        assert (got, document["error"]["code"], document["error"]["status"]) == (code, code, name)

    run(test, 1)


def test_the_replica_with_the_fewest_calls_gets_the_next() -> None:
    async def test(pool: Pool, client: Client, upstreams: list[Upstream]) -> None:
        asked = [client.ask() for _ in range(4)]
        assert [len(each.calls) for each in pool.upstreams] == [2, 2]
        first = [(await upstreams[0].asked.get())[1] for _ in range(2)]
        for writer in first:
            answer(writer)
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        while pool.upstreams[0].calls:
            await asyncio.sleep(0)
        asked += [client.ask(), client.ask()]
        assert [len(each.calls) for each in pool.upstreams] == [2, 2]
        for upstream in upstreams:
            for _ in range(2):
                answer((await upstream.asked.get())[1])
        assert [status for status, _ in await asyncio.gather(*asked)] == [200] * 6

    run(test, 2)


def test_what_no_answer_had_begun_for_goes_elsewhere() -> None:
    async def test(pool: Pool, client: Client, upstreams: list[Upstream]) -> None:
        asked = client.ask()
        await upstreams[0].asked.get()
        upstreams[0].stop()
        answer((await upstreams[1].asked.get())[1])
        assert (await asked)[0] == 200
        # The first one refuses connections now; what it has not seen does not count as lost.
        others = [client.ask() for _ in range(3)]
        for _ in others:
            answer((await upstreams[1].asked.get())[1])
        assert [status for status, _ in await asyncio.gather(*others)] == [200] * 3
        assert len(pool.upstreams) == 1

    run(test, 2)


def test_what_is_partly_answered_does_not() -> None:
    async def test(_pool: Pool, client: Client, upstreams: list[Upstream]) -> None:
        asked = client.ask()
        _body, writer = await upstreams[0].asked.get()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()
        status, document = await asked
        assert (status, document["error"]["status"]) == (503, "UNAVAILABLE")
        assert upstreams[1].asked.empty()

    run(test, 2)


def test_a_call_may_end_few_replicas() -> None:
    async def test(_pool: Pool, client: Client, upstreams: list[Upstream]) -> None:
        asked = client.ask()
        for upstream in upstreams[: pools.MAX_LOSSES]:
            await upstream.asked.get()
            upstream.stop()
        assert (await asked)[0] == 503
        assert all(each.asked.empty() for each in upstreams)

    run(test, pools.MAX_LOSSES + 1)


def test_a_full_queue_sheds_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MAX_AT_ONCE", 1)
    monkeypatch.setattr(pools, "MAX_WAITING", 2)
    monkeypatch.setattr(pools, "MAX_WAITING_BYTES", 100)

    async def test(pool: Pool, client: Client, upstreams: list[Upstream]) -> None:
        taken = [client.ask(), client.ask(b"x" * 60)]
        for body in (b"x" * 60, b""):
            refused = client.ask(body)
            if body:
                status, document = await refused
                assert (status, document["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
            else:
                taken.append(refused)
        assert (await client.ask())[0] == 429
        for _ in taken:
            answer((await upstreams[0].asked.get())[1])
        assert [status for status, _ in await asyncio.gather(*taken)] == [200] * 3
        assert pool.outstanding == 0

    run(test, 1)


def test_a_retired_replica_answers_what_it_has() -> None:
    async def test(pool: Pool, client: Client, upstreams: list[Upstream]) -> None:
        asked = client.ask()
        _body, writer = await upstreams[0].asked.get()
        retired = asyncio.ensure_future(pool.retire(pool.upstreams[0]))
        other = client.ask()
        answer((await upstreams[1].asked.get())[1])
        assert (await other)[0] == 200
        assert not retired.done()
        answer(writer)
        await retired
        assert (await asked)[0] == 200

    run(test, 2)


def test_calls_wait_for_a_replica() -> None:
    async def test(pool: Pool, client: Client, _upstreams: list[Upstream]) -> None:
        asked = [client.ask(), client.ask()]
        late = Upstream()
        pool.add(await late.start(), "/predict")
        for _ in asked:
            answer((await late.asked.get())[1])
        assert [status for status, _ in await asyncio.gather(*asked)] == [200] * 2
        late.stop()

    run(test, 0)


def test_a_slow_model_is_not_waited_for() -> None:
    async def main() -> None:
        gateway = Gateway(Guard(80).refusal, call_seconds=0.2)
        pool = Pool(VERSION, asyncio.get_running_loop(), call_seconds=gateway.call_seconds)
        gateway.attach(pool)
        sweeping = asyncio.create_task(gateway.run())
        client, upstream = Client(pool), Upstream()
        status, document = await client.ask()
        assert (status, document["error"]["status"]) == (503, "UNAVAILABLE")
        pool.add(await upstream.start(), "/predict")
        status, document = await client.ask()
        assert (status, document["error"]["status"]) == (504, "DEADLINE_EXCEEDED")
        assert pool.outstanding == 0
        upstream.stop()
        sweeping.cancel()

    asyncio.run(main())


def test_a_split_is_followed() -> None:
    split = Split.of({"1": 90, "2": 0, "3": 10})
    assert (list(split.ids), list(split.bounds)) == (["1", "3"], [90, 100])
    chosen = [split.choose() for _ in range(4000)]
    assert set(chosen) == {"1", "3"}
    assert 3400 < chosen.count("1") < 3800  # 3600 expected; 10 standard deviations either way


def test_bodies_on_their_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_RECEIVING", 1000)
    top = b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n"

    async def main() -> None:
        gateway = Gateway(Guard(80).refusal)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(gateway), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def begin(part: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(top + part)
            return reader, writer

        async def until(count: int) -> None:
            while gateway.receiving != count:
                await asyncio.sleep(0)

        reader, writer = await begin(b"x" * 500)
        await until(500)
        refused, other = await begin(b"x" * 600)
        text = (await refused.read()).decode()
        assert text.startswith("HTTP/1.1 503 "), text
        error = json.loads(text.partition("\r\n\r\n")[2])["error"]
        assert error["status"] == "UNAVAILABLE"
        assert gateway.receiving == 500
        _lost, third = await begin(b"x" * 100)
        await until(600)
        third.transport.abort()
        await until(500)
        writer.write(b"x" * 400)
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        assert gateway.receiving == 0
        for each in (writer, other):
            each.close()
        server.close()

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


def test_a_slow_client_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.1)

    async def main() -> None:
        gateway = Gateway(Guard(80).refusal, call_seconds=1.0)
        sweeping = asyncio.create_task(gateway.run())
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(gateway), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for part in (b"P", b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(part)
            text = (await reader.read()).decode()
            assert text.startswith("HTTP/1.1 408 "), text
            error = json.loads(text.partition("\r\n\r\n")[2])["error"]
            assert error["status"] == "DEADLINE_EXCEEDED"
            writer.close()
        server.close()
        sweeping.cancel()

    asyncio.run(main())
