"""What the project needs on Google Cloud: each thing knows how to be found, made and removed.

Everything that can carry a label carries the project's, and only such things are removed.
"""

import shlex
import time
from abc import ABC, abstractmethod
from typing import Any

from cloud import rest
from cloud.client import Client
from cloud.errors import UserError

APIS = (
    "aiplatform.googleapis.com",
    "artifactregistry.googleapis.com",
    "cloudbilling.googleapis.com",
    "compute.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "storage.googleapis.com",
)
ROLES_OF_PROJECT = ("roles/aiplatform.user", "roles/logging.logWriter")
KEPT_DAYS = 30
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


class Apis(Needed):
    """The APIs that the verbs call; they stay enabled, since others may use them."""

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"{len(APIS)} APIs"

    @property
    def gcloud(self) -> str:
        """The gcloud command that makes it."""
        return shlex.join(["gcloud", "services", "enable", *APIS, self._project_flag])

    @property
    def _project_flag(self) -> str:
        return f"--project={self.config.project}"

    def missing(self) -> list[str]:
        """Returns the APIs that are not enabled."""
        path = f"v1/projects/{self.config.project}/services:batchGet"
        names = "&".join(f"names=projects/{self.config.project}/services/{api}" for api in APIS)
        found = rest.call(self.client, "GET", "serviceusage", f"{path}?{names}")
        enabled = {
            service["name"].rpartition("/")[2]
            for service in found.get("services", [])
            if service.get("state") == "ENABLED"
        }
        return [api for api in APIS if api not in enabled]

    def exists(self) -> bool:
        """Whether it is there."""
        return not self.missing()

    def make(self) -> None:
        """Makes it."""
        path = f"v1/projects/{self.config.project}/services:batchEnable"
        operation = rest.call(self.client, "POST", "serviceusage", path, {"serviceIds": list(APIS)})
        wait(self.client, "serviceusage", operation)


class Bucket(Needed):
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
        """Whether it is there."""
        return self.found() is not None

    def make(self) -> None:
        """Makes it."""
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
        """Removes it with all that is in it."""
        bucket = self.client.storage.bucket(self.config.bucket)
        for blob in bucket.list_blobs():
            blob.delete()
        bucket.delete()


class Repository(Needed):
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
        """Whether it is there."""
        return self.found() is not None

    def make(self) -> None:
        """Makes it."""
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
        wait(self.client, "artifactregistry", operation)

    def is_ours(self) -> bool:
        """Whether it is there and carries the project's label."""
        found = self.found()
        return found is not None and is_labelled(self.client, found.get("labels", {}))

    def remove(self) -> None:
        """Removes it with all that is in it."""
        path = f"v1/{self.config.location}/repositories/{self.config.image_repository}"
        operation = rest.call(self.client, "DELETE", "artifactregistry", path)
        wait(self.client, "artifactregistry", operation)


class ServiceAccount(Needed):
    """The account that jobs may act as; it has no labels, its description marks it."""

    @property
    def email(self) -> str:
        """Its address, for `submit --service-account`."""
        # An account's id has 6 to 30 letters.
        name = f"{self.config.name_stem[:22].rstrip('-')}-trainer"
        return f"{name}@{self.config.project}.iam.gserviceaccount.com"

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"service account {self.email}"

    @property
    def gcloud(self) -> str:
        """The gcloud command that makes it."""
        name = self.email.partition("@")[0]
        return shlex.join(
            [
                *("gcloud", "iam", "service-accounts", "create", name),
                f"--project={self.config.project}",
                f"--description={self._description}",
            ]
        )

    @property
    def _description(self) -> str:
        return f"Trains the model {self.config.model}"

    @property
    def _path(self) -> str:
        return f"v1/projects/{self.config.project}/serviceAccounts"

    def exists(self) -> bool:
        """Whether it is there."""
        return rest.find(self.client, "GET", "iam", f"{self._path}/{self.email}") is not None

    def make(self) -> None:
        """Makes it."""
        body = {
            "accountId": self.email.partition("@")[0],
            "serviceAccount": {"description": self._description},
        }
        rest.call(self.client, "POST", "iam", self._path, body)

    def is_ours(self) -> bool:
        """Whether it is there and carries the project's mark."""
        found = rest.find(self.client, "GET", "iam", f"{self._path}/{self.email}")
        return found is not None and found.get("description") == self._description

    def remove(self) -> None:
        """Removes it."""
        rest.call(self.client, "DELETE", "iam", f"{self._path}/{self.email}")


class Role(Needed):
    """A role of the service account, on the project, the bucket or the repository.

    Args:
        client: of Google Cloud.
        role: such as `roles/logging.logWriter`.
        place: `project`, `bucket` or `repository`.
    """

    def __init__(self, client: Client, role: str, place: str) -> None:
        super().__init__(client)
        self._role, self._place = role, place
        self._member = f"serviceAccount:{ServiceAccount(client).email}"

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"{self._role} on the {self._place} for the service account"

    @property
    def gcloud(self) -> str:
        """The gcloud command that makes it."""
        config = self.config
        verbs = {
            "project": ["gcloud", "projects", "add-iam-policy-binding", config.project],
            "bucket": [
                *("gcloud", "storage", "buckets", "add-iam-policy-binding"),
                f"gs://{config.bucket}",
            ],
            "repository": [
                *("gcloud", "artifacts", "repositories", "add-iam-policy-binding"),
                *(config.image_repository, f"--location={config.region}"),
                f"--project={config.project}",
            ],
        }
        return shlex.join([*verbs[self._place], f"--member={self._member}", f"--role={self._role}"])

    def _policy(self) -> dict[str, Any]:
        config = self.config
        if self._place == "project":
            path = f"v1/projects/{config.project}:getIamPolicy"
            return rest.call(self.client, "POST", "cloudresourcemanager", path, {})
        if self._place == "bucket":
            path = f"storage/v1/b/{config.bucket}/iam"
            return rest.call(self.client, "GET", "storage", path)
        path = f"v1/{config.location}/repositories/{config.image_repository}:getIamPolicy"
        return rest.call(self.client, "GET", "artifactregistry", path)

    def _set(self, policy: dict[str, Any]) -> None:
        """Writes the policy; its etag makes Google refuse where someone changed it meanwhile."""
        config = self.config
        if self._place == "project":
            path = f"v1/projects/{config.project}:setIamPolicy"
            rest.call(self.client, "POST", "cloudresourcemanager", path, {"policy": policy})
        elif self._place == "bucket":
            rest.call(self.client, "PUT", "storage", f"storage/v1/b/{config.bucket}/iam", policy)
        else:
            path = f"v1/{config.location}/repositories/{config.image_repository}:setIamPolicy"
            rest.call(self.client, "POST", "artifactregistry", path, {"policy": policy})

    def exists(self) -> bool:
        """Whether it is there."""
        return any(
            binding["role"] == self._role and self._member in binding.get("members", [])
            for binding in self._policy().get("bindings", [])
        )

    def make(self) -> None:
        """Makes it."""
        policy = self._policy()
        policy.setdefault("bindings", []).append({"role": self._role, "members": [self._member]})
        self._set(policy)

    def is_ours(self) -> bool:
        """Whether it is there: nobody else gives this account a role."""
        return self._place == "project" and self.exists()

    def remove(self) -> None:
        """Removes it."""
        policy = self._policy()
        for binding in policy.get("bindings", []):
            if binding["role"] == self._role and self._member in binding["members"]:
                binding["members"].remove(self._member)
        policy["bindings"] = [each for each in policy["bindings"] if each["members"]]
        self._set(policy)


def needed(client: Client) -> list[Needed]:
    """Returns everything that the project needs, in the order in which it can be made."""
    return [
        Apis(client),
        Bucket(client),
        Repository(client),
        ServiceAccount(client),
        *(Role(client, role, "project") for role in ROLES_OF_PROJECT),
        Role(client, "roles/storage.objectAdmin", "bucket"),
        Role(client, "roles/artifactregistry.reader", "repository"),
    ]


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
