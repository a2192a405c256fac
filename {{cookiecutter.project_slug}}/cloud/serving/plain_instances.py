"""Instances of a model that is no table's: JSON as its signature takes it, CSV, or image files."""

import base64
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.console import err, text
from cloud.errors import UserError
from cloud.serving import instances
from cloud.serving.instances import ALLOW_MISSING_FLAG, Instance, Row
from table_schema import values
from table_schema.columns import Kind

IMAGES = (".jpeg", ".jpg", ".png")
# The kinds of inputs that a cell of a CSV file can hold.
OF_CELLS: dict[str, Kind] = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "text": "text",
    "category": "category",
    "timestamp": "timestamp",
}


@dataclass(frozen=True)
class Input:
    """What a model takes by one name.

    Attributes:
        name: of the input in the signature.
        kind: that of a table's column, or `image`, `bytes` or `tensor`.
        about: what it holds.
        tensor: dtype and shape of one row, such as `int64 [any]`; empty of what is no list.
    """

    name: str
    kind: str
    about: str
    tensor: str = ""

    @property
    def described(self) -> str:
        """Name, kind and meaning, for a person who has to give it."""
        kind = f"a list, {self.tensor}" if self.tensor else self.kind
        return f"{self.name} ({kind}: {self.about})"


class MadeUp(dict[str, Any]):
    """An instance of zeros and empty texts, which a model may refuse."""


def made_up(inputs: Mapping[str, Input], shapes: Mapping[str, tuple[int, ...]]) -> MadeUp:
    """Returns an instance of a model that nobody gave a sample of.

    Args:
        inputs: by name.
        shapes: of one row, by name; without sizes for what is no list.
    """
    zeros: dict[str, Any] = {"integer": 0, "boolean": False, "number": 0.0, "tensor": 0.0}
    found = {}
    for name, each in inputs.items():
        value = zeros.get(each.kind, "")
        for size in reversed(shapes.get(name, ())):
            value = [value] * size
        found[name] = value
    return MadeUp(found)


def parse(given: str, inputs: Mapping[str, Input]) -> Instance:
    """Reads `--instance`.

    Raises:
        UserError: it is no JSON object, or lacks an input.
    """
    found = instances.json_object(given)
    check("--instance", found, inputs)
    if unknown := found.keys() - inputs.keys():
        raise UserError(
            f"--instance: expected what the model takes, {_taken(inputs)}; it also has"
            f" {', '.join(sorted(unknown))}."
        )
    return found


def read(path: Path, inputs: Mapping[str, Input], *, allow_missing: bool = False) -> list[Instance]:
    """Reads instances from a file.

    Args:
        path: JSON or JSON lines; CSV with the inputs' names in its first line; an image file or a
            folder of them, where the model takes one image and nothing else.
        inputs: by name.
        allow_missing: whether an instance may lack inputs, which the model then refuses or fills.

    Raises:
        UserError: it cannot be read, is of another kind, or an instance lacks an input.
    """
    kind = instances.kind_of(path)
    readers: dict[str, Callable[[], list[tuple[str, Any]]]] = {
        ".csv": lambda: _of_csv(path, inputs),
        ".json": lambda: instances.json_values(path),
        ".jsonl": lambda: instances.json_lines(path),
    }
    if path.is_dir() or kind in IMAGES:
        return [_of_image(file, inputs) for file in image_files(path)]
    if kind not in readers:
        expected = ", ".join([*readers, *IMAGES])
        raise UserError(f"{path}: expected a file of {expected}, or a folder of images.")
    found = []
    others: set[str] = set()
    for place, value in readers[kind]():
        instances.check_object(path, place, value)
        if not allow_missing:
            check(f"{path}, {place}", value, inputs)
        others |= value.keys() - inputs.keys()
        found.append({name: each for name, each in value.items() if name in inputs})
    if not found:
        raise UserError(f"{path}: expected instances, one object each, found none.")
    if others:
        names = ", ".join(sorted(others))
        err.print(text(f"Not sent, as the model does not take it: {names}.", "dim"))
    return found


def rows_of(path: Path) -> list[Row] | None:
    """Returns what a file's instances are known by: cells, or names of files; None of JSON."""
    kind = instances.kind_of(path)
    if path.is_dir() or kind in IMAGES:
        return [{"file": file.name} for file in image_files(path)]
    return instances.csv_rows(path) if kind == ".csv" else None


def image_files(path: Path) -> list[Path]:
    """Returns the image files of a folder, or the one file.

    Raises:
        UserError: there is none.
    """
    found = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [file for file in found if file.suffix.lower() in IMAGES]
    if not found:
        raise UserError(f"{path}: expected files of {', '.join(IMAGES)}, found none.")
    return found


def check(place: str, instance: Instance, inputs: Mapping[str, Input]) -> None:
    """Raises UserError where an instance lacks an input."""
    if missing := inputs.keys() - instance.keys():
        remedy = ALLOW_MISSING_FLAG if place != "--instance" else ""
        raise UserError(
            f"{place}: expected what the model takes, {_taken(inputs)}; it lacks"
            f" {', '.join(sorted(missing))}.{remedy}"
        )


def _taken(inputs: Mapping[str, Input]) -> str:
    return ", ".join(each.described for each in inputs.values())


def alike(found: Sequence[Instance]) -> Iterator[list[Instance]]:
    """Yields instances in lists whose tensors have one shape, as a request must have them."""
    for _same, group in itertools.groupby(found, key=_shapes):
        yield list(group)


def _shapes(instance: Instance) -> dict[str, list[int]]:
    return {name: _shape(value) for name, value in instance.items()}


def _shape(value: Any) -> list[int]:
    if not isinstance(value, list):
        return []
    return [len(value), *(_shape(value[0]) if value else [])]


def _of_csv(path: Path, inputs: Mapping[str, Input]) -> list[tuple[str, Any]]:
    found = []
    for line, row in instances.numbered_csv_rows(path, list(inputs)):
        instance = {}
        for name, cell in row.items():
            if name not in inputs:
                instance[name] = cell
                continue
            kind = inputs[name].kind
            if kind not in OF_CELLS:
                raise UserError(
                    f"{path}: expected {name!r} as {kind}, which no cell of CSV holds; give JSON"
                    " lines."
                )
            try:
                value = values.read(OF_CELLS[kind], cell)
            except ValueError as error:
                raise UserError(
                    f"{path}, line {line}: {name}: expected {values.EXPECTED[OF_CELLS[kind]]}, got"
                    f" {cell!r}."
                ) from error
            instance[name] = "" if value is None and kind == "text" else value
        found.append((f"line {line}", instance))
    return found


def _of_image(file: Path, inputs: Mapping[str, Input]) -> Instance:
    names = [name for name, each in inputs.items() if each.kind in ("image", "bytes")]
    if len(inputs) != 1 or not names:
        raise UserError(
            f"{file}: expected a model that takes one image, this one takes {_taken(inputs)}."
        )
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error
    return {names[0]: {"b64": base64.b64encode(content).decode()}}
