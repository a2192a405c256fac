"""The service account that training jobs may act as, and its roles."""

import shlex
from typing import Any

from cloud import rest
from cloud.client import Client
from cloud.resources.resource import Resource


class ServiceAccount(Resource):
    """The account that jobs may act as; it has no labels, its description marks it."""

    @property
    def email(self) -> str:
        """Its address, for `submit --service-account`."""
        return f"{self.account_id}@{self.config.project}.iam.gserviceaccount.com"

    @property
    def account_id(self) -> str:
        """The part before the @, of 6 to 30 letters."""
        return f"{self.config.name_stem[:22].rstrip('-')}-trainer"

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"service account {self.email}"

    @property
    def gcloud(self) -> str:
        """The gcloud command that makes it."""
        return shlex.join(
            [
                *("gcloud", "iam", "service-accounts", "create", self.account_id),
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
        return rest.find(self.client, "GET", "iam", f"{self._path}/{self.email}") is not None

    def make(self) -> None:
        body = {
            "accountId": self.account_id,
            "serviceAccount": {"description": self._description},
        }
        rest.call(self.client, "POST", "iam", self._path, body)

    def is_ours(self) -> bool:
        """Whether it is there and carries the project's mark."""
        found = rest.find(self.client, "GET", "iam", f"{self._path}/{self.email}")
        return found is not None and found.get("description") == self._description

    def remove(self) -> None:
        rest.call(self.client, "DELETE", "iam", f"{self._path}/{self.email}")


class Role(Resource):
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
        commands = {
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
        return shlex.join(
            [*commands[self._place], f"--member={self._member}", f"--role={self._role}"]
        )

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
        return any(
            binding["role"] == self._role and self._member in binding.get("members", [])
            for binding in self._policy().get("bindings", [])
        )

    def make(self) -> None:
        policy = self._policy()
        policy.setdefault("bindings", []).append({"role": self._role, "members": [self._member]})
        self._set(policy)

    def is_ours(self) -> bool:
        """Whether it is there: nobody else gives this account a role."""
        return self._place == "project" and self.exists()

    def remove(self) -> None:
        policy = self._policy()
        for binding in policy.get("bindings", []):
            if binding["role"] == self._role and self._member in binding["members"]:
                binding["members"].remove(self._member)
        policy["bindings"] = [each for each in policy["bindings"] if each["members"]]
        self._set(policy)
