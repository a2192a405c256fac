"""The emulator's side of a replica: blocks go there, and word comes back when they are done."""

import contextlib
import http.client
import socket
import threading

import orjson

from vertex_emulator.batch.task import ROUTE, Done, Task
from vertex_emulator.errors import ApiError, internal, invalid_argument

TIMEOUT_SECONDS = 600.0  # of a block; it is large, and the model may be slow


class ReplicaLostError(Exception):
    """The replica does not answer any more."""


class BatchReplica:
    """One process that predicts blocks; may be used by several threads at once.

    Args:
        port: on loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Breaks off the requests that are under way: `predict` raises ReplicaLostError there."""
        for connection in self._connections:
            if connection.sock is not None:
                with contextlib.suppress(OSError):  # it may just have been closed
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def predict(self, task: Task, data: bytes) -> Done:
        """Has a block predicted; its output is in the task's files then.

        Raises:
            ApiError: 400 INVALID_ARGUMENT where the block cannot be read as the task says; 500
                INTERNAL for a fault of the replica's.
            ReplicaLostError: it does not answer.
        """
        status, content = self._post(task.encode(data))
        if status == 200:
            return Done(**orjson.loads(content))
        raise _refused(status, content)

    def _post(self, body: bytes) -> tuple[int, bytes]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=TIMEOUT_SECONDS
            )
            self._local.connection = connection
            self._connections.append(connection)
        try:
            connection.request("POST", ROUTE, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            self._local.connection = None
            raise ReplicaLostError(f"the model server does not answer: {error!r}") from error


def _refused(status: int, content: bytes) -> ApiError:
    message = str(orjson.loads(content)["error"])
    return invalid_argument(message) if status == 400 else internal(message)
