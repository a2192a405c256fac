"""Everything that decides a training: what the command line, a job and the tests share."""

import argparse
import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from trainer import report
from trainer.columns import TABLES
from trainer.errors import UserError

DESCRIPTION = """\
Trains a model on a table, evaluates it on the test rows and exports it as a SavedModel. Started
again with the same folders, it goes on from the newest checkpoint. A table may have defaults of
its own, in trainer/columns.py."""

# Vertex AI sets these in every job that has a base output directory.
FOLDERS = {
    "model_dir": "AIP_MODEL_DIR",
    "checkpoint_dir": "AIP_CHECKPOINT_DIR",
    "log_dir": "AIP_TENSORBOARD_LOG_DIR",
}

DEFAULT_TABLE = "flights"
METAVARS = {str: "URI", int: "N", float: "X"}

CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "tiny": {
        "epochs": 2,
        "batch_size": 32,
        "hidden_units": (8,),
        "embedding_size": 2,
        "steps_per_execution": 4,
    },
}


def flag(about: str, default: Any = dataclasses.MISSING) -> Any:
    """Returns a field that is a flag of the command line, with its line of `--help`."""
    return dataclasses.field(default=default, metadata={"about": about})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one training; each field's meaning is its help text.

    Raises:
        UserError: a value is out of its range.
    """

    train_data: str = flag("CSV file of the training rows; like all places, a path or gs:// URI")
    eval_data: str = flag("CSV file of the rows that tell after each epoch how it goes")
    test_data: str = flag("CSV file of the rows that are looked at once, after training")
    table: str = flag(f"what the columns mean: {', '.join(TABLES)}", DEFAULT_TABLE)
    model_dir: str = flag("folder of the SavedModel (in its subfolder 1) and evaluation.json", "")
    checkpoint_dir: str = flag("folder of the checkpoints", "")
    log_dir: str = flag("folder of what TensorBoard reads", "")
    epochs: int = flag("passes over the training rows", 12)
    batch_size: int = flag("rows in one step, over all workers", 512)
    learning_rate: float = flag("Adam's at first; it falls to zero along a cosine", 0.004)
    hidden_units: tuple[int, ...] = flag("units of the hidden layers, such as 128,64", (128, 64))
    embedding_size: int = flag("numbers that stand for a category, at most", 8)
    min_count: int = flag("training rows a category needs to be told from unknown ones", 10)
    dropout: float = flag("share of hidden units left out of a step, 0 up to but not 1", 0.0)
    patience: int = flag("epochs without a better evaluation before it stops; 0 never stops", 0)
    seed: int = flag("of first weights and shuffling", 0)
    steps_per_execution: int = flag("steps that TensorFlow takes in one call", 128)

    def __post_init__(self) -> None:
        for name in ("train_data", "eval_data", "test_data"):
            self._check(name, bool(getattr(self, name)), "a path or gs:// URI")
        self._check("table", self.table in TABLES, f"one of {', '.join(TABLES)}")
        for name in ("epochs", "batch_size", "embedding_size", "min_count", "steps_per_execution"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("patience", "seed"):
            self._check(name, 0 <= getattr(self, name) < 2**32, "0 or more, below 2**32")
        self._check("hidden_units", all(n >= 1 for n in self.hidden_units), "at least 1 each")
        self._check("dropout", 0 <= self.dropout < 1, "0 up to but not 1")
        self._check(
            "learning_rate",
            self.learning_rate > 0 and math.isfinite(self.learning_rate),
            "a number above 0",
        )

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            value = as_text(getattr(self, name))
            raise UserError(f"{as_flag(name)}: expected {expected}, got {value!r}.")

    @classmethod
    def tiny(cls, **values: Any) -> Self:
        """Returns the settings of `--config tiny`: a training of a second, for tests."""
        return cls(**CONFIGS["tiny"] | values)

    def arguments(self) -> list[str]:
        """Returns the flags that make the same settings."""
        values = {field.name: as_text(getattr(self, field.name)) for field in _fields()}
        return [
            f"{as_flag(name)}={value}"
            for name, value in values.items()
            if value or name not in FOLDERS
        ]

    def with_folders(self, environment: Mapping[str, str] = os.environ) -> Self:
        """Returns the settings with every folder known, from Vertex AI's variables if need be.

        Raises:
            UserError: a folder is given neither by flag nor by variable.
        """
        found: dict[str, Any] = {}
        for name, variable in FOLDERS.items():
            found[name] = getattr(self, name) or environment.get(variable, "")
            if not found[name]:
                raise UserError(
                    f"{as_flag(name)}: expected a folder or gs:// URI, got none; give the flag"
                    f" or set {variable}."
                )
        return dataclasses.replace(self, **found)


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Reads the command line.

    Raises:
        SystemExit: with code 2 after one sentence about what is wrong; with 0 after `--help`.
    """
    parser = _Parser(prog="python -m trainer.task", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--config", choices=CONFIGS, default="default", help="named defaults")
    for field in _fields():
        required = field.default is dataclasses.MISSING
        shown = FOLDERS.get(field.name, None if required else as_text(field.default))
        parser.add_argument(
            as_flag(field.name),
            help=field.metadata["about"] + (f" (default: {shown})" if shown else ""),
            type=_units if field.name == "hidden_units" else field.type,
            required=required,
            default=argparse.SUPPRESS,
            metavar="NAME" if field.name == "table" else METAVARS.get(field.type, "N,N"),
        )
    values = vars(parser.parse_args(arguments))
    try:
        config = CONFIGS[values.pop("config")]
        table = TABLES.get(values.get("table", DEFAULT_TABLE))
        return Settings(**(dict(table.defaults) if table else {}) | config | values)
    except UserError as error:
        parser.error(str(error))


class _Parser(argparse.ArgumentParser):
    """Says what is wrong without the list of all flags before it."""

    def error(self, message: str) -> NoReturn:
        report.fail(message if message.endswith(".") else f"{message}; --help explains all flags.")
        self.exit(2)


def _fields() -> tuple[Any, ...]:
    return dataclasses.fields(Settings)


def _units(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)


_units.__name__ = "list of whole numbers"  # argparse names the type by it


def as_flag(name: str) -> str:
    """Returns the flag of a field."""
    return "--" + name.replace("_", "-")


def as_text(value: Any) -> str:
    """Returns a field's value as the command line takes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
