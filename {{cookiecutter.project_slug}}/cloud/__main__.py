"""python -m cloud COMMAND …

Each command is a module of cloud/commands/; python -m cloud COMMAND --help explains its flags.
"""

import argparse
import importlib
import sys
from types import ModuleType

from cloud import config
from cloud.commands import COMMANDS
from cloud.console import err
from cloud.errors import UserError

# These start before there is a target to talk to.
WITHOUT_CLIENT = {"demo", "train", "tensorboard", "emulator"}


def main(arguments: list[str]) -> int:
    """Runs a command; a mistake of the user's becomes one sentence on stderr and exit code 1."""
    try:
        options = parse(arguments)
        return call(load(options.command), options)
    except UserError as error:
        err.print(f"Error: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line.

    Raises:
        UserError: a value that the command's flags depend on is wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m cloud", description="Runs this project.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        # Only the command that was named is imported: some import a good deal.
        command = commands.add_parser(
            name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}."
        )
        if arguments[:1] == [name]:
            load(name).add_arguments(command)
    return parser.parse_args(arguments)


def call(command: ModuleType, options: argparse.Namespace) -> int:
    """Calls a command with what it works on.

    Raises:
        UserError: also where the target refuses or does not answer.
    """
    values = config.load()
    import requests
    from google.api_core import exceptions

    from cloud.client import Client, explain

    try:
        target = values if options.command in WITHOUT_CLIENT else Client(values)
        result: int = command.run(target, options)
    except (exceptions.GoogleAPIError, requests.RequestException) as error:
        raise UserError(explain(error)) from error
    return result


def load(command: str) -> ModuleType:
    """Imports the module of a command."""
    return importlib.import_module(f"cloud.commands.{command}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
