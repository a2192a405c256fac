"""Which version serves: a job's model becomes the next version, and a version the default."""

from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import next_commands, say
from cloud.errors import UserError
from cloud.serving import (
    contract,
    deployments,
    evaluations,
    model_folder,
    model_versions,
    traffic,
)
from cloud.serving.deployments import Machines
from cloud.serving.instances import Instance
from cloud.training import experiments

DEFAULT = "default"
# Vertex AI knows no history of the default; this alias on the former one remembers it.
PREVIOUS = "previous"


def deploy(client: Client, job: Any, machines: Machines, traffic_share: int, *, force: bool) -> Any:
    """Makes the next version of the model from a job, serves it, and gives it traffic.

    Everything that can be checked is checked before anything is uploaded.

    Args:
        client: of the target.
        job: the `CustomJob`, or the `lookup.Trial`, that trained it.
        machines: what it runs on.
        traffic_share: per cent of the requests; with 100, or where nothing else is deployed, the
            version becomes the default, and the others are undeployed.
        force: deploy a version that is no better than the default, or than no model at all.

    Returns:
        The version, a `Model`.

    Raises:
        UserError: the job has no SavedModel that takes what the project sends, the version is no
            better than the default or worse than a prediction without a model, or it does not
            answer.
    """
    experiments.close(client, [job])
    folder = model_folder.of_job(client, job)
    taken = contract.read(client, folder)
    model_versions.check_signature(client, folder, taken)
    instance = deployments.sample_instance(client, taken)
    default = lookup.model(client)
    objection = object_to(client, job, folder, default)
    if objection and not force:
        raise UserError(f"{objection} Or deploy it anyway, with --force.")
    if objection:
        say(f"{objection} Deploying it anyway.")
    version = model_versions.upload(client, job, folder, default)
    endpoint = lookup.endpoint(client) or deployments.create_endpoint(client)
    deployed_id = deployments.serve(client, endpoint, version, machines, instance)
    if traffic_share == 100 or not endpoint.deployed_models:
        make_default(client, version, endpoint.name, deployed_id, instance)
        return version
    split = traffic.with_share(traffic.shares(endpoint), deployed_id, traffic_share)
    traffic.move(client, endpoint.name, split)
    say(
        f"{client.config.model} version {version.version_id} ({job.display_name}) gets"
        f" {traffic_share} % of the traffic; version {default.version_id} is still the default.",
        "bold",
    )
    return version


def object_to(client: Client, job: Any, folder: str, default: Any) -> str:
    """Says why a job's model should not take the place of the default version; "" where it should.

    Args:
        client: of the target.
        job: the `CustomJob`.
        folder: gs:// URI of the folder with its SavedModel.
        default: the default version, a `Model`; None where there is none.
    """
    for version in lookup.versions(client) if default is not None else ():
        if version.artifact_uri == folder:
            number = version.version_id
            return (
                f"The model of {job.display_name} is version {number} already; give it the traffic"
                f" with 'nox -s promote -- {number}'."
            )
    candidate = evaluations.read(client, folder)
    objection = evaluations.objection_of_baselines(candidate)
    if objection or default is None:
        return objection
    current = evaluations.read(client, default.artifact_uri)
    if candidate is None and current is None:
        say(f"Neither this model nor version {default.version_id} has scores to compare.", "yellow")
        return ""
    is_better, verdict = evaluations.compare(candidate, current, default.version_id)
    if is_better:
        say(verdict)
        return ""
    return verdict


def promote(client: Client, version: Any, machines: Machines) -> None:
    """Makes a version the default, and gives it all traffic; deploys it where it is not.

    Args:
        client: of the target.
        version: the `Model`.
        machines: what it runs on, where it is not deployed.

    Raises:
        UserError: it does not answer; the traffic is as it was before.
    """
    endpoint = lookup.endpoint(client) or deployments.create_endpoint(client)
    deployed = deployments.of_version(endpoint, version)
    if DEFAULT in version.version_aliases and deployed is not None:
        alone = len(endpoint.deployed_models) == 1
        if alone and endpoint.traffic_split.get(deployed.id, 0) == 100:
            say(
                f"{client.config.model} version {version.version_id} is already the default, and"
                " gets all traffic.",
                "bold",
            )
            return
    taken = contract.of_version(client, version)
    instance = deployments.sample_instance(client, taken)
    deployed_id = deployments.serve(client, endpoint, version, machines, instance)
    make_default(client, version, endpoint.name, deployed_id, instance)


def make_default(
    client: Client, version: Any, endpoint_name: str, deployed_id: str, instance: Instance
) -> None:
    """Moves all traffic and the alias to a deployed version, then undeploys the others.

    In this order no request finds nobody to answer it.

    Args:
        client: of the target.
        version: the `Model`.
        endpoint_name: resource name of the endpoint.
        deployed_id: id of the version's deployed model.
        instance: what to ask it.

    Raises:
        UserError: others go on answering; they stay deployed.
    """
    traffic.move_all(client, endpoint_name, deployed_id)
    former = client.models.get_model(name=lookup.version_name(version, DEFAULT))
    if former.version_id != version.version_id:
        _alias(client, former, PREVIOUS)
        _alias(client, version, DEFAULT)
    traffic.wait_until_moved(client, endpoint_name, deployed_id, instance)
    deployments.undeploy_others(client, endpoint_name, deployed_id)
    job = model_versions.trained_by(version)
    number = f"{version.version_id} ({job})" if job else version.version_id
    say(
        f"{client.config.model} version {number} is the default and gets all traffic.",
        "bold",
    )


def next_steps(client: Client, *first: tuple[str, str]) -> None:
    """Prints what to try next; a way back only where there is one."""
    found = [*first, ("nox -s versions", "the versions and their shares of the traffic")]
    previous = lookup.alias(client, PREVIOUS)
    if previous is not None:
        found.append(("nox -s rollback", f"back to version {previous.version_id}"))
    next_commands(*found)


def _alias(client: Client, version: Any, alias: str) -> None:
    """Gives a version an alias, which any other version loses."""
    name = lookup.version_name(version, version.version_id)
    client.models.merge_version_aliases(name=name, version_aliases=[alias])
