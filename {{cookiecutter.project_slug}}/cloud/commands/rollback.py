"""rollback: makes the version that was the default before the default again."""

import argparse

from cloud import lookup
from cloud.client import Client
from cloud.console import say
from cloud.errors import UserError
from cloud.resources import running
from cloud.serving import deployments, rollout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    deployments.add_arguments(parser)


def run(client: Client, options: argparse.Namespace) -> int:
    """Promotes the version with the alias `previous`.

    Raises:
        UserError: there is no such version.
    """
    say(f"Target: {client.target}")
    machines = deployments.machines(client, options)
    previous = lookup.alias(client, rollout.PREVIOUS)
    if previous is None:
        raise UserError(
            "There is no previous default version: no version carries the alias 'previous'."
            " 'nox -s versions' lists the versions, and 'nox -s promote' makes any of them the"
            " default."
        )
    rollout.promote(client, previous, machines)
    running.say_deployed(client)
    rollout.next_steps(client)
    return 0
