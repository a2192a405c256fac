"""The cells of a column, the gaps among them, and how its numbers are written."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property

from cloud.datasets.written import Reader
from table_schema import values

# Words for a missing value that no reader takes for one unless a description says so.
OTHER_GAPS = (
    *("?", "-", "--", ".", "unknown", "missing", "nil", "tbd", "n.a.", "n. a."),
    *("#null!", "#value!", "#div/0!"),
    *("unbekannt", "k.a.", "k. a.", "keine angabe", "ohne angabe", "n.v.", "n. v."),
)

# How files write 1234.5, the usual way first.
NUMBERS = ("1234.5", "1,234.5", "1.234,5", "1234,5", "1 234.5", "1 234,5", "1'234.5")
AMOUNTS = tuple(style for style in NUMBERS if not style.startswith("1234"))
SIGNS = re.compile(
    r"^(?P<prefix>[$€£¥₹]|(?:USD|EUR|GBP|CHF)\s)?\s*(?P<plain>[^$€£¥₹%]*?)"
    r"\s*(?P<suffix>[$€£¥₹%]|(?:USD|EUR|GBP|CHF))?$"
)

ROWS_A_VALUE = 10  # from so many rows on, or so often, values are no chance


class Cells:
    """The cells of a column in a sample, without the blanks around them.

    Args:
        heading: of the column.
        texts: a cell a row.
        strange: words that are gaps of this column alone.
        copies: numbers of the rows that are exact copies of others.
    """

    def __init__(
        self,
        heading: str,
        texts: Sequence[str],
        strange: Collection[str] = (),
        copies: Collection[int] = (),
    ) -> None:
        self.heading = heading
        self.strange = frozenset(strange)
        self.copies = copies
        self.texts = [text.strip() for text in texts]
        self.counts = Counter(self.texts)
        words = {*values.GAPS, *OTHER_GAPS}
        self.gaps = {text for text in self.counts if text.casefold() in words} | self.strange
        self.values = [text for text in self.counts if text not in self.gaps]
        self.rows = sum(self.counts[text] for text in self.values)
        # A row that was written twice has its key twice, and is no second row of a thing.
        copied = sum(self.texts[row] not in self.gaps for row in copies)
        self.all_differ = len(self.values) == self.rows - copied > ROWS_A_VALUE

    def without(self, strange: Collection[str]) -> "Cells":
        """Returns the column with more words that are gaps."""
        return Cells(self.heading, self.texts, self.strange | set(strange), self.copies)

    @cached_property
    def number_styles(self) -> list[str]:
        """The ways of `NUMBERS` in which all values are numbers, with their signs."""
        if not self.values:
            return []
        signed = [text for text in self.values if not text[0].isdigit() or not text[-1].isdigit()]
        found = [SIGNS.match(text) for text in signed]
        affixes = {
            name: Counter(each[name].strip() for each in found if each and each[name])
            for name in ("prefix", "suffix")
        }
        if any(len(counted) > 1 for counted in affixes.values()):
            return []
        prefix, suffix = (next(iter(affixes[name]), "") for name in ("prefix", "suffix"))
        space = " " if suffix not in ("", "%") else ""
        styles = []
        # Amounts have marks between thousands once they are large enough.
        for style in AMOUNTS if prefix or suffix else NUMBERS:
            written = f"{prefix}{style}{space}{suffix}"
            reader = Reader("number", "" if written == NUMBERS[0] else written)
            if reads(reader, self.values):
                styles.append(written)
        return styles


def reads(reader: Reader, texts: Sequence[str]) -> bool:
    """Whether a way to read takes all of these texts."""
    try:
        return all(reader.read(text) is not None for text in texts)
    except ValueError:
        return False
