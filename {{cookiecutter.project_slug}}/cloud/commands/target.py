"""target: says where commands go; starts the emulator where that is the target and it is not up."""

import argparse

from cloud.client import Client
from cloud.console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags: none."""


def run(client: Client, _options: argparse.Namespace) -> int:
    say(f"Target: {client.target}")
    return 0
