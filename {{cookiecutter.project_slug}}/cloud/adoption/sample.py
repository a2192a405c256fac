"""The rows of a person's files that its columns are told from."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from cloud.adoption.cells import Cells
from cloud.datasets.source import SourceFile, find_paths, open_all
from cloud.errors import UserError
from table_schema.columns import Dialect

SAMPLE_ROWS = 100_000
FEW_COPIES = 0.1  # of the rows, that may be there by mistake


class Sample:
    """All rows of files that are not too many, or some of them, evenly; all are read.

    Args:
        names: files or folders on this machine.
        dialect: how they are written, as far as the person has said it.

    Attributes:
        path: of the first file.
        dialect: how the first file is written.
        headings: of the columns.
        rows: the cells of each row that was taken.
        copies: numbers of those that are exact copies of one before them.
        cells: of each column in these rows, by its heading.
        count: how many rows the files have, without bad ones.
        bad: why rows cannot be read, by the place of each.
        titles: lines above the headings, each with its place.
        totals: lines below the rows that sum them up, each with its place.
        left_out: why columns of the files are not there, by heading.

    Raises:
        UserError: a file cannot be read, or has no rows.
    """

    def __init__(self, names: Sequence[str | Path], dialect: Dialect) -> None:
        sources = open_all(find_paths(names), dialect)
        self._first = sources[0]
        self.path = self._first.path
        self.dialect = self._first.dialect
        self.headings = self._first.headings
        self.left_out = self._first.left_out
        self.titles = [f"{each.path}, {title}" for each in sources for title in each.titles]
        self.bad: dict[str, str] = {}
        self.rows: list[Sequence[str]] = []
        self.count = 0
        self._read(sources)
        self.totals = [f"{each.path}, {each.total}" for each in sources if each.total]
        if not self.rows:
            raise UserError(
                f"{self.path}: expected rows below the headings"
                f" {', '.join(self.headings)[:200]}, got none."
            )
        seen: set[tuple[str, ...]] = set()
        self.copies = [n for n, row in enumerate(self.rows) if _is_in(seen, tuple(row))]
        few = self.copies if len(self.copies) <= FEW_COPIES * len(self.rows) else []
        columns = zip(*self.rows, strict=True)
        self.cells = {
            heading: Cells(heading, column, copies=few)
            for heading, column in zip(self.headings, columns, strict=True)
        }

    def heading(self, wanted: str, flag: str) -> str:
        """Returns a heading that a person typed, whatever capitals and blanks it was typed with.

        Raises:
            UserError: there is none such; the message names the flag.
        """
        if wanted in self.headings:
            return wanted
        plain = [each for each in self.headings if _plain(each) == _plain(wanted)]
        if len(plain) == 1:
            return plain[0]
        close = difflib.get_close_matches(wanted, self.headings, n=1)
        guess = f"; did you mean {close[0]!r}?" if close else "."
        raise UserError(
            f"{flag}: expected a column of {', '.join(self.headings)[:400]}, got {wanted!r}{guess}"
            f"{self._first.other_sheets()}"
        )

    def _read(self, sources: Sequence[SourceFile]) -> None:
        every = 1
        for source in sources:
            for row in source.rows():
                if self.count % every == 0:
                    self.rows.append(row.cells)
                    if len(self.rows) > 2 * SAMPLE_ROWS:
                        self.rows, every = self.rows[::2], 2 * every
                self.count += 1
            bad = source.counts.bad
            self.bad |= {f"{source.path}, {place}": reason for place, reason in bad.items()}


def _is_in(seen: set[tuple[str, ...]], row: tuple[str, ...]) -> bool:
    """Whether a row was seen; it is from now on."""
    if row in seen:
        return True
    seen.add(row)
    return False


def quoted(heading: str) -> str:
    """Returns a heading as a person types it after a flag."""
    return f'"{heading}"' if re.search(r"\W", heading) else heading


def _plain(heading: str) -> str:
    return re.sub(r"[\W_]", "", heading.casefold())
