"""The tables: each is described by a file `trainer/tables/NAME.toml`, which people read and edit.

Its keys are the attributes of `Table`, `Label`, `Column`, `Source`, `Split` and `LeftOut` in
`table_schema/columns.py`, with the meaning that is given there. What has a default may be left out,
and so may the classes of a label that is a number.
"""

import dataclasses
import json
import re
import tomllib
import typing
from collections.abc import Iterator, MutableMapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from table_schema.columns import Column, Kind, Label, LeftOut, Source, Split, Table

# What TOML has for the type of an attribute.
WRITTEN: dict[Any, type] = {str: str, int: int, bool: bool, tuple: list, typing.Literal: str}
TYPES: dict[type[Any], str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table of keys and values",
}


class DescriptionError(ValueError):
    """A description is wrong; the message names file, line and key."""


class Tables(MutableMapping[str, Table]):
    """The tables by name. A file is read when its table is asked for.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Traversable) -> None:
        self.folder = folder
        self._known: dict[str, Table] = {}

    def __getitem__(self, name: str) -> Table:
        """Returns the table of a name.

        Raises:
            KeyError: there is none.
            DescriptionError: its file is wrong; the message names file, line and key.
        """
        if name not in self._known:
            file = self.folder / f"{name}.toml"
            if not file.is_file():
                raise KeyError(name)
            self._known[name] = parse(name, self._text(name))
        return self._known[name]

    def fault(self, name: str, key: str, message: str) -> DescriptionError:
        """Returns the error of a value that only its reader can check; it names file and line."""
        has_file = (self.folder / f"{name}.toml").is_file()
        text = self._text(name) if has_file else ""
        return _Description(_path(name), {}, text).error(message, key)

    def _text(self, name: str) -> str:
        try:
            return (self.folder / f"{name}.toml").read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise DescriptionError(f"{_path(name)}: is not text in UTF-8: {error}.") from error

    def __setitem__(self, name: str, table: Table) -> None:
        """Adds a table that has no file."""
        self._known[name] = table

    def __delitem__(self, name: str) -> None:
        """Forgets a table that has no file."""
        del self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Gives the names, in order."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        names = (file.name for file in found)
        described = {name.removesuffix(".toml") for name in names if name.endswith(".toml")}
        return iter(sorted(described | self._known.keys()))

    def __len__(self) -> int:
        """Counts the tables."""
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        """Whether there is a table of a name; its file is not read."""
        return name in set(self)


# The trainer's wheel has them too, so that a job reads what the project's commands read.
TABLES = Tables(files("trainer") / "tables")


def parse(name: str, text: str) -> Table:
    """Reads a table's description.

    Args:
        name: of the table, and of its file.
        text: TOML.

    Raises:
        DescriptionError: it is no such description; the message names file, line and key.
    """
    file = _path(name)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(f"{file}: is not TOML: {error}.") from error
    return _Description(file, values, text).table(name)


def _path(name: str) -> str:
    return f"trainer/tables/{name}.toml"


def document(table: Table) -> dict[str, Any]:
    """Returns a table's description as JSON has it."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(table)))
    return {key: value for key, value in values.items() if value is not None}


def of_document(values: dict[str, Any]) -> Table:
    """Reads what `document` has made.

    Raises:
        DescriptionError: it is no description.
        KeyError: it has no name.
    """
    name = values["name"]
    described = {key: value for key, value in values.items() if key != "name"}
    return _Description(f"the description of {name!r}", described).table(name)


class _Description:
    """The keys and values of a description, and where it is."""

    def __init__(self, file: str, values: dict[str, Any], text: str = "") -> None:
        self._file = file
        self._values = values
        self._lines = text.splitlines()

    def table(self, name: str) -> Table:
        values = self._checked(self._values, Table, "")
        label = values["label"]
        parts: dict[str, Any] = {"label": self._part(Label, label, "label")}
        for key, kind in (("columns", Column), ("left_out", LeftOut)):
            listed = enumerate(values.get(key, []))
            parts[key] = tuple(self._part(kind, each, f"{key}[{n}]") for n, each in listed)
        for key, part in (("source", Source), ("split", Split)):
            if key in values:
                parts[key] = self._part(part, values[key], key)
        defaults = {
            setting: tuple(value) if isinstance(value, list) else value
            for setting, value in values.get("defaults", {}).items()
        }
        table: Table = self._made("", Table, values | parts | {"name": name, "defaults": defaults})
        return table

    def _part(self, kind: type[Any], values: Any, place: str) -> Any:
        """Makes a part of the table out of its keys and values."""
        values = self._checked(values, kind, place)
        if kind is Column and values["kind"] not in typing.get_args(Kind):
            kinds = ", ".join(typing.get_args(Kind))
            raise self._error(f"expected a kind of {kinds}, got {values['kind']!r}", values["name"])
        if kind is Label:
            values = {"classes": ()} | values
        text = next((value for value in values.values() if isinstance(value, str)), "")
        return self._made(text, kind, values)

    def _checked(self, values: Any, kind: type[Any], place: str) -> dict[str, Any]:
        """Returns the attributes of a part; lists of texts become tuples.

        Raises:
            DescriptionError: one is missing, unknown, or of another type.
        """
        known = _types(kind)
        if not isinstance(values, dict):
            raise self._error(f"{place}: expected {', '.join(known)}, got {values!r}", str(values))
        inside = f"{place}." if place else ""
        for key, value in values.items():
            if key not in known:
                raise self.error(f"{inside}{key}: expected a key of {', '.join(known)}", key)
            if not isinstance(value, known[key]) or (known[key] is int and isinstance(value, bool)):
                expected = TYPES[known[key]]
                raise self.error(f"{inside}{key}: expected {expected}, got {value!r}", key)
        for key in known:
            if key not in values and key not in _optional(kind):
                of = f" of {values['name']!r}" if "name" in values else ""
                raise self._error(f"{inside}{key}{of}: is missing", str(values.get("name", "")))
        texts = {key for key in known if key not in ("columns", "left_out")}
        lists = {key: value for key, value in values.items() if isinstance(value, list)}
        for key in texts & lists.keys():
            self._check_texts(lists[key], f"{inside}{key}")
        return values | {key: tuple(value) for key, value in lists.items()}

    def _check_texts(self, values: list[Any], key: str) -> None:
        for value in values:
            if not isinstance(value, str):
                last = key.rpartition(".")[2]
                raise self.error(f'{key}: expected texts, each in "", got {value!r}', last)

    def _made(self, text: str, kind: type[Any], values: dict[str, Any]) -> Any:
        """Makes a part of the description; its own refusal gets the line of a text beside it."""
        try:
            return kind(**values)
        except ValueError as error:
            named = text or (re.findall("'([^']*)'", str(error)) or [""])[-1]
            raise self._error(str(error).rstrip("."), named) from error

    def error(self, message: str, key: str) -> DescriptionError:
        """Returns the error with the number of the first line that has a key, if one."""
        return self._at(message, rf"\b{re.escape(key)}\s*=" if key else "")

    def _error(self, message: str, text: str) -> DescriptionError:
        """Returns the error with the number of the first line that has a text, if one."""
        return self._at(message, rf"[\"']{re.escape(text)}[\"']" if text else "")

    def _at(self, message: str, found: str) -> DescriptionError:
        lines = [n for n, line in enumerate(self._lines, 1) if found and re.search(found, line)]
        line = f", line {lines[0]}" if lines else ""
        return DescriptionError(f"{self._file}{line}: {message}.")


def _types(kind: type[Any]) -> dict[str, type]:
    """Returns the type that each attribute of a part has in TOML; a table's name is its file's."""
    hints = typing.get_type_hints(kind)
    return {
        field.name: WRITTEN.get(typing.get_origin(hints[field.name]) or hints[field.name], dict)
        for field in dataclasses.fields(kind)
        if kind is not Table or field.name != "name"
    }


def _optional(kind: type[Any]) -> set[str]:
    """Returns the attributes of a part that may be left out."""
    missing = dataclasses.MISSING
    return {"classes"} | {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is not missing or field.default_factory is not missing
    }
