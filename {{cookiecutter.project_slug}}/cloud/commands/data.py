"""data: makes the CSV files of the data set and uploads what the bucket does not have yet."""

import argparse

from cloud.client import Client
from cloud.console import next_commands, say
from cloud.datasets import files
from cloud.datasets.splits import SPLIT_BY


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
    for split, uri in files.upload(client, options.rows, options.split_by).items():
        say(f"  {split:5} {uri}")
    next_commands(("nox -s submit", "train on them"))
    return 0
