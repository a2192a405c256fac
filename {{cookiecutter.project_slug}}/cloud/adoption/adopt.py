"""Adopts a table: looks at it, says what was found, writes its description, and chooses it."""

import argparse
import dataclasses
from pathlib import Path

from cloud import config
from cloud.adoption import description, flags, report
from cloud.adoption.findings import Adoption
from cloud.adoption.look import Look, relative
from cloud.client import Client
from cloud.config import Config
from cloud.console import say, step
from cloud.datasets import files
from cloud.errors import UserError
from table_schema.tables import TABLES, DescriptionError

TABLES_FOLDER = config.ROOT / "trainer" / "tables"


def adopt(
    values: Config,
    names: list[str],
    options: argparse.Namespace,
    *,
    dry_run: bool = False,
    replace: bool = False,
) -> Config:
    """Describes the table of files, and makes it the project's; returns the values with it.

    Args:
        values: the project's.
        names: files, folders or gs:// URIs.
        options: as `flags.add_arguments` describes them.
        dry_run: whether nothing is written.
        replace: whether a description that somebody has edited is written over.

    Raises:
        UserError: a file cannot be read, there is nothing to learn, or the table's name is taken.
    """
    if not (config.ROOT / "trainer" / "tabular").is_dir():
        raise UserError(
            "This project trains with a script of its own and has no trainer of tables; bake one"
            " for your table, with the answer data_set=own."
        )
    wishes = flags.wishes_of(options)
    local = [
        files.fetch(Client(values), name) if files.is_uri(name) else Path(name) for name in names
    ]
    with step(f"Looking at {', '.join(names)}"):
        look = Look(local, wishes)
    recorded = [name if files.is_uri(name) else relative(name, config.ROOT) for name in names]
    found = look.adoption(
        recorded, flags.put_question if flags.asks(options) else flags.take_default
    )
    report.show(found)
    _write(values, found, dry_run=dry_run, replace=replace)
    outside = [name for name in recorded if Path(name).is_absolute()]
    if outside:
        say(
            f"{outside[0]} lies outside the project, where others have no such file: copy it into"
            " the project, or put it into a bucket and adopt its gs:// URI.",
            "yellow",
        )
    if not dry_run:
        page = values.data_folder / found.table.name / "report.html"
        report.write(page, found)
        say(f"A picture of each column: {page}")
    return dataclasses.replace(config.load(), data_set=found.table.name)


def _write(values: Config, found: Adoption, *, dry_run: bool, replace: bool) -> None:
    """Writes the description, unless somebody has edited the one that is there.

    Raises:
        UserError: the name is of a table that has no files of its own.
    """
    name = found.table.name
    path = TABLES_FOLDER / f"{name}.toml"
    shown = path.relative_to(config.ROOT).as_posix()
    new, old = description.text(found.table), ""
    if path.exists():
        old = path.read_text(encoding="utf-8")
        if not _is_of_files(name):
            raise UserError(
                f"{shown} describes another table, which is no file's; give yours another name with"
                " --name."
            )
        if changes := description.difference(old, new, shown):
            say(f"\n{changes}")
        else:
            say(f"\n{shown} stays as it is.")
    if dry_run:
        say(new if not old else "Nothing is written: --dry-run.")
        return
    if old and description.is_edited(old) and not replace:
        say(f"{shown} stays as you edited it; --replace writes what is new over it.", "bold")
    else:
        description.write(path, new)
        say(f"Wrote {shown}: read it, and edit what you know better.", "bold")
    _choose(values, name)


def _is_of_files(name: str) -> bool:
    """Whether a table is one of a person's own files; a description that is broken may be."""
    try:
        return TABLES[name].source is not None
    except DescriptionError as error:
        say(str(error), "yellow")
        return True


def _choose(values: Config, name: str) -> None:
    """Makes the table the project's; one after another gets a model and endpoint of its own."""
    chosen = {"data_set": name}
    if values.data_set in TABLES and values.data_set != name:
        chosen["model"] = name
    description.set_values(config.ROOT / "pyproject.toml", chosen)
    if "model" in chosen and values.model != name:
        say(
            f"[tool.cloud] model is now {name!r}, as {values.model!r} is the model of the table"
            f" {values.data_set!r}. 'CLOUD_MODEL={values.model} nox -s teardown' removes what was"
            " made under that name."
        )
