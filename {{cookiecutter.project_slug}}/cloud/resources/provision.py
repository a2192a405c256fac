"""What the project needs on Google Cloud.

Everything that can carry a label carries the project's, and only such things are removed.
"""

import shlex
from collections.abc import Sequence
from typing import Any

from cloud import rest
from cloud.client import Client
from cloud.config import Config
from cloud.console import step
from cloud.monitoring import request_log
from cloud.operations import RestOperation, finish
from cloud.resources.accounts import Role, ServiceAccount
from cloud.resources.resource import Resource, is_labelled

APIS = (
    "aiplatform.googleapis.com",
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",  # logged requests lie there
    "cloudbilling.googleapis.com",
    "compute.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "storage.googleapis.com",
)
ROLES_OF_PROJECT = ("roles/aiplatform.user", "roles/logging.logWriter")
KEPT_DAYS = 30
# What the commands write into the bucket.
FOLDERS = ("batch/", "data/", "deployed/", "jobs/", "packages/")


def is_written(config: Config, name: str) -> bool:
    """Whether a command, or the emulator that logs requests for one, wrote an object."""
    logs = request_log.folder_pattern(config.model)
    return name.startswith(FOLDERS) or logs.match(name) is not None


class Apis(Resource):
    """APIs of Google Cloud; they stay enabled, since others may use them.

    Args:
        client: of Google Cloud.
        names: such as `storage.googleapis.com`; default: those that the commands call.
    """

    def __init__(self, client: Client, names: Sequence[str] = APIS) -> None:
        super().__init__(client)
        self._names = names

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"{len(self._names)} APIs"

    @property
    def gcloud(self) -> str:
        """The gcloud command that makes it."""
        return shlex.join(["gcloud", "services", "enable", *self._names, self._project_flag])

    @property
    def _project_flag(self) -> str:
        return f"--project={self.config.project}"

    def missing(self) -> list[str]:
        """Returns the APIs that are not enabled."""
        path = f"v1/projects/{self.config.project}/services:batchGet"
        services = f"projects/{self.config.project}/services"
        names = "&".join(f"names={services}/{name}" for name in self._names)
        found = rest.call(self.client, "GET", "serviceusage", f"{path}?{names}")
        enabled = {
            service["name"].rpartition("/")[2]
            for service in found.get("services", [])
            if service.get("state") == "ENABLED"
        }
        return [name for name in self._names if name not in enabled]

    def exists(self) -> bool:
        return not self.missing()

    def make(self) -> None:
        path = f"v1/projects/{self.config.project}/services:batchEnable"
        body = {"serviceIds": list(self._names)}
        operation = rest.call(self.client, "POST", "serviceusage", path, body)
        finish(self.client, RestOperation(self.client, "serviceusage", operation), self.title)


class Bucket(Resource):
    """The bucket: uniform access, and batch folders and broken uploads that go by themselves."""

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"bucket gs://{self.config.bucket}"

    @property
    def gcloud(self) -> str:
        """The gcloud command that makes it."""
        return shlex.join(
            [
                *("gcloud", "storage", "buckets", "create", f"gs://{self.config.bucket}"),
                f"--project={self.config.project}",
                f"--location={self.config.region}",
                "--uniform-bucket-level-access",
            ]
        )

    def found(self) -> dict[str, Any] | None:
        """Returns the bucket as the JSON API describes it, or None."""
        path = f"storage/v1/b/{self.config.bucket}"
        return rest.find(self.client, "GET", "storage", path)

    def exists(self) -> bool:
        return self.found() is not None

    def make(self) -> None:
        body = {
            "name": self.config.bucket,
            "location": self.config.region,
            "labels": self.config.labels,
            "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}},
            "lifecycle": {
                "rule": [
                    {
                        "action": {"type": "Delete"},
                        "condition": {"age": KEPT_DAYS, "matchesPrefix": ["batch/"]},
                    },
                    {
                        "action": {"type": "AbortIncompleteMultipartUpload"},
                        "condition": {"age": 7},
                    },
                ]
            },
        }
        query = {"project": self.config.project}
        rest.call(self.client, "POST", "storage", "storage/v1/b", body, query=query)

    def is_ours(self) -> bool:
        """Whether it is there and carries the project's label."""
        found = self.found()
        return found is not None and is_labelled(self.client, found.get("labels", {}))

    def remove(self) -> None:
        """Removes what the project wrote into it, and the bucket where nothing else is in it."""
        bucket = self.client.storage.bucket(self.config.bucket)
        with step(f"Removing {self.title}"):
            for blob in bucket.list_blobs():
                if is_written(self.config, blob.name):
                    blob.delete()
            if not self.kept():
                bucket.delete()

    def kept(self) -> tuple[str, ...]:
        """Returns the names of the objects that the project did not write."""
        names = (blob.name for blob in self.client.storage.list_blobs(self.config.bucket))
        return tuple(name for name in names if not is_written(self.config, name))


class Repository(Resource):
    """The Artifact Registry repository that passes on Docker Hub's images."""

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"repository {self.config.image_repository} of Artifact Registry"

    @property
    def gcloud(self) -> str:
        """The gcloud command that makes it."""
        return shlex.join(
            [
                *("gcloud", "artifacts", "repositories", "create", self.config.image_repository),
                f"--project={self.config.project}",
                f"--location={self.config.region}",
                "--repository-format=docker",
                "--mode=remote-repository",
                "--remote-docker-repo=DOCKER-HUB",
                f"--labels={','.join(f'{k}={v}' for k, v in self.config.labels.items())}",
            ]
        )

    def found(self) -> dict[str, Any] | None:
        """Returns the repository, or None."""
        path = f"v1/{self.config.location}/repositories/{self.config.image_repository}"
        return rest.find(self.client, "GET", "artifactregistry", path)

    def exists(self) -> bool:
        return self.found() is not None

    def make(self) -> None:
        body = {
            "format": "DOCKER",
            "mode": "REMOTE_REPOSITORY",
            "description": "Passes on the images of Docker Hub",
            "labels": self.config.labels,
            "remoteRepositoryConfig": {"dockerRepository": {"publicRepository": "DOCKER_HUB"}},
        }
        path = f"v1/{self.config.location}/repositories"
        query = {"repositoryId": self.config.image_repository}
        operation = rest.call(self.client, "POST", "artifactregistry", path, body, query=query)
        finish(self.client, RestOperation(self.client, "artifactregistry", operation), self.title)

    def is_ours(self) -> bool:
        """Whether it is there and carries the project's label."""
        found = self.found()
        return found is not None and is_labelled(self.client, found.get("labels", {}))

    def remove(self) -> None:
        """Removes it with all that is in it."""
        path = f"v1/{self.config.location}/repositories/{self.config.image_repository}"
        operation = rest.call(self.client, "DELETE", "artifactregistry", path)
        finish(self.client, RestOperation(self.client, "artifactregistry", operation), self.title)


def required(client: Client) -> list[Resource]:
    """Returns everything that the project needs, in the order in which it can be made."""
    account = ServiceAccount(client)
    return [
        Apis(client),
        Bucket(client),
        Repository(client),
        account,
        *(Role(client, role, "project", account.member) for role in ROLES_OF_PROJECT),
        Role(client, "roles/storage.objectAdmin", "bucket", account.member),
        Role(client, "roles/artifactregistry.reader", "repository", account.member),
    ]
