"""promote: makes a version the default and moves the traffic to it, while requests go on."""

import argparse
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import next_commands, say
from cloud.serving import deployments, traffic
from cloud.serving.deployments import Machines
from cloud.serving.instances import Instance

DEFAULT = "default"
# Vertex AI knows no history of the default; this alias on the former one remembers it.
PREVIOUS = "previous"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument("version", nargs="?", help="number or alias; default: the newest version")
    deployments.add_arguments(parser)


def run(client: Client, options: argparse.Namespace) -> int:
    """Promotes the version, and says how to go back."""
    say(f"Target: {client.target}")
    machines = deployments.machines(client, options)
    promote(client, lookup.version(client, options.version), machines)
    next_steps(client)
    return 0


def promote(client: Client, version: Any, machines: Machines) -> None:
    """Makes a version the default, and gives it all traffic; deploys it where it is not.

    Args:
        client: of the target.
        version: the `Model`.
        machines: what it runs on, where it is not deployed.

    Raises:
        UserError: it does not answer; the traffic is as it was before.
    """
    instance = deployments.sample_instance(client)
    endpoint = lookup.endpoint(client) or deployments.create_endpoint(client)
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
    name = version.name.partition("@")[0]
    former = client.models.get_model(name=f"{name}@{DEFAULT}")
    if former.version_id != version.version_id:
        _alias(client, f"{name}@{former.version_id}", PREVIOUS)
        _alias(client, f"{name}@{version.version_id}", DEFAULT)
    traffic.wait_until_moved(client, endpoint_name, deployed_id, instance)
    deployments.undeploy_others(client, endpoint_name, deployed_id)
    trained_by = f" ({version.labels['job']})" if "job" in version.labels else ""
    say(
        f"{client.config.model} version {version.version_id}{trained_by} is the default and gets"
        " all traffic.",
        "bold",
    )


def next_steps(client: Client, *first: tuple[str, str]) -> None:
    """Prints what to try next; a way back only where there is one."""
    found = [*first, ("nox -s versions", "the versions and their shares of the traffic")]
    previous = lookup.alias(client, PREVIOUS)
    if previous is not None:
        found.append(("nox -s rollback", f"back to version {previous.version_id}"))
    next_commands(*found)


def _alias(client: Client, version_name: str, alias: str) -> None:
    client.models.merge_version_aliases(name=version_name, version_aliases=[alias])
