"""A thing that the project needs on Google Cloud: it knows how it is found, made and removed."""

import time
from abc import ABC, abstractmethod
from typing import Any

from cloud import rest
from cloud.client import Client
from cloud.errors import UserError

OPERATION_SECONDS = 300


class Needed(ABC):
    """One thing that the project needs.

    Args:
        client: of Google Cloud.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.config = client.config

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is, in words."""

    @property
    @abstractmethod
    def gcloud(self) -> str:
        """The gcloud command that makes it."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether it is there."""

    @abstractmethod
    def make(self) -> None:
        """Makes it."""

    def is_ours(self) -> bool:
        """Whether it is there and carries the project's label."""
        return False

    def remove(self) -> None:
        """Removes it with all that is in it."""
        raise NotImplementedError(f"{self.title} stays")


def is_labelled(client: Client, labels: Any) -> bool:
    """Whether something carries the project's label."""
    return all(labels.get(key) == value for key, value in client.config.labels.items())


def wait(client: Client, service: str, operation: dict[str, Any]) -> None:
    """Waits for a long-running operation.

    Raises:
        UserError: it fails, or takes too long.
    """
    deadline = time.monotonic() + OPERATION_SECONDS
    while not operation.get("done"):
        if time.monotonic() > deadline:
            raise UserError(
                f"{service}: {operation['name']} goes on after {OPERATION_SECONDS} s; look again"
                " with 'nox -s doctor'."
            )
        time.sleep(client.poll_seconds)
        operation = rest.call(client, "GET", service, f"v1/{operation['name']}")
    if "error" in operation:
        raise UserError(f"{service}: {operation['error']['message']}")
