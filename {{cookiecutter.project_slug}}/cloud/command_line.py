"""The command line: finds the command, reads its flags, and calls it with its target."""

import argparse
import importlib
import shlex
from types import ModuleType
from typing import NoReturn

from cloud import config, emulator
from cloud.commands import COMMANDS
from cloud.console import err, fail, text
from cloud.errors import UserError
from table_schema.tables import DescriptionError

# These start before there is a target to talk to.
WITHOUT_CLIENT = {"adopt", "demo", "train", "tensorboard", "emulator"}
# These pass flags on to the trainer, after a --.
WITH_TRAINER = {"demo", "train", "submit", "tune"}


def run(arguments: list[str]) -> int:
    """Runs a command; a mistake of the user's becomes one sentence on stderr and exit code 1."""
    try:
        options = parse(arguments)
        return call(load(options.command), options)
    except (UserError, DescriptionError) as error:
        fail(f"Error: {error}")
        return 1


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line.

    Raises:
        UserError: a value that the command's flags depend on is wrong, or a flag of the trainer
            stands among the command's own.
    """
    parser = _Parser(prog="python -m cloud", description="Runs this project.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        # Only the command that was named is imported: some import a good deal.
        command = commands.add_parser(
            name,
            help=purpose,
            description=f"{purpose[0].upper()}{purpose[1:]}.",
            allow_abbrev=False,
        )
        if arguments[:1] == [name]:
            load(name).add_arguments(command)
    if not arguments or arguments[0] not in WITH_TRAINER:
        return parser.parse_args(arguments)
    options, unknown = parser.parse_known_args(arguments)
    flags = [word for word in unknown if word.startswith("--")]
    if flags:
        called, *words = arguments
        raise UserError(
            f"{flags[0].partition('=')[0]} is no flag of {called}; a flag of the trainer comes"
            f" after a second --: {trainer_flags_in_place(called, words, flags)}"
        )
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


class _Parser(argparse.ArgumentParser):
    """Says what is wrong without the list of all flags before it."""

    def error(self, message: str) -> NoReturn:
        err.print(text(f"Error: {message}; --help explains the flags.", "red"))
        self.exit(2)


def trainer_flags_in_place(command: str, arguments: list[str], unknown: list[str]) -> str:
    """Returns the line in which the flags that a command does not know come after a second --.

    Args:
        command: its name.
        arguments: all words after it.
        unknown: those of its own that it does not know.
    """
    own, trainers = arguments, []
    if "--" in arguments:
        place = arguments.index("--")
        own, trainers = arguments[:place], arguments[place + 1 :]
    kept: list[str] = []
    moved: list[str] = []
    is_moved = False
    for word in own:
        if word.startswith("--"):
            is_moved = word in unknown
        (moved if is_moved else kept).append(word)
    return shlex.join(["nox", "-s", command, "--", *kept, "--", *moved, *trainers])


def call(command: ModuleType, options: argparse.Namespace) -> int:
    """Calls a command with what it works on.

    Raises:
        UserError: also where the target refuses or does not answer, or a file cannot be used.
    """
    values = config.load()
    if values.target == "emulator":
        emulator.bypass_proxies()
    import requests
    from google.api_core import exceptions

    from cloud.client import Client, explain

    try:
        target = values if options.command in WITHOUT_CLIENT else Client(values)
        result: int = command.run(target, options)
    except (exceptions.GoogleAPIError, requests.RequestException) as error:
        raise UserError(explain(error)) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise UserError(f"{error.filename} cannot be used: {error.strerror}.") from error
    return result


def load(command: str) -> ModuleType:
    """Imports the module of a command."""
    return importlib.import_module(f"cloud.commands.{command}")
