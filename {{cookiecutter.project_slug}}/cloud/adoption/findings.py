"""What is said of a person's table: by the person, and by the look at it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cloud.adoption.inference import Guess
from cloud.adoption.times import DateOrder
from table_schema.columns import Column, Dialect, LabelKind, Table

SCORES: dict[LabelKind, str] = {
    "binary": "ROC AUC",
    "multiclass": "accuracy",
    "regression": "R²",
}

# Asks a question and returns the answer, given the question, the flag that answers it, and the
# default.
Ask = Callable[[str, str, str], str]


@dataclass(frozen=True)
class Wishes:
    """What a person has said of a table; what is None or empty is found out, or asked.

    Attributes:
        name: of the table.
        label: heading of what is predicted.
        label_kind: `classes` or `number`.
        group: heading of what has several rows; `none` for nothing.
        time: heading of the time by which the tests are later; `none` for none.
        leave_out: headings of columns that the model does not get.
        keep: headings of columns that it gets whatever speaks against them.
        dates: whether days or months come first.
        dialect: how the files are written.
    """

    name: str | None = None
    label: str | None = None
    label_kind: str | None = None
    group: str | None = None
    time: str | None = None
    leave_out: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    dates: DateOrder | None = None
    dialect: Dialect = field(default_factory=Dialect)


@dataclass(frozen=True)
class Finding:
    """A column, and what becomes of it.

    Attributes:
        heading: of the column.
        guess: what it is.
        column: what the model gets of it; None where it gets nothing.
        role: `key`, `label`, `group`, `time`, or empty.
        why_not: why the model does not get it; empty where it does.
        alone: how well it alone tells the label; NaN where that was not measured.
        bars: values or ranges of them, each with its rows in the sample.
    """

    heading: str
    guess: Guess
    column: Column | None = None
    role: str = ""
    why_not: str = ""
    alone: float = float("nan")
    bars: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Adoption:
    """What was found out of a table.

    Attributes:
        table: its description.
        findings: a column each, in the order of the files.
        rows: of the files, without bad ones.
        sample_rows: that the columns were told from.
        notes: what a person should know, in whole sentences.
    """

    table: Table
    findings: tuple[Finding, ...]
    rows: int
    sample_rows: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Roles:
    """The headings of columns that are more than features; None where no column is.

    Attributes:
        label: what is predicted.
        key: what tells the rows apart.
        group: whose rows stay in one split.
        time: by which the tests are later.
    """

    label: str
    key: str | None
    group: str | None
    time: str | None
