"""What the columns of a table mean: the one place to change for another data set."""

import dataclasses
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["number", "integer", "category", "boolean"]
LabelKind = Literal["binary", "multiclass", "regression"]

MISSING: dict[Kind, float | int | str | bool] = {
    "number": float("nan"),
    "integer": -1,
    "category": "",
    "boolean": False,
}


# What TensorFlow takes as the name of a scope, Python as that of a parameter, and batch prediction
# leaves free for the rows' keys, which begin with _.
NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Column:
    """One feature.

    Attributes:
        name: of the column in the CSV files and of the input in the model's signature.
        kind: `number` is a float32, and the model takes the training mean where it is missing;
            `integer` is an int64 that names a category, such as a month; `category` is a string;
            `boolean` is true or false, and false where it is missing. Missing and unknown
            categories are the same to the model: they carry no information.
        about: what it holds, with its unit.
    """

    name: str
    kind: Kind
    about: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or keyword.iskeyword(self.name):
            raise ValueError(
                f"Expected a column name that begins with a letter and has the letters a to z,"
                f" digits and _ only, got {self.name!r}; TensorFlow cannot name the model's input"
                " so: rename the column in the files and in trainer/columns.py."
            )

    @property
    def missing(self) -> float | int | str | bool:
        """The value that stands for a missing one, and that a client may leave out."""
        return MISSING[self.kind]


@dataclass(frozen=True)
class Label:
    """What is predicted.

    Attributes:
        name: of the column in the CSV files.
        classes: every value it has; of two, the model gives the probability of the second. None
            at all make it a number, which the model estimates: a regression.
        about: what it means, with its unit.
    """

    name: str
    classes: tuple[str, ...]
    about: str

    def __post_init__(self) -> None:
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
        defaults: settings that suit it, by their names in `trainer/settings.py`, for when the
            command line does not say.
    """

    name: str
    key: str
    label: Label
    columns: tuple[Column, ...]
    slices: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)

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
                " files and in trainer/columns.py."
            )
        kinds = {column.name: column.kind for column in self.columns}
        for name in self.slices:
            if kinds.get(name, "number") == "number":
                raise ValueError(
                    f"Table {self.name!r}: expected slices by category, integer and boolean"
                    f" columns, got {name!r}."
                )


FLIGHTS = Table(
    name="flights",
    key="flight",
    label=Label("late", ("no", "yes"), "whether it arrives more than 15 minutes late"),
    columns=(
        Column("month", "integer", "month of departure, 1 to 12"),
        Column("weekday", "integer", "day of departure, Monday is 1 and Sunday 7"),
        Column("hour", "integer", "scheduled hour of departure, local time, 0 to 23"),
        Column("dep_delay", "number", "minutes the departure is late, negative if early"),
        Column("carrier", "category", "airline, its two-letter IATA code"),
        Column("origin", "category", "airport of departure, its IATA code"),
        Column("dest", "category", "airport of arrival, its IATA code"),
        Column("distance", "number", "miles from origin to destination"),
        Column("temp", "number", "temperature at the origin in that hour, degrees Fahrenheit"),
        Column("wind_speed", "number", "wind at the origin in that hour, miles per hour"),
        Column("precip", "number", "precipitation at the origin in that hour, inches"),
        Column("visib", "number", "visibility at the origin in that hour, miles"),
        Column("pressure", "number", "sea level pressure at the origin in that hour, millibars"),
    ),
    slices=("carrier", "origin", "month"),
    limits=(
        "It has seen only flights that left New York in 2013 and arrived; cancelled and diverted"
        " flights are not in the table.",
        "It needs the delay of the departure, so it can answer only after the aircraft has left.",
        "The rows are split at random, so other flights of the same hour are among the training"
        " rows, and the weather identifies the hour. Expect worse scores on days that it has not"
        " seen; split by day to measure them.",
    ),
)

# The same flights, and the minutes themselves: only the label's description is another.
FLIGHTS_DELAY = dataclasses.replace(
    FLIGHTS,
    name="flights_delay",
    label=Label("arr_delay", (), "minutes the arrival is late, negative if early"),
)

PENGUINS = Table(
    name="penguins",
    key="penguin",
    label=Label("species", ("Adelie", "Chinstrap", "Gentoo"), "the penguin's species"),
    columns=(
        Column("island", "category", "island of the Palmer Archipelago where it was seen"),
        Column("bill_length_mm", "number", "length of the bill, millimetres"),
        Column("bill_depth_mm", "number", "depth of the bill, millimetres"),
        Column("flipper_length_mm", "number", "length of a flipper, millimetres"),
        Column("body_mass_g", "number", "body mass, grams"),
        Column("sex", "category", "female or male"),
        Column("year", "integer", "year of the observation, 2007 to 2009"),
    ),
    slices=("island", "sex"),
    limits=("A few hundred penguins of three islands: small differences of scores mean nothing.",),
    defaults={"epochs": 40, "batch_size": 16, "hidden_units": (32,)},
)

TABLES = {table.name: table for table in (FLIGHTS, FLIGHTS_DELAY, PENGUINS)}
