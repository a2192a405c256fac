"""package: builds the trainer, checks that it imports, and uploads it under its own checksum."""

import argparse

from cloud.client import Client
from cloud.console import next_commands, say
from cloud.training import packaging


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags: none."""


def run(client: Client, _options: argparse.Namespace) -> int:
    say(f"Target: {client.target}")
    say(f"Package: {packaging.upload(client)}")
    next_commands(("nox -s submit", "train with it"))
    return 0
