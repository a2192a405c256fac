"""setup: makes what the project needs on Google Cloud, and prints the equal gcloud commands."""

import argparse

from cloud.client import Client
from cloud.console import next_commands, say, step
from cloud.resources import provision


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="list what is missing, and create nothing"
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Makes what is missing; what is there stays as it is."""
    say(f"Target: {client.target}")
    if client.is_emulator:
        on_emulator(client)
        return 0
    for thing in provision.required(client):
        if thing.exists():
            say(f"{thing.title}: exists", "dim")
            continue
        say(f"  $ {thing.gcloud}")
        if options.dry_run:
            say(f"{thing.title}: missing", "yellow")
            continue
        with step(f"Creating {thing.title}"):
            thing.make()
    next_commands(
        ("nox -s doctor", "check that everything is in place"),
        ("nox -s data", "make the data, and upload them"),
    )
    return 0


def on_emulator(client: Client) -> None:
    """Makes the bucket, the one thing that the emulator needs, and says what the cloud needs."""
    say(f"bucket gs://{client.bucket.name}: exists")
    say("The emulator needs nothing else. On Google Cloud, setup would run the equivalent of:")
    for thing in provision.required(client):
        say(f"  $ {thing.gcloud}", "dim")
    next_commands(("CLOUD_TARGET=cloud nox -s setup", "create them on Google Cloud"))
