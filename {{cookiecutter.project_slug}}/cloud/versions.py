"""versions: the versions of the model, newest first, with aliases, job and share of the traffic."""

import argparse
from typing import Any

from cloud import lookup
from cloud.client import Client
from cloud.console import out, say, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the verb's flags: none."""


def run(client: Client, _options: argparse.Namespace) -> int:
    """Prints the table."""
    model = lookup.model(client)
    if model is None:
        say("There is no version yet; 'nox -s deploy' makes the first of a job that succeeded.")
        return 0
    endpoint = lookup.endpoint(client)
    split = dict(endpoint.traffic_split) if endpoint is not None else {}
    deployed = endpoint.deployed_models if endpoint is not None else []
    rows = table("version", "aliases", "job", "traffic")
    versions = client.models.list_model_versions(name=model.name)
    for version in sorted(versions, key=lambda each: int(each.version_id), reverse=True):
        shares = [split.get(each.id, 0) for each in deployed if is_of(each, version)]
        rows.add_row(
            version.version_id,
            ", ".join(version.version_aliases),
            version.labels.get("job", ""),
            f"{sum(shares)} %" if shares else "not deployed",
        )
    out.print(rows)
    return 0


def is_of(deployed: Any, version: Any) -> bool:
    """Whether a `DeployedModel` serves a version (a `Model`)."""
    return bool(
        deployed.model.partition("@")[0] == version.name.partition("@")[0]
        and deployed.model_version_id == version.version_id
    )
