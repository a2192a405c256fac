"""Threads that overwrite, delete and move objects, and what must be there afterwards."""

import random
import threading
from dataclasses import dataclass, field
from urllib.parse import quote

import requests
from storage_server import client_of
from storage_uploading import md5


@dataclass
class Expected:
    """What a name may hold: what was acknowledged last, or what was under way at the end."""

    acknowledged: bytes | None = None
    under_way: list[bytes | None] = field(default_factory=list)


class Worker(threading.Thread):
    """Overwrites, deletes and moves its own few objects until the server is gone."""

    def __init__(self, url: str, number: int, expected: dict[str, Expected], seed: int) -> None:
        super().__init__()
        self._base = url
        self._random = random.Random(seed * 1000 + number)  # noqa: S311, no secret
        self._names = [f"worker {number}/{letter}" for letter in "abc"]
        self._expected = expected
        self.problems: list[str] = []

    def run(self) -> None:
        with requests.Session() as session:
            try:
                while True:
                    self._step(session)
            except requests.RequestException:
                return  # the server was killed

    def _step(self, session: requests.Session) -> None:
        name = self._random.choice(self._names)
        match self._random.randrange(8):
            case 0:
                self._change(
                    {name: None}, session, "DELETE", f"/storage/v1/b/load/o/{_quoted(name)}"
                )
            case 1:
                other = self._random.choice([each for each in self._names if each != name])
                content = self._expected[name].acknowledged
                path = f"/storage/v1/b/load/o/{_quoted(name)}/moveTo/o/{_quoted(other)}"
                if content is not None:
                    self._change({name: None, other: content}, session, "POST", path)
            case 2 | 3:
                path = "/upload/storage/v1/b/load/o?uploadType=resumable&name=" + _quoted(name)
                start = session.post(self._base + path, timeout=30)
                location = start.headers["location"].removeprefix(self._base)
                content = self._content()
                self._change({name: content}, session, "PUT", location, content)
            case _:
                path = "/upload/storage/v1/b/load/o?uploadType=media&name=" + _quoted(name)
                content = self._content()
                self._change({name: content}, session, "POST", path, content)

    def _content(self) -> bytes:
        word = self._random.randbytes(8)
        return word * self._random.choice([0, 1, 1000, 20_000, 300_000])

    def _change(
        self,
        changes: dict[str, bytes | None],
        session: requests.Session,
        method: str,
        path: str,
        body: bytes | None = None,
    ) -> None:
        for name, content in changes.items():
            self._expected[name].under_way = [content]
        response = session.request(method, self._base + path, data=body, timeout=30)
        if response.status_code >= 400 and response.status_code != 404:
            self.problems.append(f"{method} {path}: {response.status_code} {response.text}")
        for name, content in changes.items():
            self._expected[name] = Expected(content)


def _quoted(name: str) -> str:
    return quote(name, safe="")


def check(url: str, expected: dict[str, Expected]) -> None:
    """Compares every object with what it may be; settles what was under way."""
    client = client_of(url)
    found = {blob.name: blob for blob in client.list_blobs("load")}
    assert found.keys() <= expected.keys()
    for name, state in expected.items():
        content = found[name].download_as_bytes() if name in found else None
        assert content in (state.acknowledged, *state.under_way), name
        if content is not None:
            assert found[name].md5_hash == md5(content)
        expected[name] = Expected(content)
    client.close()
