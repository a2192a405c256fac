"""Finds what a person names: a job, the project's model, its endpoint."""

from typing import Any

from google.api_core import exceptions

from cloud.client import Client
from cloud.errors import UserError

ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")


def job(client: Client, name: str | None, *, state: str | None = None) -> Any:
    """Returns a `CustomJob` by display name, number or resource name; without one, the newest.

    Args:
        client: of the target.
        name: what the person typed, or None.
        state: where no name is given, only jobs in this state count.

    Raises:
        UserError: there is none; the message says how to list them.
    """
    location = client.config.location
    if name is None:
        condition = f'state="{state}"' if state else ""
        found = client.jobs.list_custom_jobs(request={"parent": location, "filter": condition})
        newest = next(iter(found), None)
        if newest is None:
            kind = f" in state {state}" if state else ""
            raise UserError(f"There is no job{kind} yet; submit one with 'nox -s submit'.")
        return newest
    full = f"{location}/customJobs/{name}" if name.isdigit() else name
    if full.startswith("projects/"):
        try:
            return client.jobs.get_custom_job(name=full)
        except exceptions.NotFound:
            found = []
    else:
        condition = f'display_name="{name}"'
        found = client.jobs.list_custom_jobs(request={"parent": location, "filter": condition})
    first = next(iter(found), None)
    if first is None:
        raise UserError(f"There is no job {name!r}; 'nox -s jobs' lists the jobs there are.")
    return first


def model(client: Client) -> Any:
    """Returns the project's `Model` (its default version), or None before the first deployment."""
    return _named(client, client.models.list_models, client.config.model)


def endpoint(client: Client) -> Any:
    """Returns the project's `Endpoint`, or None before the first deployment."""
    return _named(client, client.endpoints.list_endpoints, client.config.model)


def serving_endpoint(client: Client) -> Any:
    """Returns the project's `Endpoint` with a deployed model.

    Raises:
        UserError: nothing is deployed.
    """
    found = endpoint(client)
    if found is None or not found.deployed_models:
        raise UserError("No version is deployed; deploy the newest job with 'nox -s deploy'.")
    return found


def _named(client: Client, list_method: Any, display_name: str) -> Any:
    request = {"parent": client.config.location, "filter": f'display_name="{display_name}"'}
    return next(iter(list_method(request=request)), None)
