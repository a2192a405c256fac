"""How a file writes dates and times."""

import re
from datetime import UTC, datetime
from typing import Literal

from cloud.adoption.cells import Cells, reads
from cloud.adoption.headings import CODE_WORDS, ID_WORDS, TIME_WORDS
from cloud.datasets.written import EPOCHS, Reader

DAYS_FIRST, MONTHS_FIRST = "d/m", "m/d"
DateOrder = Literal["d/m", "m/d"]
DATES = {
    DAYS_FIRST: ("%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y", "%d.%m.%Y", "%d.%m.%y"),
    MONTHS_FIRST: ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y"),
}
OTHER_DATES = (
    *("%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
)
TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M")
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
    first, second = (
        (DAYS_FIRST, MONTHS_FIRST) if order == DAYS_FIRST else (MONTHS_FIRST, DAYS_FIRST)
    )
    for date in (*DATES[first], *DATES[second], *OTHER_DATES):
        for time in TIMES:
            if reads(Reader("timestamp", date + time), cells.values):
                return date + time
    return None


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
    if not re.match(r"%[dm][-/]%[dm][-/]", written):
        return ""
    return written[3:5] + written[2] + written[:2] + written[5:]
