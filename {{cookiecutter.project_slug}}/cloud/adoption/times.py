"""How a file writes dates and times."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from cloud.adoption.cells import Cells, reads
from cloud.adoption.headings import CODE_WORDS, ID_WORDS, TIME_WORDS
from cloud.datasets.written import EPOCHS, OR, Reader

DateOrder = Literal["d/m", "m/d"]
DAYS_FIRST: Final = "d/m"
MONTHS_FIRST: Final = "m/d"
DATES = {
    DAYS_FIRST: ("%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y", "%d.%m.%Y", "%d.%m.%y"),
    MONTHS_FIRST: ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y"),
}
OTHER_DATES = (
    *("%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
)
TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M")
ISO_TIMES = ("T%H:%M", "T%H:%M:%S", "T%H:%M:%S.%f", "T%H:%M:%S%z", " %H:%M:%S%z")
FORMS, TRIED = 8, 10  # of one column, at most; texts of a form that a pattern is tried on
BEGIN = 100
ISO = re.compile(r"\d{4}-\d\d-\d\d")
COMPACT_DATE = "%Y%m%d"
IN_DIGITS = {
    COMPACT_DATE: "dates",
    "epoch s": "seconds since 1970",
    "epoch ms": "milliseconds since 1970",
}
# A time of day.
CLOCK = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?( ?[AaPp][Mm])?")
CLOCKS = ("", "%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p")
# Of times in digits, where no heading says that they are such.
PLAUSIBLE_YEARS = range(1990, 2041)
# A date that may be read with the day or the month first.
SLASHED = re.compile(r"\d{1,2}[-/]\d{1,2}[-/]")


def time_pattern(cells: Cells, order: DateOrder) -> str | None:
    """Returns how the file writes timestamps, empty for ISO 8601, or None where these are none."""
    if all(ISO.match(text) for text in cells.values):
        return "" if reads(Reader("timestamp"), cells.values) else None
    if all(map(CLOCK.fullmatch, cells.values)):
        return next((way for way in CLOCKS if reads(Reader("timestamp", way), cells.values)), None)
    digits = all(re.fullmatch(r"\d+(\.\d+)?", text) for text in cells.values)
    if digits:
        return _in_digits(cells)
    if not all(re.search(r"\d", text) for text in cells.values[:100]):
        return None
    return _in_patterns(cells, order)


def _in_patterns(cells: Cells, order: DateOrder) -> str | None:
    first, second = both_orders(order)
    for date in (*DATES[first], *DATES[second], *OTHER_DATES):
        for time in TIMES:
            if reads(Reader("timestamp", date + time), cells.values):
                return date + time
    for each in (first, second):
        if forms(cells.values[:BEGIN], each)[1]:
            continue  # most columns of words are known by these
        patterns, others = forms(cells.values, each)
        if not others:
            return OR.join(patterns)
    return None


def both_orders(first: DateOrder) -> tuple[DateOrder, DateOrder]:
    """Returns both orders of days and months, the one to try first before the other."""
    return (DAYS_FIRST, MONTHS_FIRST) if first == DAYS_FIRST else (MONTHS_FIRST, DAYS_FIRST)


def forms(texts: Sequence[str], order: DateOrder) -> tuple[list[str], list[str]]:
    """Returns how a column writes dates in several ways, and the texts that are no such dates.

    Args:
        texts: the values of the column.
        order: of days and months, the same in all of them.
    """
    shapes: dict[str, list[str]] = {}
    for text in texts:
        # 1.1.2026 and 31.12.2026 are of one shape, and 31.12.26 is of another.
        shape = re.sub(r"\d+", lambda found: "0" * max(2, len(found[0])), text)
        shapes.setdefault(re.sub(r"[^\W\d]{3,}", "a", shape), []).append(text)
    frequent = sorted(shapes.values(), key=len, reverse=True)
    patterns: list[str] = []
    others = [text for each in frequent[FORMS:] for text in each]
    for each in frequent[:FORMS]:
        fitting = [way for way in _patterns(order) if _unread(way, each[:TRIED]) != each[:TRIED]]
        unread = {way: _unread(way, each) for way in fitting}
        best = min(unread, key=lambda way: len(unread[way]), default="")
        others += unread.get(best, each)
        if best and best not in patterns:
            patterns.append(best)
    return patterns, others


def _patterns(order: DateOrder) -> Iterator[str]:
    # Nobody writes months first with points.
    dotted = [date for date in DATES[DAYS_FIRST] if "." in date and date not in DATES[order]]
    for date in (*DATES[order], *dotted, *OTHER_DATES, "%Y-%m-%d"):
        for time in TIMES:
            yield date + time
    for time in ISO_TIMES:
        yield f"%Y-%m-%d{time}"


def _unread(written: str, texts: Sequence[str]) -> list[str]:
    reader = Reader("timestamp", written)
    return [text for text in texts if not reads(reader, [text])]


def _in_digits(cells: Cells) -> str | None:
    """Returns how digits write times: years that are plausible, of a heading that names no thing.

    A heading that tells of times lets a date such as 20260131 have any year.
    """
    is_told = TIME_WORDS.search(cells.heading)
    if not is_told and (ID_WORDS.search(cells.heading) or CODE_WORDS.search(cells.heading)):
        return None
    if all(re.fullmatch(r"\d{8}", text) for text in cells.values):
        is_plausible = is_told or all(int(text[:4]) in PLAUSIBLE_YEARS for text in cells.values)
        is_date = is_plausible and reads(Reader("timestamp", COMPACT_DATE), cells.values)
        return COMPACT_DATE if is_date else None
    begin, end = (
        datetime(year, 1, 1, tzinfo=UTC).timestamp()
        for year in (PLAUSIBLE_YEARS.start, PLAUSIBLE_YEARS.stop)
    )
    numbers = list(map(float, cells.values))
    for written, scale in EPOCHS.items():
        if begin <= min(numbers) / scale and max(numbers) / scale < end:
            return written
    return None


def other_order(written: str) -> str:
    """Returns a pattern with days and months the other way round; empty where they stand alone."""
    turned = re.sub(r"%([dm])([-/])%([dm])(?=[-/])", r"%\3\2%\1", written)
    return turned if turned != written else ""
