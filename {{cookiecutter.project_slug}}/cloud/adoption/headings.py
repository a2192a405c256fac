"""What the headings of a file tell, and the names that its columns get from them."""

import keyword
import re
import unicodedata
from collections.abc import Sequence

from table_schema.columns import NAME

# Headings of what names something: a person, an order, or the row itself.
NUMBER_WORDS = re.compile(r"[A-Za-z][\W_]?(number|nummer)$", re.I)
ID_WORDS = re.compile(r"(^|[\W_])(?i:id|ids|key|uuid|guid|nr|no)($|[\W_])|[a-z]I[Dd]s?$")
ROW_WORDS = re.compile(r"^(Unnamed: \d+|rownames|(?i:row|index|idx|number|line))$")
# Of digits that name something and count nothing, such as a postal code.
CODE_WORDS = re.compile(r"(^|[\W_])(zip|zipcode|plz|postal|postcode|code|phone)($|[\W_])", re.I)
# Digits that do the same, whatever their heading is.
LEADING_ZERO = re.compile(r"0\d+")
# Of moments.
TIME_WORDS = re.compile(r"date|time|day|stamp|epoch|created|updated|_at$|_on$|datum|datetime", re.I)


def safe_names(headings: Sequence[str]) -> list[str]:
    """Returns a name for each heading that TensorFlow and Python take, and that no other has.

    A heading that is such a name keeps it.
    """
    names: list[str] = []
    used: set[str] = set()
    others = {heading.casefold() for heading in headings}  # nobody is to take one for a name
    for index, heading in enumerate(headings, start=1):
        wanted = heading if NAME.fullmatch(heading) else _plain(heading) or f"column_{index}"
        if not NAME.fullmatch(wanted) or keyword.iskeyword(wanted):
            wanted = f"{wanted}_" if keyword.iskeyword(wanted) else f"c_{wanted}"
        name, number = wanted, 2
        while name.casefold() in used or (name != heading and name.casefold() in others):
            name, number = f"{wanted}_{number}", number + 1
        used.add(name.casefold())
        names.append(name)
    return names


def _plain(heading: str) -> str:
    spelt = unicodedata.normalize("NFKD", heading.replace("ß", "ss"))
    ascii_only = spelt.encode("ascii", "ignore").decode()
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", ascii_only)
    return re.sub(r"[^A-Za-z0-9]+", "_", spaced).strip("_").lower()
