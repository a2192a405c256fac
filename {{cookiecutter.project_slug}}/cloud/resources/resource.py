"""A resource that the project needs on Google Cloud: how it is found, created and removed."""

from abc import ABC, abstractmethod
from typing import Any

from cloud.client import Client


class Resource(ABC):
    """One resource that the project needs.

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
    def exists(self) -> bool: ...

    @abstractmethod
    def make(self) -> None: ...

    def is_ours(self) -> bool:
        """Whether it is there and carries the project's label."""
        return False

    def kept(self) -> tuple[str, ...]:
        """Returns the names of what is in it and stays, as the project did not create it."""
        return ()

    def remove(self) -> None:
        """Removes it with all that is in it."""
        raise NotImplementedError(f"{self.title} stays")


def is_labelled(client: Client, labels: Any) -> bool:
    """Whether something carries the project's label."""
    return all(labels.get(key) == value for key, value in client.config.labels.items())
