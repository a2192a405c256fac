"""Where the CSV files of the data set are: on this machine, and in the bucket."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import filelock
import google_crc32c
from google.api_core import exceptions

from cloud.client import Client
from cloud.config import ROOT, Config
from cloud.console import counted, say, step
from cloud.content_types import content_type
from cloud.errors import UserError
from table_schema.columns import SPLITS, Table
from table_schema.tables import TABLES

# Beside the files: what they were made by.
MADE_BY = "made.json"


def is_uri(path: str) -> bool:
    """Whether it is in Cloud Storage."""
    return path.startswith("gs://")


def folder(config: Config) -> Path:
    """Returns the folder of the CSV files on this machine."""
    return config.data_folder / config.data_set


def path(config: Config, split: str) -> Path:
    """Returns where a split's file is on this machine."""
    return folder(config) / f"{split}.csv"


def object_name(config: Config, split: str) -> str:
    """Returns the name of a split's object in the bucket."""
    return f"data/{config.data_set}/{split}.csv"


def uris(config: Config) -> dict[str, str]:
    """Returns where each split is in the bucket, whether it exists or not."""
    return {split: f"gs://{config.bucket}/{object_name(config, split)}" for split in SPLITS}


def ready(config: Config) -> dict[str, Path]:
    """Returns the files on this machine by split; makes them where they are missing or outdated.

    Files that nobody here made stay as they are.

    Raises:
        UserError: as `makers.make` does.
    """
    paths = {split: path(config, split) for split in SPLITS}
    with _lock(config):
        if not all(each.exists() for each in paths.values()):
            return _make(config, None, "row")
        note = folder(config) / MADE_BY
        if not note.exists():
            return paths
        made = json.loads(note.read_text(encoding="utf-8"))
        if made["recipe"] == _recipe(config):
            return paths
        say("The table's description or its maker has changed since the files were made.", "dim")
        return _make(config, made["rows"], made["split_by"])


def upload(client: Client, rows: int | None = None, split_by: str = "row") -> dict[str, str]:
    """Makes the files, uploads those that differ from the bucket's, and returns their URIs.

    Commands that make the same data set on this machine take turns: the three objects in the
    bucket are always of one call.

    Raises:
        UserError: as `makers.make` does.
    """
    config = client.config
    bucket = client.bucket
    with _lock(config):
        for split, file in _make(config, rows, split_by).items():
            blob = bucket.blob(object_name(config, split))
            if _is_uploaded(blob, file):
                say(f"{blob.name} is in the bucket already.", "dim")
                continue
            with step(f"Uploading {blob.name} ({file.stat().st_size / 1e3:,.0f} kB)"):
                blob.upload_from_filename(
                    file, content_type=content_type(file.name), checksum="crc32c"
                )
    return uris(config)


def upload_folder(client: Client) -> list[str]:
    """Uploads the files of the data folder as they are, for a trainer that reads its own data.

    Returns:
        The URIs of all, those that the bucket has already among them.
    """
    folder = client.config.data_folder
    found = sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []
    shown = [file for file in found if not _is_hidden(file.relative_to(folder))]
    if not shown:
        say(
            f"There is nothing in {folder} to upload; a trainer may have its data elsewhere.", "dim"
        )
    uris = []
    with step(f"Uploading {counted(len(shown), 'file')} of {folder}"):
        for file in shown:
            blob = client.bucket.blob(f"data/{file.relative_to(folder).as_posix()}")
            uris.append(f"gs://{blob.bucket.name}/{blob.name}")
            if not _is_uploaded(blob, file):
                blob.upload_from_filename(
                    file, content_type=content_type(file.name), checksum="crc32c"
                )
    return uris


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _lock(config: Config) -> filelock.BaseFileLock:
    folder(config).mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(folder(config) / ".lock")


def _make(config: Config, rows: int | None, split_by: str) -> dict[str, Path]:
    recipe = _recipe(config)
    with step(f"Making the data set {config.data_set!r}"):
        paths = _write(config, rows, split_by)
    made = {"recipe": recipe, "rows": rows, "split_by": split_by}
    unfinished = folder(config) / f"{MADE_BY}.partial"
    unfinished.write_text(json.dumps(made), encoding="utf-8")
    unfinished.replace(folder(config) / MADE_BY)
    return paths


def _write(config: Config, rows: int | None, split_by: str) -> dict[str, Path]:
    """Writes the files, of a person's own files or as a maker makes them."""
    table = TABLES.get(config.data_set)
    if table is None or table.source is None:
        from cloud.datasets import makers

        return makers.write_csvs(config.data_set, folder(config), rows, split_by)
    from cloud.datasets import conversion

    if split_by != "row":
        raise UserError(
            f"--split-by {split_by}: expected 'row', as trainer/tables/{table.name}.toml says how"
            " its rows are split; change 'split' there."
        )
    paths, made = conversion.write_csvs(table, _sources(config, table), folder(config), rows)
    counts = ", ".join(f"{count:,} {split}" for split, count in made.rows.items())
    say(f"Rows: {counts}.")
    for count, why in (
        (made.without_label, "have no label"),
        (made.of_left_out_classes, "are of classes that are left out"),
        (made.bad, "cannot be read"),
    ):
        if count:
            say(f"{counted(count, 'row')} left out: they {why}.", "yellow")
    return paths


def _sources(config: Config, table: Table) -> list[Path]:
    """Returns a person's own files on this machine; those of a bucket are copied."""
    names = table.source.files if table.source else ()
    return [fetch(Client(config), name) if is_uri(name) else ROOT / name for name in names]


def fetch(client: Client, uri: str) -> Path:
    """Copies an object to this machine, unless it has it already, and returns the file.

    Raises:
        UserError: there is no such object.
    """
    blob = client.blob(uri)
    try:
        blob.reload()
    except exceptions.NotFound as error:
        raise UserError(f"{uri}: there is no such object or bucket; check the URI.") from error
    folder = client.config.data_folder / "sources" / blob.bucket.name / str(blob.generation)
    path: Path = folder / Path(blob.name).name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}")
        with step(f"Copying {uri} ({blob.size / 1e6:,.1f} MB)"):
            blob.download_to_filename(unfinished, raw_download=True)
        unfinished.replace(path)
    return path


def is_made(path: Path) -> bool:
    """Whether a file is one of a data set, and not a person's own."""
    return path.with_name(MADE_BY).exists()


def _recipe(config: Config) -> str:
    """Returns a checksum of what decides the files: the description, the code, the source."""
    description = TABLES.folder / f"{config.data_set}.toml"
    code = sorted(Path(__file__).parent.glob("*.py"))
    contents = [file.read_bytes() for file in (description, *code) if file.is_file()]
    table = TABLES.get(config.data_set)
    for name in table.source.files if table and table.source else ():
        path = ROOT / name  # an object of a bucket is looked at when 'data' is called
        if path.is_file():
            contents.append(f"{path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    return hashlib.sha256(b"\0".join(contents)).hexdigest()


def _is_uploaded(blob: Any, file: Path) -> bool:
    """Whether the object's checksum is the file's."""
    checksum = google_crc32c.Checksum(file.read_bytes()).digest()
    blob = blob.bucket.get_blob(blob.name)
    return blob is not None and blob.crc32c == base64.b64encode(checksum).decode()
