"""Looks at a person's own table, and decides what the project makes of each column."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from cloud.adoption import inference, labels, notices, pictures, single_scores, splitting
from cloud.adoption.cells import Cells
from cloud.adoption.findings import SCORES, Adoption, Ask, Finding, Roles, Wishes
from cloud.adoption.headings import safe_names
from cloud.adoption.inference import Guess, Habits
from cloud.adoption.labels import Learned
from cloud.adoption.roles import label_of, names_a_thing, roles_of
from cloud.adoption.sample import Sample, quoted
from cloud.adoption.times import DATES, DAYS_FIRST, SLASHED
from cloud.console import counted
from cloud.datasets.conversion import seconds
from cloud.datasets.splits import SHARES
from cloud.datasets.written import Reader
from cloud.errors import UserError
from table_schema.columns import Column, Label, LeftOut, Source, Table, is_id
from table_schema.metrics import GIVES_AWAY

# From which score on a column may give the label away, by the kind of label.
IS_SUSPICIOUS = {"binary": 0.97, "multiclass": 0.97, "regression": 0.97}
ROW_NAMES = ("row", "row_number", "number_of_row")  # of the key where no column is one
NO_TESTS, FEW_TESTS = 10, 200


class Look:
    """A look at the files of a table.

    Args:
        names: files or folders on this machine.
        wishes: what the person has said.

    Raises:
        UserError: a file cannot be read, or has no rows.
    """

    def __init__(self, names: Sequence[str | Path], wishes: Wishes) -> None:
        self._wishes = wishes
        self._sample = Sample(names, wishes.dialect)
        self._notes: list[str] = []
        delimiter = self._sample.dialect.delimiter
        self._habits = inference.habits(self._sample.cells.values(), delimiter, wishes.dates)

    def adoption(self, recorded: Sequence[str], ask: Ask) -> Adoption:
        """Decides what becomes of each column.

        Args:
            recorded: the files, as the description names them.
            ask: asks where the files do not tell.

        Raises:
            UserError: the label is not there or cannot be learned, or a wish names no column.
        """
        self._ask = ask
        sample, wishes = self._sample, self._wishes
        self._check_wishes()
        self._note_files()
        label_heading = label_of(sample, wishes.label, ask)
        guessed = {
            heading: inference.guess(cells, self._habits) for heading, cells in sample.cells.items()
        }
        self._guesses = self._with_order_of_dates(guessed)
        names = dict(zip(sample.headings, safe_names(sample.headings), strict=True))
        learned = labels.learned(
            sample.cells[label_heading], self._habits, wishes.label_kind, names[label_heading]
        )
        self._notes += learned.notes
        roles, notes = roles_of(sample, self._guesses, label_heading, wishes, ask)
        self._notes += notes
        findings = tuple(self._findings(names, learned, roles))
        columns = tuple(each.column for each in findings if each.column is not None)
        if not columns:
            reasons = "; ".join(f"{each.heading}: {each.why_not}" for each in findings)
            raise UserError(
                f"Expected a column at least that the model may learn from, got none ({reasons});"
                " name those to keep with --keep."
            )
        if roles.time:
            split = splitting.by_time(roles.time, self._guesses[roles.time])
        else:
            split = splitting.by_hash(sample, learned, roles)
        taken = {name.casefold() for name in names.values()}
        left_out = sample.left_out | {
            each.heading: each.why_not
            for each in findings
            if each.column is None and each.role not in ("label", "key")
        }
        table = Table(
            name=wishes.name or _name_of(sample.path),
            key=names[roles.key] if roles.key else next(n for n in ROW_NAMES if n not in taken),
            label=learned.label,
            columns=columns,
            slices=_slices(findings),
            limits=(f"Its rows are those of {', '.join(map(str, recorded))}.",),
            source=Source(tuple(recorded), roles.key or "", **asdict(sample.dialect)),
            split=split,
            left_out=tuple(LeftOut(heading, why) for heading, why in left_out.items()),
        )
        self._note_copies(roles)
        self._note_tests()
        return Adoption(table, findings, sample.count, len(sample.rows), tuple(self._notes))

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
                self._sample.heading(str(heading), flag)

    def _with_order_of_dates(self, guesses: dict[str, Guess]) -> dict[str, Guess]:
        open_ones = [heading for heading, guess in guesses.items() if guess.other_order]
        if not open_ones or self._wishes.dates is not None:
            return guesses
        cells = self._sample.cells[open_ones[0]]
        example = next(filter(SLASHED.match, cells.values))
        answer = self._ask(
            f"{example} in column {open_ones[0]!r}: does the day come first, or the month"
            " (d/m or m/d)?",
            "--dates",
            DAYS_FIRST,
        )
        if answer not in DATES:
            raise UserError(f"--dates: expected d/m or m/d, got {answer!r}.")
        self._notes.append(
            f"Dates such as {example} are read with the {'day' if answer == 'd/m' else 'month'}"
            " first; --dates says otherwise."
        )
        habits = Habits(self._habits.decimal_comma, answer)  # type: ignore[arg-type]
        changed = {each: inference.guess(self._sample.cells[each], habits) for each in open_ones}
        return guesses | changed

    def _findings(
        self, names: Mapping[str, str], learned: Learned, roles: Roles
    ) -> Iterator[Finding]:
        sample, wishes = self._sample, self._wishes
        keep = {sample.heading(each, "--keep") for each in wishes.keep}
        afterwards = self._known_afterwards(learned.label)
        leave_out = {sample.heading(each, "--leave-out") for each in afterwards}
        seen: dict[tuple[str, ...], str] = {}
        known = {getattr(roles, field.name): field.name for field in fields(Roles)}
        for heading, cells in sample.cells.items():
            guess, role = self._guesses[heading], known.get(heading, "")
            numbers = _numbers(cells, guess)
            if role != "label":
                self._notes += notices.of_column(cells, guess, numbers)
            alone = float("nan")
            why_not = "is predicted" if role == "label" else ""
            if not why_not and heading in leave_out:
                why_not = "left out with --leave-out"
            if not why_not and heading not in keep:
                why_not = self._why_not(heading, guess, role, seen)
            if not why_not:
                alone = _alone(cells, guess, numbers, learned)
                if heading not in keep:
                    why_not = self._gives_away(heading, alone, learned.label)
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
                self._notes += notices.of_spellings(cells, guess)
            bars = pictures.bars(cells, guess, numbers)
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
        cells = self._sample.cells[heading]
        example = repr(guess.examples[0]) if guess.examples else "the same"
        is_one = guess.distinct == 1 and (guess.missing == 0 or guess.kind == "number")
        mixed = guess.mixture
        is_mixed = mixed is not None and (mixed.kind == "dates" or guess.is_id)
        reasons = {
            "the group: other groups are to be predicted": role == "group",
            f"holds {mixed.kind if mixed else ''}, and others": is_mixed,
            f"an id: {guess.why}": guess.is_id,
            "has no values": not guess.distinct,
            f"is {example} in every row": is_one,
            "names a thing, which has few rows: nothing is learned of others": names_a_thing(cells),
        }
        for why, holds in reasons.items():
            if holds:
                return why
        if why := self._differs_too_often(guess):
            self._notes.append(
                f"{heading!r} is left out, as it {why}; --keep {quoted(heading)} keeps it."
            )
            return why
        same = seen.setdefault(tuple(cells.texts), heading)
        return f"a copy of {same!r}" if same != heading else ""

    def _differs_too_often(self, guess: Guess) -> str:
        """Says where the trainer would warn of a category with too many values to learn from."""
        rows = len(self._sample.rows)
        # That all its values are among the rows to train on is the worst case. Of a sample of the
        # rows nothing is known, as each value has more of them in the whole.
        distinct = guess.distinct * 100 / len(SHARES["train"])
        is_whole = rows == self._sample.count
        if guess.kind not in ("category", "integer") or not is_whole or not is_id(distinct, rows):
            return ""
        found = counted(rows, "row")
        return f"has {guess.distinct:,} values in {found}, each in too few to learn from"

    def _gives_away(self, heading: str, alone: float, label: Label) -> str:
        score = f"alone it has {SCORES[label.kind]} {alone:.3f}"
        if alone >= GIVES_AWAY[label.kind]:
            self._notes.append(
                f"{heading!r} gives the label away ({score}), so it is left out; if it is known"
                f" before {label.heading!r} is, say --keep {quoted(heading)}."
            )
            return f"gives the label away: {score}"
        if alone >= IS_SUSPICIOUS[label.kind]:
            self._notes.append(
                f"{heading!r} tells nearly everything ({score}). If it is known only after"
                f" {label.heading!r}, say --leave-out {quoted(heading)}."
            )
        return ""

    def _note_files(self) -> None:
        for title in self._sample.titles:
            self._notes.append(f"{title}, is taken for a title above the headings, and no row.")
        for total in self._sample.totals:
            self._notes.append(f"{total}, is taken for a sum of the rows, and no row.")
        for heading, why in self._sample.left_out.items():
            self._notes.append(f"{heading!r} is left out: it {why}.")
        if self._sample.bad:
            first, reason = next(iter(self._sample.bad.items()))
            self._notes.append(
                f"{counted(len(self._sample.bad), 'row')} cannot be read and are left out, such as"
                f" {first}: {reason}."
            )

    def _note_copies(self, roles: Roles) -> None:
        sample = self._sample
        if not sample.copies:
            return
        also = f" {roles.key!r} is the key, as all other rows differ in it." if roles.key else ""
        self._notes.append(
            f"{len(sample.copies):,} of {counted(len(sample.rows), 'row')} looked at are exact"
            " copies of others. They stay in the data set, in the split of the row that they copy,"
            f" so that none is tested that was learned; remove them if they are a mistake.{also}"
        )

    def _note_tests(self) -> None:
        tests = self._sample.count // 10
        if tests < NO_TESTS:
            self._notes.append(
                f"Of {counted(self._sample.count, 'row')} {max(tests, 1)} or so are for testing,"
                " which say next to nothing of how good a model is; bring more rows if there are"
                " any."
            )
        elif tests < FEW_TESTS:
            self._notes.append(
                f"About {tests} rows are for testing: a share of {tests} rows is uncertain by"
                f" {100 * 0.98 / tests**0.5:.0f} points each way, so small differences of"
                " scores mean nothing."
            )


def _name_of(path: Path) -> str:
    return safe_names([path.name.partition(".")[0]])[0].lower()


def _numbers(cells: Cells, guess: Guess) -> list[float] | None:
    """Returns the number or the time of each cell, NaN for a gap; None of other columns."""
    if guess.kind not in ("number", "timestamp"):
        return None
    reader = Reader(guess.kind, guess.written, guess.gaps)
    read = {text: reader.read(text) for text in cells.counts}
    as_number = float if guess.kind == "number" else seconds
    known = {text: as_number(found) if found else float("nan") for text, found in read.items()}
    return [known[text] for text in cells.texts]


def _alone(cells: Cells, guess: Guess, numbers: Sequence[float] | None, learned: Learned) -> float:
    """Returns how well a column alone tells the label."""
    label, truths = learned.label, learned.truths
    texts = cells.texts
    if guess.kind == "text":
        texts = ["text" if text else "" for text in texts]  # whether there is one
    found: Any = truths.values[truths.there]
    texts = [text for text, there in zip(texts, truths.there, strict=True) if there]
    of_rows = None if numbers is None else np.asarray(numbers, np.float64)[truths.there]
    column = single_scores.codes(of_rows, texts)
    found = found.astype(np.int64) if label.classes else found
    score = single_scores.score(column, found, len(label.classes))
    if label.classes or of_rows is None:
        return score
    return max(score, single_scores.linear(of_rows, found))


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


def relative(path: str, root: Path) -> str:
    """Returns a file as the description names it: relative to the project where it is inside."""
    full = Path(path).resolve()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else str(full)
