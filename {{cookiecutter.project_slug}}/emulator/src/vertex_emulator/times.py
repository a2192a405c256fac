"""Moments as Google writes them: RFC 3339 in UTC."""

from datetime import UTC, datetime


def now() -> str:
    """The present moment, with microseconds, so that texts sort as moments do."""
    return text_of(datetime.now(UTC))


def text_of(moment: datetime) -> str:
    """A moment of UTC as `now` writes it."""
    # Not strftime, which drops the zeros before a year such as 0001.
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def seconds_since(moment: str) -> float:
    """Seconds from a moment written by `now` until the present."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
