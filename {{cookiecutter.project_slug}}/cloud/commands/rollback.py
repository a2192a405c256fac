"""rollback: makes the version that was the default before the default again."""

import argparse

from cloud import lookup
from cloud.client import Client
from cloud.commands import promote
from cloud.console import say
from cloud.errors import UserError
from cloud.serving import deployments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    deployments.add_arguments(parser)


def run(client: Client, options: argparse.Namespace) -> int:
    """Promotes the version with the alias `previous`.

    Raises:
        UserError: there is no such version.
    """
    say(f"Target: {client.target}")
    machines = deployments.machines(client, options)
    previous = lookup.alias(client, promote.PREVIOUS)
    if previous is None:
        raise UserError(
            "There is no version to go back to: none carries the alias 'previous', which a new"
            " default leaves behind. 'nox -s versions' lists the versions, and 'nox -s promote'"
            " makes any of them the default."
        )
    promote.promote(client, previous, machines)
    promote.next_steps(client)
    return 0
