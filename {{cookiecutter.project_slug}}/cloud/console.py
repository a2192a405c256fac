"""What a person at the terminal sees: colour and one moving line there, plain text in a pipe."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.table import Table

# A row of a table stays one line in a pipe, for whoever searches it there.
PIPE_WIDTH = 200
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str = "", style: str | None = None) -> None:
    """Prints a line; what looks like markup in it is text."""
    out.print(text, style=style, markup=False)


def next_commands(*commands: tuple[str, str]) -> None:
    """Prints what to try next: pairs of a command and what it does."""
    width = max(len(command) for command, _purpose in commands)
    say("\nNext:")
    for command, purpose in commands:
        out.print(f"  [bold]{command:{width}}[/bold]  {purpose}")


def table(*columns: str) -> Table:
    """Returns an empty table in the project's style."""
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold")
    return grid


@contextmanager
def step(title: str) -> Iterator[None]:
    """Shows that something goes on, then one line with the seconds that it took."""
    begun = time.monotonic()
    with out.status(f"{title} …"):
        if not out.is_terminal:
            say(f"{title} …")
        yield
    say(f"{title}: done in {time.monotonic() - begun:.1f} s", "green")


def counted(number: int, noun: str) -> str:
    """Writes how many there are of something: `1 row`, `5,912 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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
