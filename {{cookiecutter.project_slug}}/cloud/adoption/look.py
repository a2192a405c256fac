"""Looks at a person's own table, and decides what the project makes of each column."""

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from cloud.adoption import inference, labels, single_scores
from cloud.adoption.inference import Cells, DateOrder, Guess, Habits
from cloud.adoption.labels import Truths
from cloud.console import counted
from cloud.datasets.conversion import hashes, seconds
from cloud.datasets.source import Dialect, SourceFile, find_paths, open_all
from cloud.datasets.splits import SHARES
from cloud.datasets.written import Reader
from cloud.errors import UserError
from table_schema.columns import Column, Label, LeftOut, Source, Split, Table

SAMPLE_ROWS = 100_000
USUAL_LABELS = (
    "label",
    "target",
    "class",
    "y",
    "outcome",
    "churn",
    "survived",
    "default",
    "species",
)
# From which score on a column gives the label away, and from which on it may, by the kind of label.
GIVES_AWAY = {"binary": 0.995, "multiclass": 0.99, "regression": 0.995}
IS_SUSPICIOUS = {"binary": 0.97, "multiclass": 0.97, "regression": 0.97}
SCORES = {"binary": "ROC AUC", "multiclass": "accuracy", "regression": "R²"}
SALTS = 1000
BARS = 10
ROW_NAMES = ("row", "row_number", "number_of_row")  # of the key where no column is one

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


class Look:
    """A look at the files of a table.

    Args:
        names: files or folders on this machine.
        wishes: what the person has said.

    Raises:
        UserError: a file cannot be read, or has no rows.
    """

    def __init__(self, names: Sequence[str | Path], wishes: Wishes) -> None:
        sources = open_all(find_paths(names), wishes.dialect)
        self._wishes = wishes
        self._sources = sources
        self._headings = sources[0].headings
        self._notes: list[str] = []
        self._rows, sample, self._bad = _sampled(sources)
        if not sample:
            raise UserError(
                f"{sources[0].path}: expected rows below the headings"
                f" {', '.join(self._headings)[:200]}, got none."
            )
        self._sample_rows = len(sample)
        self._raw = sample
        self._cells = {
            heading: Cells(heading, column)
            for heading, column in zip(self._headings, zip(*sample, strict=True), strict=True)
        }
        dialect = sources[0].dialect
        self._habits = inference.habits(self._cells.values(), dialect.delimiter, wishes.dates)

    def adoption(self, recorded: Sequence[str], ask: Ask) -> Adoption:
        """Decides what becomes of each column.

        Args:
            recorded: the files, as the description names them.
            ask: asks a question and returns the answer, given the question, the flag that answers
                it, and the default.

        Raises:
            UserError: the label is not there or cannot be learned, or a wish names no column.
        """
        self._ask = ask
        self._check_wishes()
        label_heading = self._label_heading()
        name = self._name()
        guessed = {h: inference.guess(self._cells[h], self._habits) for h in self._headings}
        self._guesses = self._with_order_of_dates(guessed)
        names = dict(zip(self._headings, inference.safe_names(self._headings), strict=True))
        learned = labels.learned(
            self._cells[label_heading], self._habits, self._wishes.label_kind, names[label_heading]
        )
        label, truths = learned.label, learned.truths
        self._notes += learned.notes
        key = self._key(label_heading)
        roles = Roles(label_heading, key, *self._group_and_time(label_heading, key))
        findings = tuple(self._findings(names, label, truths, roles))
        columns = tuple(each.column for each in findings if each.column is not None)
        if not columns:
            reasons = "; ".join(f"{each.heading}: {each.why_not}" for each in findings)
            raise UserError(
                f"Expected a column at least that the model may learn from, got none ({reasons});"
                " name those to keep with --keep."
            )
        split = self._split(label, truths, roles)
        dialect = self._sources[0].dialect
        taken = {name.casefold() for name in names.values()}
        source = Source(
            tuple(recorded),
            key or "",
            dialect.encoding or "",
            dialect.delimiter or "",
            dialect.headings,
            dialect.sheet or "",
            dialect.skip_bad,
            dialect.line_breaks,
        )
        table = Table(
            name=name,
            key=names[key] if key else next(each for each in ROW_NAMES if each not in taken),
            label=label,
            columns=columns,
            slices=_slices(findings),
            limits=(f"Its rows are those of {', '.join(map(str, recorded))}.",),
            defaults=_defaults(self._rows),
            source=source,
            split=split,
            left_out=tuple(
                LeftOut(each.heading, each.why_not)
                for each in findings
                if each.column is None and each.role not in ("label", "key")
            ),
        )
        self._note_rows()
        return Adoption(table, findings, self._rows, self._sample_rows, tuple(self._notes))

    def _check_wishes(self) -> None:
        wishes = self._wishes
        wanted = {
            "--label": [wishes.label] if wishes.label else [],
            "--group": [wishes.group] if wishes.group not in (None, "none") else [],
            "--time": [wishes.time] if wishes.time not in (None, "none") else [],
            "--leave-out": wishes.leave_out,
            "--keep": wishes.keep,
        }
        for flag, headings in wanted.items():
            for heading in headings:
                self._heading(str(heading), flag)

    def _heading(self, wanted: str, flag: str) -> str:
        """Returns a heading that a person typed, whatever capitals and blanks it was typed with."""
        if wanted in self._headings:
            return wanted
        plain = [each for each in self._headings if _plain(each) == _plain(wanted)]
        if len(plain) == 1:
            return plain[0]
        close = difflib.get_close_matches(wanted, self._headings, n=1)
        guess = f"; did you mean {close[0]!r}?" if close else "."
        raise UserError(
            f"{flag}: expected a column of {', '.join(self._headings)[:400]}, got {wanted!r}{guess}"
            f"{self._sources[0].other_sheets()}"
        )

    def _headings_of(self, wanted: Sequence[str], flag: str) -> set[str]:
        return {self._heading(each, flag) for each in wanted}

    def _label_heading(self) -> str:
        if self._wishes.label:
            return self._heading(self._wishes.label, "--label")
        usual = [each for each in self._headings if each.casefold() in USUAL_LABELS]
        default = usual[0] if len(usual) == 1 else ""
        answer = self._ask(
            f"Which column is to be predicted? ({', '.join(self._headings)[:400]})",
            "--label",
            default,
        )
        if not answer:
            raise UserError(
                "Expected the column that is to be predicted; name it with --label, one of"
                f" {', '.join(self._headings)[:400]}."
            )
        return self._heading(answer, "--label")

    def _name(self) -> str:
        given = self._wishes.name
        if given is None:
            stem = self._sources[0].path.name.partition(".")[0]
            given = inference.safe_names([stem])[0].lower()
        return given

    def _with_order_of_dates(self, guesses: dict[str, Guess]) -> dict[str, Guess]:
        open_ones = [heading for heading, guess in guesses.items() if guess.other_order]
        if not open_ones or self._wishes.dates is not None:
            return guesses
        example = guesses[open_ones[0]].examples[0]
        answer = self._ask(
            f"{example} in column {open_ones[0]!r}: does the day come first, or the month"
            " (d/m or m/d)?",
            "--dates",
            inference.DAYS_FIRST,
        )
        if answer not in inference.DATES:
            raise UserError(f"--dates: expected d/m or m/d, got {answer!r}.")
        self._notes.append(
            f"Dates such as {example} are read with the {'day' if answer == 'd/m' else 'month'}"
            " first; --dates says otherwise."
        )
        habits = Habits(self._habits.decimal_comma, answer)  # type: ignore[arg-type]
        changed = {each: inference.guess(self._cells[each], habits) for each in open_ones}
        return guesses | changed

    def _key(self, label: str) -> str | None:
        ids = [each for each, guess in self._guesses.items() if guess.is_id and each != label]
        ids = [each for each in ids if self._cells[each].all_differ]
        named = [each for each in ids if inference.ID_WORDS.search(each)]
        return next(iter(named or ids), None)

    def _group_and_time(self, label: str, key: str | None) -> tuple[str | None, str | None]:
        wishes = self._wishes
        group = self._one_of(wishes.group, "--group")
        time = self._one_of(wishes.time, "--time")
        if group and time:
            raise UserError(
                "Expected one of --group and --time, got both; give the one that counts."
            )
        if group or time:
            return group, time
        if wishes.group is None and time is None:
            likely = [
                each
                for each in self._headings
                if each not in (label, key) and self._names_a_thing(self._cells[each])
            ]
            if likely:
                answer = self._ask(
                    f"Does one {likely[0]!r} have several rows? Its rows then stay in one split, so"
                    " that the tests are of others than the training's. Which column, or none?",
                    "--group",
                    likely[0],
                )
                if group := self._one_of(answer, "--group"):
                    self._notes.append(
                        f"The rows of one {group!r} stay together in one split; --group none splits"
                        " by row."
                    )
                    return group, None
        times = [each for each, guess in self._guesses.items() if guess.kind == "timestamp"]
        if times and wishes.time is None:
            answer = self._ask(
                "Is the later predicted from the earlier? The tests are then of the latest rows."
                f" By which column ({', '.join(times)}), or none?",
                "--time",
                "none",
            )
            time = self._one_of(answer, "--time")
            if time is None:
                self._notes.append(
                    "The rows are split at random. If later rows are predicted from earlier ones,"
                    f" say --time {_quoted(times[0])}."
                )
        return None, time

    def _one_of(self, wanted: str | None, flag: str) -> str | None:
        return None if wanted in (None, "", "none") else self._heading(str(wanted), flag)

    def _names_a_thing(self, cells: Cells) -> bool:
        """Whether a column names what may have several rows, as a customer's number does."""
        distinct = len(cells.values)
        return bool(
            inference.ID_WORDS.search(cells.heading)
            and distinct > inference.FEW_VALUES
            and distinct < cells.rows
            and distinct > 0.02 * cells.rows
        )

    def _findings(
        self, names: dict[str, str], label: Label, truths: Truths, roles: Roles
    ) -> Iterator[Finding]:
        keep = self._headings_of(self._wishes.keep, "--keep")
        leave_out = self._headings_of(self._known_afterwards(label), "--leave-out")
        seen: dict[tuple[str, ...], str] = {}
        known = {getattr(roles, field.name): field.name for field in fields(Roles)}
        for heading in self._headings:
            guess, role = self._guesses[heading], known.get(heading, "")
            if guess.strange and role != "label":
                words = ", ".join(map(repr, guess.strange))
                self._notes.append(
                    f"{heading!r} holds numbers, but for {words}, which count as gaps, as 'gaps' in"
                    " the description says."
                )
            alone = float("nan")
            why_not = "is predicted" if role == "label" else ""
            if not why_not and heading in leave_out:
                why_not = "left out with --leave-out"
            if not why_not and heading not in keep:
                why_not = self._why_not(heading, guess, role, seen)
            if not why_not:
                alone = self._alone(heading, truths, label)
                why_not = self._gives_away(heading, alone, label) if heading not in keep else ""
            column = None
            if not why_not:
                column = Column(
                    names[heading],
                    guess.kind,
                    heading,
                    heading,
                    guess.buckets,
                    guess.written,
                    guess.gaps,
                )
            bars = _bars(self._cells[heading], guess)
            yield Finding(heading, guess, column, role, why_not, alone, bars)

    def _known_afterwards(self, label: Label) -> Sequence[str]:
        if self._wishes.leave_out:
            return self._wishes.leave_out
        answer = self._ask(
            f"Which columns are known only after {label.heading!r} is? Their headings with commas"
            " between, or none",
            "--leave-out",
            "none",
        )
        return [] if answer == "none" else [each.strip() for each in answer.split(",")]

    def _why_not(
        self, heading: str, guess: Guess, role: str, seen: dict[tuple[str, ...], str]
    ) -> str:
        """Returns why the model does not get a column; empty where nothing speaks against it."""
        cells = self._cells[heading]
        if role == "group":
            return "the group: other groups are to be predicted"
        if guess.is_id:
            return f"an id: {guess.why}"
        if not guess.distinct:
            return "has no values"
        if guess.distinct == 1 and (guess.missing == 0 or guess.kind == "number"):
            return f"is {guess.examples[0]!r} in every row" if guess.examples else "is the same"
        if self._names_a_thing(cells):
            return "names a thing, which has few rows: nothing is learned of others"
        same = seen.setdefault(tuple(cells.texts), heading)
        return f"a copy of {same!r}" if same != heading else ""

    def _alone(self, heading: str, truths: Truths, label: Label) -> float:
        cells, guess = self._cells[heading], self._guesses[heading]
        known = _numbers(cells, guess)
        texts = cells.texts
        if guess.kind == "text":
            texts = ["text" if text else "" for text in texts]  # whether there is one
        texts = [text for text, there in zip(texts, truths.there, strict=True) if there]
        numbers = None if known is None else [known[text] for text in texts]
        column = single_scores.codes(numbers, texts)
        found = truths.values[truths.there]
        found = found.astype(np.int64) if label.classes else found
        return single_scores.score(column, found, len(label.classes))

    def _gives_away(self, heading: str, alone: float, label: Label) -> str:
        score = f"alone it has {SCORES[label.kind]} {alone:.3f}"
        if alone >= GIVES_AWAY[label.kind]:
            self._notes.append(
                f"{heading!r} gives the label away ({score}), so it is left out; if it is known"
                f" before {label.heading!r} is, say --keep {_quoted(heading)}."
            )
            return f"gives the label away: {score}"
        if alone >= IS_SUSPICIOUS[label.kind]:
            self._notes.append(
                f"{heading!r} tells nearly everything ({score}). If it is known only after"
                f" {label.heading!r}, say --leave-out {_quoted(heading)}."
            )
        return ""

    def _split(self, label: Label, truths: Truths, roles: Roles) -> Split:
        group, time = roles.group, roles.time
        if time:
            guess = self._guesses[time]
            if guess.kind != "timestamp":
                raise UserError(
                    f"--time: expected a column of dates or times, got {time!r}, whose values are"
                    f" such as {guess.examples[0]!r}."
                )
            return Split("time", time, guess.written)
        by = group or roles.key
        texts = self._cells[by].texts if by else ["\0".join(row) for row in self._raw]
        by_group = Split("group", group) if group else Split()
        labels = truths.values[truths.there]
        least = 2
        for wanted in (len(label.classes), least):
            for salt in range(SALTS):
                places = hashes(texts, salt, len(texts))[truths.there] % 100
                if _each_split_has(places, labels, wanted or least):
                    return Split(by_group.by, by_group.column, "", salt)
        raise UserError(
            f"Column {label.heading!r} cannot be learned: the rows cannot be split so that two"
            " different labels are to train on, to evaluate on and to test with; bring more rows"
            + (", or --group none." if group else ".")
        )

    def _note_rows(self) -> None:
        if self._bad:
            first, reason = next(iter(self._bad.items()))
            self._notes.append(
                f"{counted(len(self._bad), 'row')} cannot be read and are left out, such as"
                f" {first}: {reason}."
            )
        tests = self._rows // 10
        if tests < 200:
            self._notes.append(
                f"About {tests} rows are for testing: a share of {tests} rows is uncertain by"
                f" {100 * 0.98 / max(tests, 1) ** 0.5:.0f} points each way, so small differences of"
                " scores mean nothing."
            )


def _each_split_has(places: Any, labels: Any, wanted: int) -> bool:
    """Whether each split has so many different labels, by the hundredth that each row is in."""
    return all(
        len(np.unique(labels[np.isin(places, share)])) >= wanted for share in SHARES.values()
    )


def _sampled(
    sources: Sequence[SourceFile],
) -> tuple[int, list[Sequence[str]], dict[str, str]]:
    """Reads all rows, and returns how many there are, some of them evenly, and the bad ones."""
    rows, every = 0, 1
    sample: list[Sequence[str]] = []
    bad: dict[str, str] = {}
    for source in sources:
        for row in source.rows():
            if rows % every == 0:
                sample.append(row.cells)
                if len(sample) > 2 * SAMPLE_ROWS:
                    sample, every = sample[::2], 2 * every
            rows += 1
        bad |= {f"{source.path}, {place}": reason for place, reason in source.counts.bad.items()}
    return rows, sample, bad


def _plain(heading: str) -> str:
    return re.sub(r"[\W_]", "", heading.casefold())


def _quoted(heading: str) -> str:
    return f'"{heading}"' if re.search(r"\W", heading) else heading


def _numbers(cells: Cells, guess: Guess) -> dict[str, float] | None:
    """Returns the number or the time of each cell, NaN for a gap; None of other columns."""
    if guess.kind not in ("number", "timestamp"):
        return None
    reader = Reader(guess.kind, guess.written, guess.gaps)
    read = {text: reader.read(text) for text in cells.counts}
    as_number = float if guess.kind == "number" else seconds
    return {text: as_number(found) if found else float("nan") for text, found in read.items()}


def _bars(cells: Cells, guess: Guess) -> tuple[tuple[str, int], ...]:
    """Returns what a picture of a column shows: ranges of numbers, or the most frequent values."""
    known = _numbers(cells, guess)
    if known is None:
        common = [each for each in cells.counts.most_common(BARS + 1) if each[0] not in cells.gaps]
        return tuple(common[:BARS])
    values = np.array([known[text] for text in cells.texts])
    counts, edges = np.histogram(values[~np.isnan(values)], BARS)
    if guess.kind == "timestamp":
        names = [f"{datetime.fromtimestamp(edge, UTC):%Y-%m-%d}" for edge in edges]
    else:
        names = [f"{edge:g}" for edge in edges]
    return tuple((f"from {name}", int(n)) for name, n in zip(names, counts, strict=False))


def _slices(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Returns columns by whose values the test rows are worth scoring apart: the telling ones."""
    fitting = [
        each
        for each in findings
        if each.column is not None
        and each.column.kind in ("category", "boolean", "integer")
        and not each.column.buckets
        and 2 <= each.guess.distinct <= inference.FEW_VALUES
    ]
    best = sorted(fitting, key=lambda each: -np.nan_to_num(each.alone))[:3]
    return tuple(each.column.name for each in fitting if each in best and each.column)


def _defaults(rows: int) -> dict[str, Any]:
    """Returns settings of the training that suit so many rows; none for many."""
    if rows < 2_000:
        return {"epochs": 40, "batch_size": 16, "hidden_units": (32,), "min_count": 2}
    if rows < 20_000:
        return {"epochs": 30, "batch_size": 64, "min_count": 5}
    return {"batch_size": 256} if rows < 100_000 else {}


def relative(path: str, root: Path) -> str:
    """Returns a file as the description names it: relative to the project where it is inside."""
    full = Path(path).resolve()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else str(full)
