"""adopt: looks at a table of your own, says what it found, and describes it for the project."""

import argparse

from cloud.adoption import flags
from cloud.config import Config
from cloud.console import next_commands


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="CSV in any dialect, JSON lines, Parquet or Excel, plain, .gz or .zip; several files"
        " of the same columns, a folder of them, or gs:// URIs",
    )
    flags.add_arguments(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="say what was found, and write nothing"
    )
    parser.add_argument(
        "--replace", action="store_true", help="write over a description that somebody has edited"
    )


def run(values: Config, options: argparse.Namespace) -> int:
    """Prints what was found, and writes the description.

    Raises:
        UserError: a file cannot be read, or there is nothing to learn.
    """
    from cloud.adoption.adopt import adopt

    adopt(values, options.files, options, dry_run=options.dry_run, replace=options.replace)
    if not options.dry_run:
        next_commands(
            ("nox -s demo", "the whole road with this table: train, deploy, predict"),
            ("nox -s data", "make the data set alone"),
        )
    return 0
