"""Which version a deployed model was of, also once it is deployed no longer.

Logged requests name the deployed model that answered, and Vertex AI forgets what it was of when it
is undeployed. So each deployment is written down in the bucket.
"""

from typing import Any

from google.api_core import exceptions

from cloud.client import Client

FOLDER = "deployed"


def note(client: Client, deployed_id: str, number: str) -> None:
    """Writes down the version's number."""
    client.bucket.blob(f"{FOLDER}/{deployed_id}").upload_from_string(number, "text/plain")


def version_of(client: Client, endpoint: Any, deployed_id: str) -> str:
    """Returns the number of the version; "" where nobody wrote it down."""
    for deployed in endpoint.deployed_models:
        if deployed.id == deployed_id:
            return str(deployed.model_version_id)
    try:
        found = client.bucket.blob(f"{FOLDER}/{deployed_id}").download_as_text()
    except exceptions.NotFound:
        return ""
    return str(found)
