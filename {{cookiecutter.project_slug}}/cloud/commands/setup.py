"""setup: makes what the project needs on Google Cloud, and prints the equal gcloud commands."""

import argparse

from cloud.client import Client
from cloud.console import next_commands, say, step
from cloud.resources import provision


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument(
        "--dry-run", action="store_true", help="say what is missing, and make nothing"
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Makes what is missing; what is there stays as it is."""
    say(f"Target: {client.target}")
    if client.is_emulator:
        on_emulator(client)
        return 0
    for thing in provision.needed(client):
        if thing.exists():
            say(f"{thing.title}: there already", "dim")
            continue
        say(f"  $ {thing.gcloud}")
        if options.dry_run:
            say(f"{thing.title}: missing", "yellow")
            continue
        with step(f"Making {thing.title}"):
            thing.make()
    next_commands(
        ("nox -s doctor", "whether everything is in place"),
        ("nox -s data", "the data, into the bucket"),
    )
    return 0


def on_emulator(client: Client) -> None:
    """Makes the bucket, the one thing that the emulator needs, and says what the cloud needs."""
    say(f"bucket gs://{client.bucket.name}: there")
    say("The emulator needs nothing else. On Google Cloud these would be made:")
    for thing in provision.needed(client):
        say(f"  $ {thing.gcloud}", "dim")
    next_commands(("CLOUD_TARGET=cloud nox -s setup", "make them on Google Cloud"))
