"""What a repository of GitHub needs to deliver to Google Cloud without a key.

A workflow of the repository gets a token from GitHub, which says whose it is. A pool of Workload
Identity Federation trusts these tokens where they name the repository, and lets them act as a
service account. Source:
https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines.
"""

import re
import shlex
from functools import cached_property
from typing import Any

from cloud import rest
from cloud.client import Client
from cloud.errors import UserError
from cloud.operations import RestOperation, finish
from cloud.resources.accounts import Role, ServiceAccount
from cloud.resources.provision import Apis
from cloud.resources.resource import Resource

APIS = (
    "cloudresourcemanager.googleapis.com",
    "iamcredentials.googleapis.com",
    "sts.googleapis.com",
)
MAPPING = {
    "google.subject": "assertion.sub",
    "attribute.repository": "assertion.repository",
}
ISSUER = "https://token.actions.githubusercontent.com"
REPOSITORY = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}")
ROLES_OF_PROJECT = (
    "roles/aiplatform.user",
    "roles/logging.viewer",
    "roles/monitoring.viewer",
)
# The second lets it see that the bucket is there.
ROLES_OF_BUCKET = ("roles/storage.objectAdmin", "roles/storage.legacyBucketReader")


class Pool(Resource):
    """The pool of identities, one for each project of this template; it has no labels."""

    @property
    def pool_id(self) -> str:
        """Its name, of 4 to 32 letters."""
        return f"{self.config.name_stem[:25].rstrip('-')}-github"

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"workload identity pool {self.pool_id}"

    @property
    def path(self) -> str:
        """Its address below that of IAM."""
        return f"{self._parent}/{self.pool_id}"

    @property
    def _parent(self) -> str:
        return f"v1/projects/{self.config.project}/locations/global/workloadIdentityPools"

    @property
    def gcloud(self) -> str:
        """The gcloud command that makes it."""
        return shlex.join(
            [
                *("gcloud", "iam", "workload-identity-pools", "create", self.pool_id),
                *("--location=global", f"--project={self.config.project}"),
                f"--description={self._description}",
            ]
        )

    @property
    def _description(self) -> str:
        return f"Delivers the model {self.config.model}"

    def found(self) -> dict[str, Any] | None:
        """Returns the pool, or None; one that was removed is there for 30 days, as `DELETED`."""
        return rest.find(self.client, "GET", "iam", self.path)

    def exists(self) -> bool:
        return _is_active(self.found())

    def make(self) -> None:
        if self.found() is not None:
            _do(self, "POST", f"{self.path}:undelete", {})
            return
        body = {"description": self._description}
        _do(self, "POST", self._parent, body, workloadIdentityPoolId=self.pool_id)

    def is_ours(self) -> bool:
        """Whether it is there and carries the project's mark."""
        found = self.found()
        return _is_active(found) and (found or {}).get("description") == self._description

    def remove(self) -> None:
        _do(self, "DELETE", self.path)


class Provider(Resource):
    """What the pool trusts: GitHub's tokens, where they are of one repository.

    Args:
        client: of Google Cloud.
        repository: as `OWNER/REPO`.
    """

    def __init__(self, client: Client, repository: str) -> None:
        super().__init__(client)
        self._pool = Pool(client)
        self._body: dict[str, Any] = {
            "attributeMapping": MAPPING,
            "attributeCondition": f"assertion.repository == '{repository}'",
            "oidc": {"issuerUri": ISSUER},
        }

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"provider github of {self._pool.title}"

    @property
    def path(self) -> str:
        """Its address below that of IAM."""
        return f"{self._pool.path}/providers/github"

    @property
    def gcloud(self) -> str:
        """The gcloud command that makes it."""
        mapping = ",".join(f"{name}={of}" for name, of in MAPPING.items())
        return shlex.join(
            [
                *("gcloud", "iam", "workload-identity-pools", "providers", "create-oidc", "github"),
                f"--workload-identity-pool={self._pool.pool_id}",
                *("--location=global", f"--project={self.config.project}"),
                f"--issuer-uri={ISSUER}",
                f"--attribute-mapping={mapping}",
                f"--attribute-condition={self._body['attributeCondition']}",
            ]
        )

    def exists(self) -> bool:
        """Whether it is there and trusts this repository.

        Raises:
            UserError: it trusts another one.
        """
        found = rest.find(self.client, "GET", "iam", self.path)
        if found is None or not _is_active(found):
            return False
        if found.get("attributeCondition") != self._body["attributeCondition"]:
            raise UserError(
                f"{self.title} is there with the condition {found.get('attributeCondition')!r},"
                f" expected {self._body['attributeCondition']!r}; remove it first, with"
                " 'CLOUD_TARGET=cloud nox -s teardown' or gcloud."
            )
        return True

    def make(self) -> None:
        if rest.find(self.client, "GET", "iam", self.path) is not None:
            _do(self, "POST", f"{self.path}:undelete", {})
            _do(self, "PATCH", self.path, self._body, updateMask=",".join(self._body))
            return
        path = f"{self._pool.path}/providers"
        _do(self, "POST", path, self._body, workloadIdentityPoolProviderId="github")


class Federation:
    """What `setup --github` makes, and the two variables that the workflow reads.

    Args:
        client: of Google Cloud.
        repository: as `OWNER/REPO`.

    Raises:
        UserError: it is no repository's name.
    """

    def __init__(self, client: Client, repository: str) -> None:
        if not REPOSITORY.fullmatch(repository):
            raise UserError(
                "--github: expected the repository as OWNER/REPO, such as"
                f" my-team/{client.config.name_stem}, got {repository!r}."
            )
        self._client, self._repository = client, repository
        self._account = delivery_account(client)
        self._provider = Provider(client, repository)

    @cached_property
    def _number(self) -> str:
        """The project's number, which principals are named by."""
        path = f"v1/projects/{self._client.config.project}"
        found = rest.call(self._client, "GET", "cloudresourcemanager", path)
        return str(found["projectNumber"])

    def apis(self) -> Resource:
        """Returns the APIs, without which nothing else can be looked for."""
        return Apis(self._client, APIS)

    def required(self) -> list[Resource]:
        """Returns everything else, in the order in which it can be made."""
        client, account = self._client, self._account
        pool = f"projects/{self._number}/locations/global/workloadIdentityPools"
        member = (
            f"principalSet://iam.googleapis.com/{pool}/{Pool(client).pool_id}"
            f"/attribute.repository/{self._repository}"
        )
        return [
            Pool(client),
            self._provider,
            account,
            *(Role(client, role, "project", account.member) for role in ROLES_OF_PROJECT),
            *(Role(client, role, "bucket", account.member) for role in ROLES_OF_BUCKET),
            Role(client, "roles/iam.workloadIdentityUser", account.email, member),
        ]

    def variables(self) -> dict[str, str]:
        """Returns the repository's variables by their names in `.github/workflows/`."""
        name = self._provider.path.removeprefix("v1/").removeprefix("projects/")
        return {
            "WORKLOAD_IDENTITY_PROVIDER": f"projects/{self._number}/{name.partition('/')[2]}",
            "DELIVERY_ACCOUNT": self._account.email,
        }


def delivery_account(client: Client) -> ServiceAccount:
    """Returns the account that the workflow acts as."""
    return ServiceAccount(client, "delivery", "Delivers")


def removable(client: Client) -> list[Resource]:
    """Returns what `teardown` removes where it is the project's, in the order of its making."""
    account = delivery_account(client)
    roles = [Role(client, role, "project", account.member) for role in ROLES_OF_PROJECT]
    return [Pool(client), account, *roles]


def _is_active(found: dict[str, Any] | None) -> bool:
    return found is not None and found.get("state") != "DELETED"


def _do(resource: Resource, method: str, path: str, body: Any = None, **query: str) -> None:
    """Calls a method of IAM that takes a while, and waits for its end."""
    client = resource.client
    operation = rest.call(client, method, "iam", path, body, query=query)
    finish(client, RestOperation(client, "iam", operation), resource.title)
