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


def version(client: Client, name: str | None) -> Any:
    """Returns a version of the project's model, a `Model`, by number or alias.

    Args:
        client: of the target.
        name: number or alias, or None for the newest version.

    Raises:
        UserError: there is none; the message says how to list them.
    """
    found = model(client)
    if found is None:
        raise UserError("There is no version yet; 'nox -s deploy' makes one of a job's model.")
    base = found.name.partition("@")[0]
    if name is None:
        return max(client.models.list_model_versions(name=base), key=_number)
    try:
        return client.models.get_model(name=f"{base}@{name}")
    except (exceptions.NotFound, exceptions.InvalidArgument) as error:
        raise UserError(
            f"There is no version {name!r} of {client.config.model}; 'nox -s versions' lists the"
            " versions there are."
        ) from error


def alias(client: Client, name: str) -> Any:
    """Returns the version of the project's model that carries an alias, or None."""
    found = model(client)
    versions = client.models.list_model_versions(name=found.name) if found is not None else ()
    return next((each for each in versions if name in each.version_aliases), None)


def _number(version: Any) -> int:
    return int(version.version_id)


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
