"""data: makes the CSV files of the data set, or takes the data folder, and uploads what is new."""

import argparse

from cloud.client import Client
from cloud.console import next_commands, say
from cloud.datasets import files
from cloud.datasets.splits import SPLIT_BY

SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rows", type=int, help="take a sample of about so many rows; default: the whole data set"
    )
    parser.add_argument(
        "--split-by",
        choices=SPLIT_BY,
        default=SPLIT_BY[0],
        help="what stays together in one split; with 'day', the test rows are of days that"
        " training never saw (default: row)",
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Makes and uploads the files."""
    say(f"Target: {client.target}")
    if not client.config.data_set:
        uris = files.upload_folder(client)
        for uri in uris[:SHOWN]:
            say(f"  {uri}")
        if len(uris) > SHOWN:
            say(f"  … and {len(uris) - SHOWN:,} more")
        next_commands(("nox -s submit", "train on them"))
        return 0
    for split, uri in files.upload(client, options.rows, options.split_by).items():
        say(f"  {split:5} {uri}")
    next_commands(("nox -s submit", "train on them"))
    return 0
