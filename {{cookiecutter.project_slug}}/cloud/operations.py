"""Long-running operations of Google's APIs: one way to wait for them all."""

import time
from typing import Any, Protocol

from google.api_core import exceptions

from cloud import rest
from cloud.client import Client
from cloud.console import say, step
from cloud.errors import UserError

MAX_SECONDS = 3600.0


class Operation(Protocol):
    """What Google's clients return, and `RestOperation` is like."""

    def done(self) -> bool:
        """Asks whether it has ended."""

    def result(self) -> Any:
        """Returns what it made; raises `GoogleAPICallError` where it failed."""


class RestOperation:
    """The operation of an API that is called without a client library.

    Source: https://cloud.google.com/resource-manager/reference/rest/Shared.Types/Operation.

    Args:
        client: of the target.
        service: name of the API, such as `serviceusage`.
        document: the operation's JSON.
        version: of the API.
    """

    def __init__(
        self, client: Client, service: str, document: dict[str, Any], version: str = "v1"
    ) -> None:
        self._client, self._service, self._document = client, service, document
        self._version = version

    @property
    def name(self) -> str:
        return str(self._document["name"])

    def done(self) -> bool:
        """Asks whether it has ended."""
        if not self._document.get("done"):
            path = f"{self._version}/{self.name}"
            self._document = rest.call(self._client, "GET", self._service, path)
        return bool(self._document.get("done"))

    def result(self) -> dict[str, Any]:
        """Returns what it made.

        Raises:
            GoogleAPICallError: it failed.
        """
        if "error" in self._document:
            raise exceptions.GoogleAPICallError(self._document["error"]["message"])
        found: dict[str, Any] = self._document.get("response", {})
        return found


def finish(client: Client, operation: Any, title: str) -> Any:
    """Waits for an operation, and returns its result.

    Args:
        client: of the target.
        operation: an `Operation`.
        title: what it does, such as `Deploying version 2`.

    Raises:
        UserError: it failed, or takes longer than an hour.
    """
    name = operation.name if isinstance(operation, RestOperation) else operation.operation.name
    deadline = time.monotonic() + MAX_SECONDS
    try:
        with step(title):
            while not operation.done():
                if time.monotonic() > deadline:
                    raise UserError(
                        f"{title} takes longer than {MAX_SECONDS / 60:.0f} minutes. It may still"
                        f" succeed; its operation is {name}."
                    )
                time.sleep(client.poll_seconds)
            return operation.result()
    except exceptions.GoogleAPICallError as error:
        raise UserError(f"{title} failed: {str(error.message).rstrip('.')}.") from error
    except KeyboardInterrupt:
        say(f"\n{title} continues on {client.target}. Its operation is {name}.")
        raise
