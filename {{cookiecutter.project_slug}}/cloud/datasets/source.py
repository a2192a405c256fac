"""A person's own file, as it is: which rows it has, as texts, each with the place it stands at.

CSV in any dialect, JSON lines, Parquet and the sheets of Excel become the same: headings, and rows
of one text a heading. Every row of the file is given, refused with its line, or counted as bad.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloud.datasets import formats, packing
from cloud.datasets.headings import look_like_values
from cloud.errors import UserError
from table_schema.columns import Dialect

SUFFIXES = (".csv", ".tsv", ".txt", *formats.JSON, ".parquet", ".xlsx", *packing.SUFFIXES)

ANY = Dialect()


@dataclass
class Counts:
    """What became of a file's rows.

    Attributes:
        rows: that were given.
        bad: why rows were not, by the place of each.
        comments: lines that begin with # and are no rows.
    """

    rows: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    comments: int = 0


@dataclass(frozen=True)
class Row:
    """A row as texts.

    Attributes:
        place: where it stands, such as `line 12`.
        cells: a text a heading, in the order of the headings.
    """

    place: str
    cells: Sequence[str]


class SourceFile:
    """A file that is open to be read, as often as wanted.

    Args:
        path: of the file.
        dialect: what is known of it; the rest is found out here.

    Attributes:
        headings: of the columns, each once.
        dialect: how the file is written, as far as it is text.
        titles: lines above the headings that are no rows, each with its place.
        total: the last line, with its place, where it is no row but their sum; known once all
            are read.
        left_out: why columns of the file are no headings, by their names.
        counts: of the latest reading.

    Raises:
        UserError: it is of a kind that is not read, or has no headings or two of one name.
    """

    def __init__(self, path: Path, dialect: Dialect = ANY) -> None:
        self.path = path
        self.counts = Counts()
        self._format = formats.format_of(path, dialect)
        self.dialect = self._format.dialect
        self.headings = self._checked_headings()
        self.titles = self._format.titles
        self.total = ""
        self.left_out = self._format.left_out
        self._order: list[int] | None = None

    def other_sheets(self) -> str:
        """Says which sheets of a workbook were not read; empty of another file."""
        return self._format.other_sheets()

    def take_order(self, headings: Sequence[str]) -> None:
        """Gives the cells in the order of these headings, which are the file's own."""
        if headings != self.headings:
            self._order = [self.headings.index(heading) for heading in headings]
            self.headings = list(headings)

    def rows(self) -> Iterator[Row]:
        """Gives the rows.

        Raises:
            UserError: one cannot be read and bad ones are not skipped.
        """
        self.counts = Counts()
        records = self._format.records()
        next(records, None)  # the headings
        for place, cells in records:
            if isinstance(cells, str):
                self._refuse(place, cells)
            elif len(cells) != len(self.headings):
                self._refuse(
                    place,
                    f"expected {len(self.headings)} cells as there are headings, got {len(cells)}",
                )
            else:
                self.counts.rows += 1
                yield Row(place, [cells[n] for n in self._order] if self._order else cells)
        self.counts.comments = self._format.comments
        self.total = self._format.total

    def _refuse(self, place: str, reason: str) -> None:
        if not self.dialect.skip_bad:
            raise UserError(
                f"{self.path}, {place}: {reason}. Correct it, or leave such rows out with"
                " --skip-bad."
            )
        self.counts.bad[place] = reason

    def _checked_headings(self) -> list[str]:
        found = next(self._format.records(), None)
        if found is None:
            raise UserError(f"{self.path}: expected headings and rows, got an empty file.")
        place, cells = found
        if isinstance(cells, str):
            raise UserError(f"{self.path}, {place}: {cells}.")
        formats.check_given_headings(self.path, self.dialect, len(cells))
        # pandas writes its row numbers under an empty heading, and reads it by such a name.
        headings = [
            cell.strip() or f"Unnamed: {index}"
            for index, cell in enumerate(self.dialect.headings or cells)
        ]
        if look_like_values(cells) and not self.dialect.headings:
            raise UserError(
                f"{self.path}, {place}: expected headings, got {', '.join(cells)[:80]!r}, which"
                " looks like a row. Write a line of headings above it, or give them:"
                f" --headings {','.join(f'c{n}' for n in range(1, len(cells) + 1))[:60]}"
            )
        twice = [heading for heading, count in Counter(headings).items() if count > 1]
        if twice:
            raise UserError(
                f"{self.path}, {place}: expected each heading once, got {twice[0]!r}"
                f" {headings.count(twice[0])} times; rename one of them, or give all with"
                " --headings."
            )
        return headings


def find_paths(names: Iterable[str | Path]) -> list[Path]:
    """Returns the files that names stand for: a folder stands for the tables in it.

    Raises:
        UserError: there is no such file, or none in a folder.
    """
    found = []
    for name in map(Path, names):
        if name.is_dir():
            inside = [
                each
                for each in sorted(name.iterdir())
                if each.suffix.lower() in SUFFIXES and each.is_file()
            ]
            if not inside:
                raise UserError(
                    f"{name}: expected files that end in {', '.join(SUFFIXES)}, found none."
                )
            found += inside
        elif name.is_file():
            found.append(name)
        else:
            raise UserError(f"{name}: there is no such file; check the path.")
    return found


def open_all(paths: Sequence[Path], dialect: Dialect) -> list[SourceFile]:
    """Opens the files of one table: all give their cells in the first one's order of headings.

    Raises:
        UserError: they have other headings.
    """
    files = [SourceFile(path, dialect) for path in paths]
    first, *others = files
    for other in others:
        lacks = [heading for heading in first.headings if heading not in other.headings]
        more = [heading for heading in other.headings if heading not in first.headings]
        if lacks or more:
            found = [
                f"{verb} {', '.join(map(repr, headings))[:200]}"
                for verb, headings in (("lacks", lacks), ("has besides", more))
                if headings
            ]
            raise UserError(
                f"{other.path}: expected the headings of {first.path}, in any order, but it"
                f" {' and '.join(found)}; make them the same, or adopt the files apart."
            )
        other.take_order(first.headings)
    return files
