"""Many connections that ask an endpoint without a pause, and check each answer."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


class Load:
    """Asks between entering and leaving a `with`.

    Args:
        url: of the endpoint's `:predict`.
        check: says what is wrong with an answer to `{"instances": [{"x": X}]}`, or "".
        connections: each has one request on its way.

    Attributes:
        versions: number of right answers by `modelVersionId`.
        problems: what was wrong with the others.
    """

    def __init__(
        self, url: str, check: Callable[[float, dict[str, Any]], str], connections: int = 64
    ) -> None:
        self.versions: Counter[str] = Counter()
        self.problems: list[str] = []
        self._url = urlsplit(url)
        self._check = check
        self._connections = connections
        self._ending = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = True
        self._thread.join()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._connections):
                tasks.create_task(self._ask_on(number))

    async def _ask_on(self, number: int) -> None:
        """Asks on one connection to the end; that it breaks is a problem, too."""
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        asked = 0
        try:
            while not self._ending:
                x = float(1000 * number + asked % 1000)
                asked += 1
                status, answer = await self._ask(reader, writer, x)
                problem = f"status {status}: {answer}" if status != 200 else self._check(x, answer)
                if problem:
                    self.problems.append(problem)
                else:
                    self.versions[answer["modelVersionId"]] += 1
        except (OSError, EOFError, ValueError) as error:
            self.problems.append(f"connection {number}, request {asked}: {error!r}")
        finally:
            writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, x: float
    ) -> tuple[int, dict[str, Any]]:
        body = json.dumps({"instances": [{"x": x}]}).encode()
        writer.write(
            f"POST {self._url.path} HTTP/1.1\r\nHost: {self._url.netloc}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        return int(head[9:12]), json.loads(await reader.readexactly(length))
