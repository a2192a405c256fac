"""The one module that knows which target it talks to.

Everything else asks this client, and runs unchanged on the emulator and on Google Cloud.
"""

import shlex
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import google.auth
import google.auth.credentials
import google.auth.exceptions
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.transport.requests import AuthorizedSession

from cloud import emulator
from cloud.config import Config
from cloud.errors import UserError

VERTEX = "aiplatform"  # Vertex AI's name among the APIs
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


class Client:
    """Google's clients for the target of a configuration.

    On the emulator they are the same clients with its address and no credentials. It is started
    in the background where it does not run.

    Args:
        config: the project's values.

    Raises:
        UserError: there are no credentials for Google Cloud, or the emulator does not start.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.is_emulator = config.target == "emulator"
        if self.is_emulator:
            self._emulator_url = emulator.ensure(config)
            self.credentials: Any = google.auth.credentials.AnonymousCredentials()
            return
        try:
            self.credentials, _project = google.auth.default(scopes=SCOPES)
        except google.auth.exceptions.DefaultCredentialsError as error:
            raise UserError(
                "No credentials for Google Cloud; run 'gcloud auth application-default login', or"
                " use the emulator with CLOUD_TARGET=emulator."
            ) from error

    @property
    def vertex_url(self) -> str:
        """Where Vertex AI's REST API is."""
        if self.is_emulator:
            return self._emulator_url
        return f"https://{self.config.region}-aiplatform.googleapis.com"

    def console_url(self, name: str = "") -> str:
        """Returns where a person sees a resource in a browser.

        Args:
            name: of a job, model or endpoint, without a version; "" stands for all there is.
        """
        if self.is_emulator:
            return f"{self._emulator_url}/-/{name}" if name else self._emulator_url
        region, number = self.config.region, name.rpartition("/")[2]
        pages = {
            "customJobs": f"/locations/{region}/training/{number}",
            "hyperparameterTuningJobs": f"/locations/{region}/training/{number}",
            "models": f"/models/locations/{region}/models/{number}",
            "endpoints": f"/online-prediction/locations/{region}/endpoints/{number}",
        }
        page = pages[name.split("/")[-2]] if name else ""
        return f"https://console.cloud.google.com/vertex-ai{page}?project={self.config.project}"

    def api_url(self, service: str) -> str:
        """Returns where a REST API of Google Cloud is, such as `logging` or `monitoring`."""
        if service == VERTEX:
            return self.vertex_url  # that of the region, which has the resources
        return self._emulator_url if self.is_emulator else f"https://{service}.googleapis.com"

    def registry_url(self, host: str) -> str:
        """Returns where a registry of images is."""
        return f"https://{host}"

    def curl(self, url: str, body: str) -> str:
        """Returns the shell command that posts a JSON body to one of the target's addresses."""
        words = ["curl", "-s", "-X", "POST", url, "-H", "Content-Type: application/json"]
        # Not quoted as the others are: the shell has to ask gcloud for the token.
        access = ' -H "Authorization: Bearer $(gcloud auth print-access-token)"'
        given = "" if self.is_emulator else access
        return f"{shlex.join(words)}{given} {shlex.join(['-d', body])}"

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks at something that changes."""
        return 0.25 if self.is_emulator else 5.0

    @property
    def target(self) -> str:
        where = self._emulator_url if self.is_emulator else f"Google Cloud, {self.config.region}"
        name = "emulator" if self.is_emulator else self.config.project
        return f"{name} ({where})"

    @cached_property
    def session(self) -> AuthorizedSession:
        """An HTTP session with the target's credentials, for plain REST."""
        return AuthorizedSession(self.credentials)

    @cached_property
    def jobs(self) -> Any:
        """`aiplatform_v1.JobServiceClient`."""
        from google.cloud import aiplatform_v1

        return aiplatform_v1.JobServiceClient(**self._options)

    @cached_property
    def models(self) -> Any:
        """`aiplatform_v1.ModelServiceClient`."""
        from google.cloud import aiplatform_v1

        return aiplatform_v1.ModelServiceClient(**self._options)

    @cached_property
    def endpoints(self) -> Any:
        """`aiplatform_v1.EndpointServiceClient`."""
        from google.cloud import aiplatform_v1

        return aiplatform_v1.EndpointServiceClient(**self._options)

    @cached_property
    def metadata(self) -> Any:
        """`aiplatform_v1.MetadataServiceClient`."""
        from google.cloud import aiplatform_v1

        return aiplatform_v1.MetadataServiceClient(**self._options)

    @cached_property
    def storage(self) -> Any:
        """`google.cloud.storage.Client`."""
        from google.cloud import storage

        options = {"api_endpoint": self._emulator_url} if self.is_emulator else None
        return storage.Client(
            project=self.config.project, credentials=self.credentials, client_options=options
        )

    @cached_property
    def bucket(self) -> Any:
        """The project's bucket; made on the emulator where it is missing.

        Raises:
            UserError: its name is malformed, or there is no such bucket on Google Cloud.
        """
        try:
            bucket = self.storage.bucket(self.config.bucket)
        except ValueError as error:
            raise UserError(
                f"[tool.cloud] bucket: expected a bucket's name, got {self.config.bucket!r};"
                f" {error}"
            ) from error
        if bucket.exists():
            return bucket
        if not self.is_emulator:
            raise UserError(
                f"The bucket gs://{bucket.name} does not exist; 'nox -s setup' makes what the"
                " project needs on Google Cloud."
            )
        bucket.labels = self.config.labels
        try:
            return self.storage.create_bucket(bucket, location=self.config.region)
        except exceptions.Conflict:
            return bucket  # another command created it in this moment

    def blob(self, uri: str) -> Any:
        """Returns the `google.cloud.storage.Blob` of a gs:// URI, whether it exists or not."""
        from google.cloud import storage

        return storage.Blob.from_uri(uri, client=self.storage)

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "transport": "rest",
            "credentials": self.credentials,
            "client_options": ClientOptions(api_endpoint=self._api_endpoint),
        }

    @property
    def _api_endpoint(self) -> str:
        # Google's clients take a host alone for TLS, and a whole address for plain HTTP.
        url = self.vertex_url
        return url if self.is_emulator else urlsplit(url).netloc


def explain(error: Exception) -> str:
    """Says in one sentence why Google's clients could not do what they were asked."""
    response = getattr(error, "response", None)
    if isinstance(error, exceptions.GoogleAPICallError) and response is not None:
        try:
            return str(response.json()["error"]["message"])
        except (ValueError, KeyError):
            return str(error.message)
    return f"{type(error).__name__}: {error}"
