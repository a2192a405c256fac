"""python -m cloud VERB …

Each verb is a module of this package; python -m cloud VERB --help explains its flags.
"""

import argparse
import importlib
import sys
from types import ModuleType

from cloud import config
from cloud.console import err
from cloud.errors import UserError

VERBS = {
    "demo": "the whole road, from the data to a prediction",
    "data": "make the CSV files and upload them",
    "train": "train in this process, on local paths",
    "package": "build the trainer package and upload it",
    "submit": "package and submit a training job",
    "jobs": "list the jobs, or show one",
    "logs": "show or follow a job's log",
    "cancel": "cancel a job",
    "tensorboard": "see all jobs in TensorBoard",
    "deploy": "serve a job's model as the next version",
    "versions": "list the versions and their traffic",
    "promote": "make a version the default, with all traffic",
    "rollback": "back to the default before",
    "predict": "ask the endpoint about rows",
    "batch": "predict for many rows that can wait",
    "evaluate": "a version's scores on the test rows, through the endpoint",
    "cost": "estimate what a training job may cost",
    "doctor": "check that the target has what the project needs",
    "setup": "make what the project needs on Google Cloud",
    "teardown": "remove what the project made",
    "target": "say where commands go, and start the emulator where it is down",
    "emulator": "run the emulator in the foreground",
}
# These start before there is a target to talk to.
WITHOUT_CLIENT = {"demo", "train", "tensorboard", "emulator"}


def main(arguments: list[str]) -> int:
    """Runs a verb; a mistake of the user's becomes one sentence on stderr and exit code 1."""
    try:
        options = parse(arguments)
        return call(load(options.verb), options)
    except UserError as error:
        err.print(f"Error: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line.

    Raises:
        UserError: a value that the verb's flags depend on is wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m cloud", description="Verbs of this project.")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, purpose in VERBS.items():
        # Only the verb that was named is imported: some import a good deal.
        verb = verbs.add_parser(
            name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}."
        )
        if arguments[:1] == [name]:
            load(name).add_arguments(verb)
    return parser.parse_args(arguments)


def call(verb: ModuleType, options: argparse.Namespace) -> int:
    """Calls a verb with what it works on.

    Raises:
        UserError: also where the target refuses or does not answer.
    """
    values = config.load()
    import requests
    from google.api_core import exceptions

    from cloud.client import Client, explain

    try:
        target = values if options.verb in WITHOUT_CLIENT else Client(values)
        result: int = verb.run(target, options)
    except (exceptions.GoogleAPIError, requests.RequestException) as error:
        raise UserError(explain(error)) from error
    return result


def load(verb: str) -> ModuleType:
    """Imports the module of a verb."""
    return importlib.import_module(f"cloud.{verb}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
