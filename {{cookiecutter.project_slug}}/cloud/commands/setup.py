"""setup: makes what the project needs on Google Cloud, and prints the equal gcloud commands."""

import argparse
from collections.abc import Sequence

from cloud.client import Client
from cloud.console import next_commands, say, step
from cloud.resources import provision
from cloud.resources.federation import Federation
from cloud.resources.resource import Resource


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="list what is missing, and create nothing"
    )
    parser.add_argument(
        "--github",
        metavar="OWNER/REPO",
        help="make also what .github/workflows/deliver.yml of this repository signs in with, by"
        " Workload Identity Federation, without a key",
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Makes what is missing; what is there stays as it is."""
    say(f"Target: {client.target}")
    if client.is_emulator:
        on_emulator(client, options.github)
        return 0
    make(provision.required(client), dry_run=options.dry_run)
    if options.github:
        connect(Federation(client, options.github), options.github, dry_run=options.dry_run)
    next_commands(
        ("nox -s doctor", "check that everything is in place"),
        ("nox -s data", "make the data, and upload them"),
    )
    return 0


def make(wanted: Sequence[Resource], *, dry_run: bool) -> None:
    """Makes what is missing of what is wanted, and prints the command that makes the same."""
    for thing in wanted:
        if thing.exists():
            say(f"{thing.title}: exists", "dim")
            continue
        say(f"  $ {thing.gcloud}")
        if dry_run:
            say(f"{thing.title}: missing", "yellow")
            continue
        with step(f"Creating {thing.title}"):
            thing.make()


def connect(federation: Federation, repository: str, *, dry_run: bool) -> None:
    """Lets a repository's workflows deliver, and says what the repository has to know."""
    make([federation.apis()], dry_run=dry_run)
    make(federation.required(), dry_run=dry_run)
    say("\nThe repository's variables, which .github/workflows/deliver.yml reads:", "bold")
    for name, value in federation.variables().items():
        say(f"  $ gh variable set {name} --repo {repository} --body {value}")


def on_emulator(client: Client, repository: str | None) -> None:
    """Makes the bucket, the one thing that the emulator needs, and says what the cloud needs.

    Raises:
        UserError: `repository` is no repository's name.
    """
    if repository:
        Federation(client, repository)  # refuses a wrong name here too
    say(f"bucket gs://{client.bucket.name}: exists")
    say("The emulator needs nothing else. On Google Cloud, setup would run the equivalent of:")
    for thing in provision.required(client):
        say(f"  $ {thing.gcloud}", "dim")
    flag = f" -- --github {repository}" if repository else ""
    next_commands((f"CLOUD_TARGET=cloud nox -s setup{flag}", "create them on Google Cloud"))
