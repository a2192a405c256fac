"""Long-running operations: what a call promises now and answers later.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.operations.
"""

import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from google.rpc import code_pb2

from vertex_emulator.errors import ApiError, invalid_argument, missing
from vertex_emulator.filters.conditions import Condition
from vertex_emulator.filters.language import Language
from vertex_emulator.pages import Position
from vertex_emulator.state.documents import Document, Documents
from vertex_emulator.times import now
from vertex_emulator.vertex.resources import Items, listing, new_id, newest

TYPES = "type.googleapis.com/google.cloud.aiplatform.v1."
EMPTY = "type.googleapis.com/google.protobuf.Empty"
DURATION = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?s")
MAX_SECONDS = 60.0  # of one wait; clients ask again
LANGUAGE = Language(fields=frozenset({"done", "name"}))


class Operations:
    """The `operations` of a location, wherever their names nest them."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def finished(
        self,
        resource: str,
        metadata: str,
        kind: str | None = None,
        response: Document | None = None,
    ) -> Document:
        """Records work that is done already.

        Args:
            resource: the resource that the operation is named under.
            metadata: message name of the metadata, such as `UploadModelOperationMetadata`.
            kind: message name of the response; None for an empty one.
            response: the response.

        Returns:
            The operation.
        """
        operation = self._new(resource, metadata)
        operation |= {"done": True, "response": _typed(kind, response)}
        self._documents.create("operation", _location(resource), operation)
        return _public(operation)

    def begun(self, resource: str, metadata: str, request: Document) -> Document:
        """Records work that goes on, with what is needed to do it again after a restart."""
        operation = self._new(resource, metadata) | {"request": request}
        self._documents.create("operation", _location(resource), operation)
        return operation

    def carry_out(
        self, operation: Document, kind: str, work: Callable[[], Document]
    ) -> threading.Thread:
        """Does the work in a thread and records its response, or its error."""

        def run() -> None:
            outcome: dict[str, Any]
            try:
                outcome = {"response": _typed(kind, work())}
            except ApiError as error:
                outcome = {"error": {"code": error.rpc_code, "message": error.message}}
            except Exception as error:
                message = f"Internal error of the emulator: {error!r}"
                outcome = {"error": {"code": code_pb2.INTERNAL, "message": message}}
                raise
            finally:
                self._documents.update(operation["name"], lambda found: _finish(found, outcome))

        thread = threading.Thread(target=run, name=operation["name"], daemon=True)
        thread.start()
        return thread

    def unfinished(self) -> list[Document]:
        """Returns the operations that the last emulator left open, oldest first."""
        return [each for each in reversed(self._documents.list("operation")) if "done" not in each]

    def get(self, name: str) -> Document:
        """Returns an operation, by its name or, as gcloud asks, by its location and number.

        Raises:
            ApiError: 404 NOT_FOUND.
        """
        location = _location(name)
        found = self._documents.get(name)
        if found is None and name.startswith(f"{location}/operations/"):
            end = name.removeprefix(location)
            found = self._documents.ending("operation", location, end)
        if found is None:
            raise missing("Operation", name)
        return _public(found)

    def list_page(self, parent: str, query: dict[str, str]) -> dict[str, Any]:
        """Returns a page of the operations of a location or of one resource, newest first."""
        all_there = newest(self._documents, "operation", _location(parent))

        def scan(after: Position | None, needed: Sequence[Condition]) -> Items:
            found = all_there(after, needed)
            return (item for item in found if item[1]["name"].startswith(f"{parent}/"))

        return listing("operations", scan, query, LANGUAGE, shown=_public)

    def wait(self, name: str, timeout: str | None) -> Document:
        """Waits until an operation is done, at most `timeout` (such as `30s`), and returns it.

        Raises:
            ApiError: 404 NOT_FOUND; 400 INVALID_ARGUMENT for a malformed timeout.
        """
        if not DURATION.fullmatch(timeout or "60s"):
            raise invalid_argument(f"timeout: expected seconds such as 30s, got {timeout!r}.")
        seconds = float((timeout or "60s").removesuffix("s"))
        deadline = time.monotonic() + min(seconds, MAX_SECONDS)
        while "done" not in (operation := self.get(name)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return operation

    def _new(self, resource: str, metadata: str) -> Document:
        moment = now()
        return {
            "name": f"{resource}/operations/{new_id()}",
            "metadata": {
                "@type": TYPES + metadata,
                "genericMetadata": {"createTime": moment, "updateTime": moment},
            },
        }


def _finish(operation: Document, outcome: Document) -> None:
    operation["metadata"]["genericMetadata"]["updateTime"] = now()
    operation |= {"done": True, **outcome}
    operation.pop("request", None)


def _typed(kind: str | None, response: Document | None) -> Document:
    return {"@type": EMPTY} if kind is None else {"@type": TYPES + kind, **(response or {})}


def _public(operation: Document) -> Document:
    return {key: value for key, value in operation.items() if key != "request"}


def _location(resource: str) -> str:
    return "/".join(resource.split("/")[:4])
