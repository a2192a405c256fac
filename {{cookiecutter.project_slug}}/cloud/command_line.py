"""The command line: finds the command, reads its flags, and calls it with its target."""

import argparse
import dataclasses
import importlib
import shlex
from types import ModuleType
from typing import NoReturn

from cloud import config, emulator
from cloud.commands import COMMANDS
from cloud.console import err, fail, text
from cloud.errors import UserError

# These start before there is a target to talk to.
WITHOUT_CLIENT = {"adopt", "demo", "train", "tensorboard", "emulator"}
# These pass flags on to the trainer, after a --.
WITH_TRAINER = {"demo", "train", "submit"}


def run(arguments: list[str]) -> int:
    """Runs a command; a mistake of the user's becomes one sentence on stderr and exit code 1."""
    try:
        options = parse(arguments)
        return call(load(options.command), options)
    except UserError as error:
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
    if arguments[:1] and arguments[0] in WITH_TRAINER:
        check_place_of_trainer_flags(arguments[0], arguments[1:])
    return parser.parse_args(arguments)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong without the list of all flags before it."""

    def error(self, message: str) -> NoReturn:
        err.print(text(f"Error: {message}; --help explains the flags.", "red"))
        self.exit(2)


def check_place_of_trainer_flags(command: str, arguments: list[str]) -> None:
    """Raises UserError with the right line where flags of the trainer are not after a --."""
    from trainer import settings

    names = (field.name for field in dataclasses.fields(settings.Settings))
    known = {"--config", *map(settings.as_flag, names)}
    own, trainers = arguments, []
    if "--" in arguments:
        place = arguments.index("--")
        own, trainers = arguments[:place], arguments[place + 1 :]
    kept: list[str] = []
    moved: list[str] = []
    in_trainers = False
    for word in own:
        if word.startswith("--"):
            in_trainers = word.partition("=")[0] in known
        (moved if in_trainers else kept).append(word)
    if moved:
        line = shlex.join(["nox", "-s", command, "--", *kept, "--", *moved, *trainers])
        raise UserError(
            f"{moved[0].partition('=')[0]} is a flag of the trainer; the trainer's flags come after"
            f" a second --: {line}"
        )


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
