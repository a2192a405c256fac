"""promote: makes a version the default and moves the traffic to it, while requests go on."""

import argparse

from cloud import lookup
from cloud.client import Client
from cloud.console import say
from cloud.monitoring import request_log
from cloud.resources import running
from cloud.serving import deployments, rollout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", nargs="?", help="number or alias; default: the newest version")
    deployments.add_arguments(parser)
    request_log.add_arguments(parser)


def run(client: Client, options: argparse.Namespace) -> int:
    """Promotes the version, and says how to go back."""
    say(f"Target: {client.target}")
    request_log.check(options.log_requests)
    machines = deployments.machines(client, options)
    rollout.promote(client, lookup.version(client, options.version), machines)
    request_log.switch(client, lookup.serving_endpoint(client), options.log_requests)
    running.say_deployed(client)
    rollout.next_steps(client)
    return 0
