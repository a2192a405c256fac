"""Writes the description of a person's own table: `trainer/tables/NAME.toml`, to be edited."""

import dataclasses
import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from table_schema.columns import Table

# The last line of what nobody has edited: a checksum of the lines above it.
SEAL = re.compile(r"# Unedited since 'nox -s adopt': ([0-9a-f]{16})\n\Z")


def text(table: Table) -> str:
    """Returns the TOML of a table with a source; `table_schema.tables.parse` reads it."""
    lines = [
        f"# {table.name}: described by 'nox -s adopt', and yours to edit; 'nox -s data' checks it.",
        "# table_schema/columns.py explains the keys, and cloud/datasets/written.py 'written'.",
        "",
        f"key = {_value(table.key)}",
        f"label = {_part(table.label)}",
    ]
    if table.source is not None:
        lines.append(f"source = {_part(table.source)}")
    lines += [f"split = {_part(table.split)}", "columns = ["]
    lines += [f"    {_part(column)}," for column in table.columns]
    lines.append("]")
    if table.left_out:
        lines.append("left_out = [")
        lines += [f"    {_part(each)}," for each in table.left_out]
        lines.append("]")
    lines.append(f"slices = {_value(table.slices)}")
    lines += ["limits = [", *(f"    {_value(each)}," for each in table.limits), "]"]
    if table.defaults:
        lines.append(f"defaults = {_value(table.defaults)}")
    content = "\n".join(lines) + "\n"
    return f"{content}# Unedited since 'nox -s adopt': {_checksum(content)}\n"


def is_edited(content: str) -> bool:
    """Whether a person has changed what `text` wrote, or written all of it."""
    seal = SEAL.search(content)
    return not seal or seal[1] != _checksum(content[: seal.start()])


def difference(old: str, new: str, name: str) -> str:
    """Returns what changes from one description to the other as a unified diff, or nothing."""
    before, after = (SEAL.sub("", each).splitlines() for each in (old, new))
    lines = difflib.unified_diff(
        before, after, f"{name} as it is", f"{name} as it would be", lineterm=""
    )
    return "\n".join(lines)


def write(path: Path, content: str) -> None:
    """Writes a file whole, or not at all."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(content, encoding="utf-8", newline="\n")
    unfinished.replace(path)


def set_values(pyproject: Path, values: Mapping[str, str]) -> None:
    """Writes texts of `[tool.cloud]` over those that are there; comments stay."""
    content = pyproject.read_text(encoding="utf-8")
    head, table, rest = content.partition("[tool.cloud]\n")
    for key, value in values.items():
        there = re.compile(rf'^({key}\s*=\s*)"[^"\n]*"', re.MULTILINE)
        rest = there.sub(rf'\g<1>"{value}"', rest, count=1)
    write(pyproject, head + table + rest)


def _part(part: Any) -> str:
    """Returns a part of a table as an inline table, without what is as by default."""
    written = {}
    # What a part is comes first, and how its files are written after it.
    for field in sorted(dataclasses.fields(part), key=lambda field: field.kw_only is True):
        value = getattr(part, field.name)
        if value == field.default and field.name != "by":
            continue
        if value == () or (field.name == "heading" and value == getattr(part, "name", None)):
            continue
        written[field.name] = value
    return _value(written)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {_value(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    # TOML's texts are JSON's, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _checksum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]
