"""data: makes the CSV files of the data set and uploads what the bucket does not have yet."""

import argparse
import base64
from pathlib import Path
from typing import Any

import google_crc32c

from cloud.client import Client
from cloud.config import Config
from cloud.console import next_commands, say, step

SPLITS = ("train", "eval", "test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command's flags."""
    parser.add_argument(
        "--rows", type=int, help="take a sample of about so many rows; default: the whole data set"
    )
    parser.add_argument(
        "--split-by",
        choices=["row", "day"],
        default="row",
        help="what is in one split as a whole; 'day' tests on days never seen (default: row)",
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Makes and uploads the files."""
    say(f"Target: {client.target}")
    for split, uri in upload(client, options.rows, options.split_by).items():
        say(f"  {split:5} {uri}")
    next_commands(("nox -s submit", "train on them"))
    return 0


def folder(config: Config) -> Path:
    """Where the CSV files of the data set are kept on this machine."""
    return config.data_folder / config.data_set


def object_name(config: Config, split: str) -> str:
    """Returns the name of a split's object in the bucket."""
    return f"data/{config.data_set}/{split}.csv"


def uris(config: Config) -> dict[str, str]:
    """Returns where each split is in the bucket, whether it is there or not."""
    return {split: f"gs://{config.bucket}/{object_name(config, split)}" for split in SPLITS}


def upload(client: Client, rows: int | None = None, split_by: str = "row") -> dict[str, str]:
    """Makes the files, uploads those that differ from the bucket's, and returns their URIs."""
    from cloud.datasets import makers

    config = client.config
    with step(f"Making the data set {config.data_set!r}"):
        files = makers.write_csvs(config.data_set, folder(config), rows, split_by)
    for split, path in files.items():
        blob = client.bucket.blob(object_name(config, split))
        if _is_there(blob, path):
            say(f"{blob.name} is in the bucket already.", "dim")
            continue
        with step(f"Uploading {blob.name} ({path.stat().st_size / 1e3:,.0f} kB)"):
            blob.upload_from_filename(path, content_type="text/csv", checksum="crc32c")
    return uris(config)


def _is_there(blob: Any, path: Path) -> bool:
    """Whether the object's checksum is the file's."""
    checksum = google_crc32c.Checksum(path.read_bytes()).digest()
    blob = blob.bucket.get_blob(blob.name)
    return blob is not None and blob.crc32c == base64.b64encode(checksum).decode()
