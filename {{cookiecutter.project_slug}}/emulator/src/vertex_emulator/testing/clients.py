"""Google's own clients on an emulator, each answer held against Google's description of it."""

from typing import Any
from urllib.parse import urlsplit

import requests

from vertex_emulator.testing.discovery import validator


def check_contract(response: requests.Response, **_options: Any) -> None:
    """Holds an answer of Vertex AI against Google's discovery document.

    Raises:
        AssertionError: it has a field, a type or a form that Google does not name.
    """
    if response.status_code == requests.codes.ok:
        path = urlsplit(response.url).path
        api = validator("aiplatform.v1")
        schema = api.response_schema(response.request.method or "", path)
        assert schema is not None, path
        api.check(schema, response.json())


PROJECT = "test-project"
REGION = "us-central1"
LOCATION = f"projects/{PROJECT}/locations/{REGION}"


class Clients:
    """Google's clients of Vertex AI and Cloud Storage, on one emulator, without an account.

    Args:
        url: the emulator's address.

    Attributes:
        location: parent of every resource.
        jobs: `aiplatform_v1.JobServiceClient`.
        models: `aiplatform_v1.ModelServiceClient`.
        endpoints: `aiplatform_v1.EndpointServiceClient`.
        metadata: `aiplatform_v1.MetadataServiceClient`.
        tensorboards: `aiplatform_v1.TensorboardServiceClient`.
        storage: `google.cloud.storage.Client`.
    """

    location = LOCATION

    def __init__(self, url: str) -> None:
        from google.api_core.client_options import ClientOptions
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import aiplatform_v1, storage

        options: dict[str, Any] = {
            "transport": "rest",
            "credentials": AnonymousCredentials(),
            "client_options": ClientOptions(api_endpoint=url),
        }
        self.url = url
        self.jobs = aiplatform_v1.JobServiceClient(**options)
        self.models = aiplatform_v1.ModelServiceClient(**options)
        self.endpoints = aiplatform_v1.EndpointServiceClient(**options)
        self.metadata = aiplatform_v1.MetadataServiceClient(**options)
        self.tensorboards = aiplatform_v1.TensorboardServiceClient(**options)
        services = (self.jobs, self.models, self.endpoints, self.metadata, self.tensorboards)
        for client in services:
            client.transport._session.hooks["response"].append(check_contract)
        self.storage = storage.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": url},
        )
