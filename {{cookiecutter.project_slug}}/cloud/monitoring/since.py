"""From when on logged requests count."""

import argparse
import re
from datetime import UTC, datetime, timedelta

from cloud.errors import UserError

FLAG = "--since"
SPAN = re.compile(r"(\d{1,5})([dh])")
UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1)}


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Describes the flag."""
    parser.add_argument(
        FLAG,
        metavar="WHEN",
        help="of the logged requests, those from then on: a date or time such as 2026-11-20 or"
        " 2026-11-20T08:00+01:00, in UTC where it names no zone; or 7d or 12h back; default: all",
    )


def parse(text: str | None) -> datetime:
    """Returns the time that the flag means; the beginning of 1970 where it is not given.

    Raises:
        UserError: it means none, or one that is still to come.
    """
    now = datetime.now(UTC)
    if text is None:
        return datetime.fromtimestamp(0, UTC)
    try:
        if span := SPAN.fullmatch(text):
            return now - int(span[1]) * UNITS[span[2]]
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{FLAG}: expected a date or time such as 2026-11-20 or 2026-11-20T08:00, or 7d or 12h"
            f" back from now, got {text!r}."
        ) from error
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if found > now:
        raise UserError(f"{FLAG}: expected a time that has passed, got {text!r}.")
    return found
