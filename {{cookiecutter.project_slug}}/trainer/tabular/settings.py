"""Everything that decides a training: what the command line, a job and the tests share."""

import argparse
import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from table_schema import metrics
from table_schema.columns import SPLITS, Table
from table_schema.tables import TABLES, DescriptionError
from trainer import console
from trainer.errors import UserError
from trainer.mirror import FOLDERS

DESCRIPTION = """\
Trains a model on a table, evaluates it on the test rows and exports it as a SavedModel. Started
again with the same folders, it continues from the newest checkpoint. A table can have its own
defaults, in its description in trainer/tables/."""

DEFAULT_TABLE = "flights"
# The value of a number, or of one of `hidden_units`, that plan.py decides; nobody means it.
AUTO = -(2**31)
# Numbers that may be 0; the other whole ones are 1 at least.
MAY_BE_0 = ("background_rows", "boosting_rows", "explain", "patience", "seed")
METAVARS = {str: "URI", int: "N", float: "X"}
NAMED = {"table": "NAME", "metric": "NAME", "class_weights": "X,X"}

CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "accurate": {
        "hidden_units": (256, 128),
        "members": 16,
        "bins": 48,
        "epochs": 60,
        "patience": 12,
        "learning_rate": 0.002,
    },
    "tiny": {
        "epochs": 2,
        "batch_size": 32,
        "hidden_units": (8,),
        "members": 2,
        "bins": 4,
        "embedding_size": 2,
        "learning_rate": 0.006,
        "min_count": 10,
        "patience": 0,
        "folds": 1,
        "boosting_rows": 0,
        "steps_per_execution": 4,
    },
}


def flag(about: str, default: Any = dataclasses.MISSING, *, search: str = "") -> Any:
    """Returns a field that is a flag of the command line.

    Args:
        about: its line of `--help`.
        default: its value; without one it must be given.
        search: the range in which `nox -s tune` searches it, as `--search` takes it.
    """
    return dataclasses.field(default=default, metadata={"about": about, "search": search})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one training; each field's meaning is its help text.

    Raises:
        UserError: a value is out of its range.
    """

    train_data: str = flag("training rows: CSV or TFRecord files, path or gs:// URI, may have *")
    eval_data: str = flag("evaluation rows, scored after each epoch")
    test_data: str = flag("test rows, used once, after training")
    table: str = flag(f"table of trainer/tables/: {', '.join(TABLES)}", DEFAULT_TABLE)
    model_dir: str = flag("folder of the SavedModel (in its subfolder 1) and evaluation.json", "")
    checkpoint_dir: str = flag("folder of the checkpoints", "")
    log_dir: str = flag("folder of the TensorBoard logs", "")
    epochs: int = flag("passes over the training rows", AUTO)
    batch_size: int = flag("rows per step, over all workers", AUTO)
    learning_rate: float = flag(
        "Adam's learning rate; it decays to zero along a cosine", AUTO, search="0.001..0.02:log"
    )
    hidden_units: tuple[int, ...] = flag(
        "units of the hidden layers, such as 128,64",
        (AUTO,),
        search="64,32|128,64|256,128|128,128,64",
    )
    members: int = flag("networks that share their layers and whose mean predicts", AUTO)
    bins: int = flag("bins of a number, at most; 1 gives the network the number alone", AUTO)
    embedding_size: int = flag("maximum size of a category's embedding", 8)
    min_count: int = flag("training rows that a category needs to count as known", AUTO)
    max_vocabulary: int = flag("categories per column; a column with more is hashed", 10_000)
    max_bad_share: float = flag("share of rows that may fail to parse, 0 to 1", 0.0)
    window_rows: int = flag("training rows shuffled in memory; more are read from disk", 2_000_000)
    class_weights: str = flag("'balanced', or the weight of each class, such as 1,3", "")
    l2: float = flag("L2 penalty on the weights", 0.0)
    clip_norm: float = flag("maximum norm of the gradient; 0 does not clip", 0.0)
    averaging: float = flag(
        "what the average of weights keeps of itself in a step, to below 1", 0.99
    )
    dropout: float = flag("share of hidden units dropped, 0 to below 1", 0.0, search="0.0..0.3")
    patience: int = flag("epochs without improvement before training stops; 0 never stops", AUTO)
    metric: str = flag("evaluation metric that chooses the best epoch; by default the loss", "")
    checkpoint_seconds: float = flag("between checkpoints; each epoch also ends with one", 300.0)
    folds: int = flag(
        "networks that each leave out a part of the rows; 1 learns from training rows", AUTO
    )
    boosting_rows: int = flag("training rows of boosting, a baseline, at most; 0 does none", 50_000)
    explain: int = flag("1 scores slices and columns of the test rows; 0 leaves both out", 1)
    background_rows: int = flag("training rows kept for explanations; 0 keeps none", 64)
    seed: int = flag("random seed of initial weights and shuffling", 0)
    steps_per_execution: int = flag("steps in one call of TensorFlow", 128)

    def __post_init__(self) -> None:
        for name in map(data_field, SPLITS):
            self._check(name, bool(getattr(self, name)), "a path or gs:// URI")
        self._check("table", self.table in TABLES, f"one of {', '.join(TABLES)}")
        for name, field in Settings.__dataclass_fields__.items():
            if field.type is int and name not in MAY_BE_0:
                value = getattr(self, name)
                self._check(name, value >= 1 or self._is_auto(name), "at least 1")
        for name in ("l2", "clip_norm", "checkpoint_seconds"):
            self._check(name, 0 <= getattr(self, name) < math.inf, "0 or more")
        for name in MAY_BE_0:
            fits = 0 <= getattr(self, name) < 2**32
            self._check(name, fits or self._is_auto(name), "0 or more, below 2**32")
        self._check("explain", self.explain in (0, 1), "0 or 1")
        fits = all(n >= 1 for n in self.hidden_units) or self._is_auto("hidden_units")
        self._check("hidden_units", fits, "at least 1 each")
        known = metrics.of_label(TABLES[self.table].label)
        self._check("metric", self.metric in ("", *known), f"one of {', '.join(known)}")
        self._check("max_bad_share", 0 <= self.max_bad_share <= 1, "0 to 1")
        self._check("class_weights", self._has_class_weights(), "'balanced' or such as 1,3.5")
        for name in ("averaging", "dropout"):
            self._check(name, 0 <= getattr(self, name) < 1, "0 to below 1")
        self._check(
            "learning_rate",
            0 < self.learning_rate < math.inf or self._is_auto("learning_rate"),
            "a number above 0",
        )

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            value = as_text(getattr(self, name))
            raise UserError(f"{as_flag(name)}: expected {expected}, got {value!r}.")

    def _is_auto(self, name: str) -> bool:
        """Whether a field has the default that `plan.py` puts a value in the place of."""
        field = Settings.__dataclass_fields__[name]
        return getattr(self, name) == field.default and as_text(field.default) == "auto"

    @property
    def undecided(self) -> tuple[str, ...]:
        """The fields that are chosen by the table."""
        return tuple(field.name for field in _fields() if self._is_auto(field.name))

    def _has_class_weights(self) -> bool:
        try:
            return all(0 < weight < math.inf for weight in self.weights)
        except ValueError:
            return False

    @property
    def weights(self) -> tuple[float, ...]:
        """The class weights that are given as numbers."""
        if self.class_weights in ("", "balanced"):
            return ()
        return tuple(float(number) for number in self.class_weights.split(","))

    @property
    def watched(self) -> str:
        """The metric of the evaluation that tells the best epoch."""
        return self.metric or metrics.of_label(TABLES[self.table].label)[0]

    @classmethod
    def tiny(cls, **values: Any) -> Self:
        """Returns the settings of `--config tiny`: a training of a second, for tests."""
        return cls(**CONFIGS["tiny"] | values)

    @property
    def folders(self) -> dict[str, str]:
        """What is written where, by the names of the fields."""
        return {name: getattr(self, name) for name in FOLDERS}

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
                    f"{as_flag(name)}: expected a folder or gs:// URI, got none; use the flag"
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
            type=_reader(field),
            required=required,
            default=argparse.SUPPRESS,
            metavar=NAMED.get(field.name, METAVARS.get(field.type, "N,N")),
        )
    values = vars(parser.parse_args(arguments))
    try:
        config = CONFIGS[values.pop("config")]
        table = TABLES.get(values.get("table", DEFAULT_TABLE))
        return Settings(**(_defaults(table) if table else {}) | config | values)
    except (DescriptionError, UserError) as error:
        parser.error(str(error))


def _defaults(table: Table) -> dict[str, Any]:
    """Returns the settings that a table's description has.

    Raises:
        DescriptionError: there is no such setting, or it has another type.
    """
    known = {field.name: field for field in _fields()}
    found = {}
    for name, value in table.defaults.items():
        if name not in known:
            message = f"defaults.{name}: expected a setting of {', '.join(known)}"
            raise TABLES.fault(table.name, name, message)
        read = _reader(known[name])
        try:
            found[name] = read(as_text(value))
        except ValueError as error:
            message = f"defaults.{name}: expected {EXPECTED[read.__name__]}, got {value!r}"
            raise TABLES.fault(table.name, name, message) from error
    return found


class _Parser(argparse.ArgumentParser):
    """Says what is wrong without the list of all flags before it."""

    def error(self, message: str) -> NoReturn:
        console.fail(message if message.endswith(".") else f"{message}; --help explains all flags.")
        self.exit(2)


def data_field(split: str) -> str:
    """Returns the field that names a split's files."""
    return f"{split}_data"


def _fields() -> tuple[Any, ...]:
    return dataclasses.fields(Settings)


def _units(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)


_units.__name__ = "list of whole numbers"  # argparse names the type by it
# What the description of a table must have, by the name of what reads it.
EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    _units.__name__: "whole numbers",
}


def _reader(field: Any) -> Callable[[str], Any]:
    """Returns what reads a field's value of the command line."""
    plain: Callable[[str], Any] = _units if field.name == "hidden_units" else field.type
    if as_text(field.default) != "auto":
        return plain

    def read(text: str) -> Any:
        return field.default if text == "auto" else plain(text)

    read.__name__ = plain.__name__  # argparse names the type by it
    return read


def as_flag(name: str) -> str:
    """Returns the flag of a field."""
    return "--" + name.replace("_", "-")


def as_text(value: Any) -> str:
    """Returns a field's value as the command line takes it."""
    if value in (AUTO, (AUTO,)):
        return "auto"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
