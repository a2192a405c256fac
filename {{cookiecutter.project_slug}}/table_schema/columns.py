"""What a table's description holds; the descriptions themselves are in `trainer/tables/`."""

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["number", "integer", "category", "boolean", "timestamp", "text"]
# The rows to train on, those that choose the best epoch, and those that are scored once.
SPLITS = "train", "eval", "test"

LabelKind = Literal["binary", "multiclass", "regression"]

MISSING: dict[Kind, float | int | str | bool] = {
    "number": float("nan"),
    "integer": -1,
    "category": "",
    "boolean": False,
    "timestamp": "",
    "text": "",
}
# JSON has no NaN, so a request has the largest float32 in its place.
NUMBER_MISSING_IN_JSON = 3.4028234663852886e38
ID_ROWS = 100  # below which many different values are no sign of an id
MAX_BUCKETS = 1_000_000  # each is a row of weights, which every step of the optimizer touches


# What TensorFlow takes as the name of a scope, Python as that of a parameter, and batch prediction
# leaves free for the rows' keys, which begin with _.
NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")


def is_id(distinct: float, rows: int) -> bool:
    """Whether a category has so many values in training rows that most say nothing of new rows."""
    return rows >= ID_ROWS and distinct > rows / 2


@dataclass(frozen=True)
class Column:
    """One feature.

    Attributes:
        name: of the column in the CSV files and of the input in the model's signature.
        kind: `number` is a float32, and the model takes the training mean where it is missing;
            `integer` is an int64 that names a category, such as a month; `category` is a string;
            `boolean` is true or false, and false where it is missing. Missing and unknown
            categories are the same to the model: they carry no information. `timestamp` is a
            string, a date, a time of day, or both, of ISO 8601 such as 2013-01-31T17:05:09+01:00,
            of which the model makes days, month, weekday and hour, all as they are written: it
            does not convert time zones. `text` is a string of words.
        about: what it holds, with its unit.
        heading: what the column is called in a person's own file; by default its name.
        buckets: where above 0, so many codes share the values of a category or integer, each by its
            hash, in place of a vocabulary; two values may share a code.
        written: how a person's own file writes its values, by an example or a pattern that
            `cloud/datasets/written.py` explains, such as `1.234,5` or `%d.%m.%Y`; empty as the
            CSV files have them.
        gaps: words that a person's own file has for a missing value, beside those of
            `table_schema/values.py`.
    """

    name: str
    kind: Kind
    about: str
    heading: str = ""
    buckets: int = 0
    written: str = ""
    gaps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "heading", self.heading or self.name)
        if self.buckets and self.kind not in ("category", "integer"):
            raise ValueError(
                f"Column {self.name!r}: expected buckets of a category or integer column only, got"
                f" them of kind {self.kind!r}."
            )
        if self.buckets and not 2 <= self.buckets <= MAX_BUCKETS:
            raise ValueError(
                f"Column {self.name!r}: expected buckets of 2 to {MAX_BUCKETS:,}, or 0 for a"
                f" vocabulary, got {self.buckets:,}."
            )
        if not NAME.fullmatch(self.name) or keyword.iskeyword(self.name):
            raise ValueError(
                f"Expected a column name that begins with a letter and has the letters a to z,"
                f" digits and _ only, got {self.name!r}; TensorFlow cannot name the model's input"
                " so: rename the column in the files and in its description."
            )

    @property
    def missing(self) -> float | int | str | bool:
        """The value that stands for a missing one; tf.Examples and gRPC may leave it out."""
        return MISSING[self.kind]

    @property
    def missing_in_json(self) -> float | int | str | bool:
        """The value for a missing one in JSON requests, in which TensorFlow Serving wants all."""
        return NUMBER_MISSING_IN_JSON if self.kind == "number" else self.missing


@dataclass(frozen=True)
class Label:
    """What is predicted.

    Attributes:
        name: of the column in the CSV files.
        classes: every value it has; of two, the model gives the probability of the second. None
            at all make it a number, which the model estimates: a regression.
        about: what it means, with its unit.
        heading: what the column is called in a person's own file; by default its name.
        written: how a number is written there, as of a column.
        left_out: classes whose rows are left out, as too few have them.
    """

    name: str
    classes: tuple[str, ...]
    about: str
    heading: str = ""
    written: str = ""
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "heading", self.heading or self.name)
        if len(self.classes) == 1 or len(set(self.classes)) < len(self.classes):
            raise ValueError(
                f"Label {self.name!r}: expected two different classes or more, or none for a"
                f" number, got {self.classes!r}."
            )

    @property
    def kind(self) -> LabelKind:
        """What is learned, and so the model's head and its metrics."""
        if not self.classes:
            return "regression"
        return "binary" if len(self.classes) == 2 else "multiclass"


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a person's own files are written. What is empty is found out.

    Attributes:
        encoding: of the text, a name of Python's codecs.
        delimiter: between the cells of a line.
        headings: of the columns, for files whose first line is a row already.
        sheet: of an Excel workbook; empty for the first.
        skip_bad: whether rows that cannot be read are left out and counted instead of refused.
        line_breaks: whether line breaks within quotes are right even where the lines look like
            rows.
    """

    encoding: str = ""
    delimiter: str = ""
    headings: tuple[str, ...] = ()
    sheet: str = ""
    skip_bad: bool = False
    line_breaks: bool = False


@dataclass(frozen=True)
class Source(Dialect):
    """A person's own files, which a data set is made of; `cloud/datasets/source.py` reads them.

    Attributes:
        files: paths, relative to the project's folder, or gs:// URIs.
        key: heading of the column that tells the rows apart; empty where there is none, and they
            are numbered.
    """

    files: tuple[str, ...]
    key: str = ""

    def __post_init__(self) -> None:
        if not self.files:
            raise ValueError("source: expected one file at least, got none.")


@dataclass(frozen=True)
class Split:
    """How the rows are divided into those to train on, to evaluate on and to test with.

    Attributes:
        by: `row`; `group`, whose rows stay together; or `time`, so that the tests are of later
            rows than the training's.
        column: heading of the group or of the time.
        written: how the time is written, as of a column.
        salt: another number divides the rows otherwise.
    """

    by: Literal["row", "group", "time"] = "row"
    column: str = ""
    written: str = ""
    salt: int = 0

    def __post_init__(self) -> None:
        if self.by not in ("row", "group", "time"):
            raise ValueError(f"split.by: expected 'row', 'group' or 'time', got {self.by!r}.")
        if bool(self.column) == (self.by == "row"):
            needs = "no column" if self.by == "row" else "the heading of a column"
            raise ValueError(f"split by {self.by}: expected {needs}, got {self.column!r}.")


@dataclass(frozen=True)
class LeftOut:
    """A column of a person's own file that the model does not get.

    Attributes:
        heading: of the column.
        why: the reason.
    """

    heading: str
    why: str


@dataclass(frozen=True)
class Table:
    """A data set.

    Attributes:
        name: what `--table` takes.
        key: column that tells the rows apart; columns that are not described, this one among
            them, are not read.
        label: what is predicted.
        columns: the features.
        slices: category, integer and boolean columns by whose values the test rows are also
            scored apart.
        limits: what a reader of the model card should know of the data, in whole sentences.
        defaults: settings that suit it, by their names in `trainer/tabular/settings.py`, for when
            the command line does not say.
        source: a person's own files; None where a maker of `cloud/datasets/makers.py` makes the
            rows.
        split: how rows of a source are divided.
        left_out: columns of a source that the model does not get.
    """

    name: str
    key: str
    label: Label
    columns: tuple[Column, ...]
    slices: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    source: Source | None = None
    split: Split = Split()
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(
                f"Expected a table's name that begins with a letter and has the letters a to z,"
                f" digits and _ only, got {self.name!r}."
            )
        names = [self.label.name, *(column.name for column in self.columns)]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"Table {self.name!r} describes {', '.join(sorted(twice))} twice.")
        features = [column.name for column in self.columns]
        alike = {name for name in features if [f.lower() for f in features].count(name.lower()) > 1}
        if alike:
            raise ValueError(
                f"Table {self.name!r}: expected columns whose names differ in more than their case,"
                f" got {', '.join(sorted(alike))}; TensorFlow takes them for one: rename one in the"
                " files and in its description."
            )
        called = [self.label.name]
        for column in self.columns:
            called += {column.name, column.heading}
        twice = {name for name in called if called.count(name) > 1}
        if twice:
            raise ValueError(
                f"Table {self.name!r}: expected each name and heading of one column only, got"
                f" {', '.join(sorted(twice))} of two."
            )
        kinds = {column.name: column.kind for column in self.columns}
        for name in self.slices:
            if kinds.get(name) not in ("category", "integer", "boolean"):
                raise ValueError(
                    f"Table {self.name!r}: expected slices by category, integer and boolean"
                    f" columns, got {name!r}."
                )
