"""Text of comma-separated values, in any dialect: its encoding, its delimiter, its records."""

import codecs
import csv
import io
import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cloud.datasets import headings
from cloud.datasets.packing import opened

DELIMITERS = (",", ";", "\t", "|")
# Of a file's text, the part that its delimiter is found by.
SNIFFED_CHARACTERS = 1 << 18
SNIFFED_RECORDS = 500
# Some programs tell Excel by such a first line how the columns are separated.
SEPARATOR = re.compile(r'"?sep=(.?)"?[,;\t]*\s*')
CHUNK = 1 << 20

csv.field_size_limit(1 << 30)  # a quoted text may be of any size


def find_encoding(path: Path) -> str:
    """Returns the encoding of a file's text: by its first bytes, else UTF-8 if all of it is.

    Otherwise it is cp1252, or Latin-1 where it has bytes that cp1252 has not.
    """
    with opened(path) as file:
        begin = file.read(4096)
        if begin.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        for name, zeros in (("utf-16-le", begin[1::2]), ("utf-16-be", begin[::2])):
            if len(begin) > 8 and zeros.count(0) > 0.8 * len(zeros):
                return name
        candidates = {
            name: codecs.getincrementaldecoder(name)() for name in ("utf-8", "cp1252", "latin-1")
        }
        for chunk in itertools.chain([begin], iter(lambda: file.read(CHUNK), b"")):
            for name, decoder in list(candidates.items()):
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    del candidates[name]
    return next(iter(candidates))


def find_delimiter(text: str, candidates: Sequence[str] = DELIMITERS) -> tuple[str, int]:
    """Finds what separates the cells: what gives the headings and the rows one width.

    Returns:
        The delimiter, and how many cells the headings have.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    if marked := SEPARATOR.fullmatch(first):
        candidates = (marked[1] or ",",)
    best, best_width, best_rank = candidates[0], 1, (False, 0, 0.0)
    for delimiter in candidates:
        found = records(io.StringIO(text, newline=""), delimiter, line_breaks=True)
        begin = [
            cells
            for _number, cells in itertools.islice(found, SNIFFED_RECORDS)
            if not isinstance(cells, str) and not is_comment(cells)
        ]
        titles = headings.titles(begin)
        widths = list(map(len, begin[titles:]))
        if len(widths) > 2:
            widths.pop()  # the last one may be cut
        if not widths or (widths[0] == 1 and len(candidates) > 1):
            continue
        agree = sum(width == widths[0] for width in widths) / len(widths)
        # Headings without a mark that is in all rows, such as a decimal comma, look like a title.
        rank = (agree > 0.5, -titles, agree)
        if rank > best_rank:
            best, best_width, best_rank = delimiter, widths[0], rank
    return best, best_width


def records(
    lines: Iterable[str], delimiter: str, width: int = 0, line_breaks: bool = False
) -> Iterator[tuple[int, list[str] | str]]:
    """Gives the records of CSV with the number of the first line of each, from 1.

    A quote opens a cell at its beginning only, and must close it: RFC 4180. So one stray quote
    would swallow rows up to the next one. A record over several lines that each look like a row
    is therefore bad, and reading goes on in the line after its first.

    Args:
        lines: of the text, with their ends.
        delimiter: between cells.
        width: how many cells a row has; 0 for those of the first record.
        line_breaks: whether such records are right.

    Yields:
        The cells, or why there are none. Blank lines are no records.
    """
    numbered = enumerate(lines, start=1)
    pending: deque[tuple[int, str]] = deque()  # read before, to be read again

    def following() -> tuple[int, str] | None:
        return pending.popleft() if pending else next(numbered, None)

    while (found := following()) is not None:
        number, line = found
        if not line.strip() or (number == 1 and SEPARATOR.fullmatch(line)):
            continue
        if '"' not in line:  # as nearly all are
            cells = line.rstrip("\r\n").split(delimiter)
            width = width or len(cells)
            yield number, cells
            continue
        taken = [found]
        cells, fault = _cells(line, delimiter)
        while fault == OPEN:
            more = following()
            if more is None:
                fault = f"{OPEN} before the end of the file"
                break
            taken.append(more)
            if '"' in more[1]:
                cells, fault = _cells("".join(each for _number, each in taken), delimiter)
        if len(taken) > 1 and not fault and not line_breaks and _are_rows(taken, delimiter, width):
            fault = (
                f"a quote joins lines {number} to {taken[-1][0]}, which look like rows; remove it,"
                " or say with --line-breaks that they are one"
            )
        if fault:
            pending.extendleft(reversed(taken[1:]))
            yield number, fault
        else:
            width = width or len(cells)
            yield number, cells


OPEN = "a quote is opened and not closed"
BAD_QUOTE = "a quote stands within a cell that a quote began; write it twice"


def _cells(text: str, delimiter: str) -> tuple[list[str], str]:
    """Returns the cells of a record and what is wrong with it: `OPEN` where it goes on."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True)), ""
    except csv.Error as error:
        return [], OPEN if "unexpected end" in str(error) else BAD_QUOTE


def _are_rows(taken: Sequence[tuple[int, str]], delimiter: str, width: int) -> bool:
    """Whether the lines of a record have each as many cells as a row, by their delimiters."""
    first, *inner, last = (line.count(delimiter) + 1 == width for _number, line in taken)
    return any(inner) or (first and last)


def is_comment(cells: list[str] | str) -> bool:
    """Whether a record begins as a comment does."""
    return not isinstance(cells, str) and cells[0].startswith("#")
