"""Service accounts that jobs and workflows may act as, and the roles of whoever acts."""

import shlex
from typing import Any

from cloud import rest
from cloud.client import Client
from cloud.resources.resource import Resource


class ServiceAccount(Resource):
    """An account to act as; it has no labels, its description marks it.

    Args:
        client: of Google Cloud.
        kind: ends its name, such as `trainer`.
        does: what it does with the model, such as `Trains`.
    """

    def __init__(self, client: Client, kind: str = "trainer", does: str = "Trains") -> None:
        super().__init__(client)
        self._kind, self._does = kind, does

    @property
    def email(self) -> str:
        """Its address, as for `submit --service-account`."""
        return f"{self.account_id}@{self.config.project}.iam.gserviceaccount.com"

    @property
    def member(self) -> str:
        """How IAM's policies name it."""
        return f"serviceAccount:{self.email}"

    @property
    def account_id(self) -> str:
        """The part before the @, of 6 to 30 letters."""
        room = 30 - len(f"-{self._kind}")
        return f"{self.config.name_stem[:room].rstrip('-')}-{self._kind}"

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
        return f"{self._does} the model {self.config.model}"

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
    """A role on the project, the bucket, the repository or a service account.

    Args:
        client: of Google Cloud.
        role: such as `roles/logging.logWriter`.
        place: `project`, `bucket`, `repository`, or the address of a service account.
        member: who gets it, as IAM writes it, such as `serviceAccount:ADDRESS`.
    """

    def __init__(self, client: Client, role: str, place: str, member: str) -> None:
        super().__init__(client)
        self._role, self._place, self._member = role, place, member

    @property
    def title(self) -> str:
        """What it is, in words."""
        place = self._place if "@" in self._place else f"the {self._place}"
        kind, _, name = self._member.partition(":")
        who = name if kind == "serviceAccount" else self._member.partition("/attribute.")[2]
        return f"{self._role} on {place} for {who}"

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
        account = ["gcloud", "iam", "service-accounts", "add-iam-policy-binding", self._place]
        command = commands.get(self._place, [*account, f"--project={config.project}"])
        return shlex.join([*command, f"--member={self._member}", f"--role={self._role}"])

    def _policy(self) -> dict[str, Any]:
        config = self.config
        if self._place == "project":
            path = f"v1/projects/{config.project}:getIamPolicy"
            return rest.call(self.client, "POST", "cloudresourcemanager", path, {})
        if self._place == "bucket":
            path = f"storage/v1/b/{config.bucket}/iam"
            return rest.call(self.client, "GET", "storage", path)
        if self._place == "repository":
            path = f"v1/{config.location}/repositories/{config.image_repository}:getIamPolicy"
            return rest.call(self.client, "GET", "artifactregistry", path)
        return rest.call(self.client, "POST", "iam", f"{self._account}:getIamPolicy")

    @property
    def _account(self) -> str:
        return f"v1/projects/{self.config.project}/serviceAccounts/{self._place}"

    def _set(self, policy: dict[str, Any]) -> None:
        """Writes the policy; its etag makes Google refuse where someone changed it meanwhile."""
        config = self.config
        if self._place == "project":
            path = f"v1/projects/{config.project}:setIamPolicy"
            rest.call(self.client, "POST", "cloudresourcemanager", path, {"policy": policy})
        elif self._place == "bucket":
            rest.call(self.client, "PUT", "storage", f"storage/v1/b/{config.bucket}/iam", policy)
        elif self._place == "repository":
            path = f"v1/{config.location}/repositories/{config.image_repository}:setIamPolicy"
            rest.call(self.client, "POST", "artifactregistry", path, {"policy": policy})
        else:
            body = {"policy": policy}
            rest.call(self.client, "POST", "iam", f"{self._account}:setIamPolicy", body)

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
        """Whether it is there: nobody else gives the project's accounts a role.

        Those on the bucket, the repository and an account go with these.
        """
        return self._place == "project" and self.exists()

    def remove(self) -> None:
        policy = self._policy()
        for binding in policy.get("bindings", []):
            if binding["role"] == self._role and self._member in binding["members"]:
                binding["members"].remove(self._member)
        policy["bindings"] = [each for each in policy["bindings"] if each["members"]]
        self._set(policy)
