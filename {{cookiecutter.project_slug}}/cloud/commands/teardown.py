"""teardown: removes what the project created, after it has listed it and asked."""

import argparse
import sys

from cloud.client import Client
from cloud.console import counted, say, step
from cloud.errors import UserError
from cloud.resources import inventory, request_datasets

SHOWN_KEPT = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="list it, and remove nothing")


def run(client: Client, options: argparse.Namespace) -> int:
    """Lists, asks, removes.

    Raises:
        UserError: nobody can be asked.
    """
    say(f"Target: {client.target}")
    with step("Looking for what the project created"):
        sharing = inventory.sharing(client)
        created = list(inventory.everything(client, shared=not sharing))
        staying = "" if client.is_emulator else request_datasets.staying(client)
    if sharing:
        say(
            f"The bucket {client.config.bucket} and what else {client.config.model} shares stay, as"
            f" other models use them: {', '.join(sharing)}. To remove theirs:"
            f" CLOUD_MODEL={sharing[0]} nox -s teardown",
            "yellow",
        )
    if staying:
        say(staying, "yellow")
    if not created:
        [(key, value)] = client.config.labels.items()
        say(f"Nothing {'else ' if sharing else ''}carries the label {key}={value}.")
        return 0
    for each in created:
        say(f"  {each.title}")
        if each.kept:
            names = ", ".join(each.kept[:SHOWN_KEPT]) + ", …" * (len(each.kept) > SHOWN_KEPT)
            files = counted(len(each.kept), "object")
            say(f"    It stays, with {files} that the project did not create: {names}", "yellow")
    if options.dry_run:
        return 0
    if not options.yes and not agreed(len(created)):
        say("Nothing was removed.")
        return 1
    for each in created:
        each.remove()
    return 0


def agreed(count: int) -> bool:
    """Asks the person.

    Raises:
        UserError: there is none at a terminal.
    """
    if not sys.stdin.isatty():
        raise UserError("teardown asks before it removes, and there is no terminal; add --yes.")
    return input(f"Remove these {count} for good? Type yes: ").strip().lower() == "yes"
