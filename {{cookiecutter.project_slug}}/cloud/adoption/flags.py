"""The flags that say what a look at a person's files cannot tell, and the questions."""

import argparse
import sys

from rich.prompt import Prompt

from cloud.adoption.findings import Wishes
from cloud.adoption.times import DAYS_FIRST, MONTHS_FIRST
from cloud.console import out, say
from cloud.errors import UserError
from table_schema.columns import NAME, Dialect

DELIMITERS = {"tab": "\t", "\\t": "\t"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags."""
    about = parser.add_argument_group("the table", "what the file alone does not tell")
    about.add_argument("--label", metavar="COLUMN", help="what is to be predicted")
    about.add_argument(
        "--label-kind", choices=("classes", "number"), help="default: told from its values"
    )
    about.add_argument("--name", help="of the table, a-z, 0-9 and _; default: of the file")
    about.add_argument(
        "--group",
        metavar="COLUMN",
        help="what has several rows, such as a customer: they stay in one split; none for nothing",
    )
    about.add_argument(
        "--time", metavar="COLUMN", help="train on the past and test on the future; none for not"
    )
    for flag, does in (
        ("--leave-out", "the model does not get this column, such as one known only afterwards"),
        ("--keep", "the model gets this column, whatever speaks against it"),
    ):
        about.add_argument(
            flag, metavar="COLUMN", action="append", default=[], help=f"{does}; may be repeated"
        )
    about.add_argument(
        "--dates", choices=(DAYS_FIRST, MONTHS_FIRST), help="whether 1/2/2026 is of February"
    )
    written = parser.add_argument_group(
        "the file", "how it is written, where that is not found out"
    )
    written.add_argument("--encoding", help="such as cp1252")
    written.add_argument("--delimiter", help="between cells, such as ; or tab")
    written.add_argument("--headings", help="of a file without them, with commas between")
    written.add_argument("--sheet", help="of an Excel workbook; default: the first")
    written.add_argument(
        "--skip-bad", action="store_true", help="leave out rows that cannot be read, and count them"
    )
    written.add_argument(
        "--line-breaks",
        action="store_true",
        help="line breaks within quotes are right, though the lines look like rows",
    )
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing; take what each question has as its default"
    )


def wishes_of(options: argparse.Namespace) -> Wishes:
    """Returns what the flags say.

    Raises:
        UserError: the name is none that a table can have.
    """
    if options.name is not None and not NAME.fullmatch(options.name):
        raise UserError(
            "--name: expected a name that begins with a letter and has the letters a to z, digits"
            f" and _ only, got {options.name!r}."
        )
    headings = [each.strip() for each in (options.headings or "").split(",")]
    dialect = Dialect(
        encoding=options.encoding or "",
        delimiter=DELIMITERS.get(options.delimiter, options.delimiter) or "",
        headings=tuple(headings) if options.headings else (),
        sheet=options.sheet or "",
        skip_bad=options.skip_bad,
        line_breaks=options.line_breaks,
    )
    return Wishes(
        options.name,
        options.label,
        options.label_kind,
        options.group,
        options.time,
        tuple(options.leave_out),
        tuple(options.keep),
        options.dates,
        dialect,
    )


def asks(options: argparse.Namespace) -> bool:
    """Whether there is somebody to be asked."""
    return not options.yes and sys.stdin.isatty() and sys.stdout.isatty()


def put_question(question: str, flag: str, default: str) -> str:
    """Asks at the terminal."""
    say(f"\n{question}", "bold")
    return Prompt.ask(f"  ({flag} answers it)", default=default or None, console=out) or ""


def take_default(_question: str, _flag: str, default: str) -> str:
    """Answers where nobody is asked."""
    return default
