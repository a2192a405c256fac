"""The tables: each is described by a file `NAME.toml` in this folder, which people read and edit.

Keys of a file, with the meaning that `trainer/columns.py` gives them:

- `key`: column that tells the rows apart.
- `label`: `name`, `about`, and `classes` where it is no number.
- `columns`: a list, each with `name`, `kind` and `about`; `heading` and `buckets` may be left out.
- `slices`, `limits` and `defaults`, which may be left out.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, get_args

from trainer.columns import Column, Kind, Label, Table
from trainer.errors import UserError

COLUMN = {"name": str, "kind": str, "about": str, "heading": str, "buckets": int}
LABEL = {"name": str, "about": str, "classes": list}
TABLE = {
    "key": str, "label": dict, "columns": list, "slices": list, "limits": list, "defaults": dict,
}  # fmt: skip
OPTIONAL = {"classes", "slices", "limits", "defaults", "heading", "buckets"}
TYPES: dict[type[Any], str] = {
    str: "a text",
    int: "a whole number",
    list: "a list",
    dict: "a table of keys and values",
}


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
            UserError: its file is wrong; the message names file, line and key.
        """
        if name not in self._known:
            file = self.folder / f"{name}.toml"
            if not file.is_file():
                raise KeyError(name)
            self._known[name] = parse(name, file.read_text(encoding="utf-8"))
        return self._known[name]

    def __setitem__(self, name: str, table: Table) -> None:
        """Adds a table that has no file."""
        self._known[name] = table

    def __delitem__(self, name: str) -> None:
        """Forgets a table that has no file."""
        del self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Gives the names, in order."""
        names = (file.name for file in self.folder.iterdir())
        found = {name.removesuffix(".toml") for name in names if name.endswith(".toml")}
        return iter(sorted(found | self._known.keys()))

    def __len__(self) -> int:
        """Counts the tables."""
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        """Whether there is a table of a name; its file is not read."""
        return name in set(self)


TABLES = Tables(files(__name__))


def parse(name: str, text: str) -> Table:
    """Reads a table's description.

    Args:
        name: of the table, and of its file.
        text: TOML.

    Raises:
        UserError: it is no such description; the message names file, line and key.
    """
    return _Description(f"trainer/tables/{name}.toml", text).table(name)


class _Description:
    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._lines = text.splitlines()
        try:
            self._values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"{file}: is not TOML: {error}.") from error

    def table(self, name: str) -> Table:
        values = self._checked(self._values, TABLE, "")
        label = self._checked(values["label"], LABEL, "label")
        columns = []
        for number, value in enumerate(values["columns"]):
            column = self._checked(value, COLUMN, f"columns[{number}]")
            if column["kind"] not in get_args(Kind):
                kinds = ", ".join(get_args(Kind))
                raise self._error(
                    f"expected a kind of {kinds}, got {column['kind']!r}", column["name"]
                )
            columns.append(self._made(column["name"], Column, column))
        for key in ("slices", "limits"):
            self._check_texts(values.get(key, []), key)
        classes = label.get("classes", [])
        self._check_texts(classes, "label.classes")
        defaults = {
            setting: tuple(value) if isinstance(value, list) else value
            for setting, value in values.get("defaults", {}).items()
        }
        made = {
            "name": name,
            "key": values["key"],
            "label": self._made(label["name"], Label, label | {"classes": tuple(classes)}),
            "columns": tuple(columns),
            "slices": tuple(values.get("slices", ())),
            "limits": tuple(values.get("limits", ())),
            "defaults": defaults,
        }
        table: Table = self._made("", Table, made)
        return table

    def _checked(self, values: Any, known: Mapping[str, type], place: str) -> dict[str, Any]:
        """Returns keys and values of the types that are known.

        Raises:
            UserError: one is missing, unknown, or of another type.
        """
        if not isinstance(values, dict):
            raise self._error(f"{place}: expected {', '.join(known)}, got {values!r}", str(values))
        inside = f"{place}." if place else ""
        for key, value in values.items():
            if key not in known:
                raise self._error(
                    f"{inside}{key}: expected a key of {', '.join(known)}", key, is_key=True
                )
            if not isinstance(value, known[key]) or isinstance(value, bool):
                expected = TYPES[known[key]]
                raise self._error(
                    f"{inside}{key}: expected {expected}, got {value!r}", key, is_key=True
                )
        for key in known:
            if key not in values and key not in OPTIONAL:
                of = f" of {values['name']!r}" if "name" in values else ""
                raise self._error(f"{inside}{key}{of}: is missing", str(values.get("name", "")))
        return values

    def _check_texts(self, values: list[Any], key: str) -> None:
        for value in values:
            if not isinstance(value, str):
                last = key.rpartition(".")[2]
                raise self._error(
                    f'{key}: expected texts, each in "", got {value!r}', last, is_key=True
                )

    def _made(self, text: str, kind: type[Any], values: dict[str, Any]) -> Any:
        """Makes a part of the description; its own refusal gets the line of a text beside it."""
        try:
            return kind(**values)
        except ValueError as error:
            raise self._error(str(error).rstrip("."), text) from error

    def _error(self, message: str, text: str, *, is_key: bool = False) -> UserError:
        """Returns the error with the number of the first line that has a text or key, if one."""
        found = rf"\b{re.escape(text)}\s*=" if is_key else rf"[\"']{re.escape(text)}[\"']"
        lines = [n for n, line in enumerate(self._lines, 1) if text and re.search(found, line)]
        line = f", line {lines[0]}" if lines else ""
        return UserError(f"{self._file}{line}: {message}.")
