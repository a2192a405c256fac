"""Values as people read them."""

import re
from datetime import UTC, datetime

from vertex_emulator.times import seconds_since

# What a terminal would act on: colours, cursors, titles.
# Source: ECMA-48, 5.4 (control sequences) and 5.6 (control strings).
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
# Other control characters; bidirectional ones would show a line in another order than it has.
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
NONE = "\u2013"  # a dash, in the place of a value
UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def printable(text: str, longest: int) -> tuple[str, int]:
    """Returns text without what a terminal would act on.

    Args:
        text: as a program printed it.
        longest: characters to return at most.

    Returns:
        The text, control characters as pictures, and how many characters it lacks at its end.
    """
    shown = ESCAPES.sub("", text)
    return CONTROLS.sub(_picture, shown[:longest]), max(0, len(shown) - longest)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"


def span(seconds: float) -> str:
    """A length of time by its two largest units: `3 h 20 min`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in UNITS:
        count, left = divmod(left, length)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(parts[:2]).strip() or "0 s"


def age(moment: str) -> str:
    """The time since a moment as `times.now` writes it."""
    return f"{span(seconds_since(moment))} ago"


def duration(resource: dict[str, str]) -> str:
    """How long a job has run, or ran; a dash before it starts."""
    if "startTime" not in resource:
        return NONE
    begin = datetime.fromisoformat(resource["startTime"])
    end = datetime.fromisoformat(resource["endTime"]) if "endTime" in resource else None
    return span(((end or datetime.now(UTC)) - begin).total_seconds())


def size(count: int) -> str:
    """Bytes in the unit that suits them."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{count} B" if unit == "B" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def state(name: str) -> str:
    """`JOB_STATE_RUNNING` as `running`."""
    return re.sub("^(?:JOB|PIPELINE)_STATE_", "", name).lower().replace("_", " ")


def number(value: float) -> str:
    """A number with the digits that count."""
    if value == value // 1 and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"
