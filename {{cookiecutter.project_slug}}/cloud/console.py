"""What a person at the terminal sees: colour and one moving line there, plain text in a pipe.

What comes from elsewhere, such as the name of another's job, is text: it is never read as markup,
and its control characters are shown, not obeyed.
"""

import io
import math
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

# A row of a table stays one line in a pipe, for whoever searches it there.
PIPE_WIDTH = 200
WIDE = 10_000  # wider than any row
# All but line breaks and tabs: the C0 and C1 controls, which begin escape codes, and what turns the
# direction of writing round.
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # a terminal that lacks a character shows ? for it

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def clean(text: str) -> str:
    """Returns a text whose control characters are written out, as Python writes them."""
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text.replace("\r\n", "\n"))


def text(content: object, style: str = "") -> Text:
    """Returns content as text that is safe to print."""
    return Text(clean(str(content)), style=style)


def say(content: str = "", style: str = "") -> None:
    """Prints a line."""
    out.print(text(content, style))


def fail(content: str) -> None:
    """Prints the one sentence that ends a command, on stderr."""
    err.print(text(content, "red"))


def next_commands(*commands: tuple[str, str]) -> None:
    """Prints what to try next: pairs of a command and what it does."""
    width = max(len(command) for command, _purpose in commands)
    say("\nNext:")
    for command, purpose in commands:
        out.print(Text.assemble("  ", (clean(f"{command:{width}}"), "bold"), "  ", clean(purpose)))


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        rank: the lower, the longer it stays where the terminal is narrow; 0 always stays.
    """

    title: str
    rank: int = 0


Cell = str | Text


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], console: Console = out
) -> Table:
    """Returns a table in the project's style, with as many columns as the terminal has room for.

    No cell is broken into two lines: the columns of the highest rank are left out instead.
    """
    shown = list(range(len(columns)))
    while True:
        drawn = _draw(
            [columns[index] for index in shown], [[row[i] for i in shown] for row in rows]
        )
        width = Measurement.get(console, console.options.update(max_width=WIDE), drawn).maximum
        last = max(shown, key=lambda index: columns[index].rank)
        if width <= console.width or columns[last].rank == 0:
            return drawn
        shown.remove(last)


def properties(rows: Sequence[tuple[Cell, Cell]]) -> Table:
    """Returns a table of names and values, whose long values are wrapped."""
    drawn = Table(box=None, show_header=False, pad_edge=False)
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in rows:
        drawn.add_row(_cell(name), _cell(value))
    return drawn


def _draw(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Table:
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        drawn.add_column(text(column.title), no_wrap=True)
    for row in rows:
        drawn.add_row(*map(_cell, row))
    return drawn


def _cell(value: Cell) -> Text:
    return text(value) if isinstance(value, str) else value


@contextmanager
def step(title: str) -> Iterator[None]:
    """Shows that something is in progress, then one line with the seconds that it took."""
    begun = time.monotonic()
    with out.status(text(f"{title} …")):
        if not out.is_terminal:
            say(f"{title} …")
        yield
    say(f"{title}: done in {time.monotonic() - begun:.1f} s", "green")


def counted(number: int, noun: str) -> str:
    """Writes how many there are of something: `1 row`, `5,912 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def amount(number: float) -> str:
    """Writes a number with six digits at least: `22,473,800`, `7.33068`, `1e-09`."""
    if number == 0 or not 1e-4 <= abs(number) < 1e15:
        return f"{number:g}"
    places = max(0, 5 - math.floor(math.log10(abs(number))))
    written = f"{number:,.{places}f}"
    return written.rstrip("0").rstrip(".") if places else written


def format_duration(span: timedelta) -> str:
    """Writes a time with one or two units: `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = int(span.total_seconds())
    for size, unit, smaller_size, smaller in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // smaller_size} {smaller}"
    return f"{seconds} s"
