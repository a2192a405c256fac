"""What a command said last: the reason of a failure, as far as its output tells it."""

from collections import deque

from vertex_emulator.logs.entry import RANKS, line_entry
from vertex_emulator.processes.run import Line, Run

TAIL_BYTES = 2 * 1024 * 1024  # of the output, however long it is
MAX_CHARACTERS = 2000  # of a line
TRACEBACK = "Traceback (most recent call last):"


def last_words(run: Run, count: int = 1) -> str:
    """Returns the last lines that Cloud Logging calls errors, or the last lines where none is.

    Args:
        run: the command, which has ended.
        count: lines at the most.
    """
    errors, others = deque[str](maxlen=count), deque[str](maxlen=count)
    for line in run.tail(TAIL_BYTES):
        severity, text = _spoken(line)
        if text:
            (errors if RANKS[severity] >= RANKS["ERROR"] else others).append(text)
    return "\n".join(errors or others)


def _spoken(line: Line) -> tuple[str, str]:
    """Returns a line's severity, and what it says to a person."""
    entry = line_entry(line, {"labels": {}})
    severity: str = entry["severity"]
    message = entry.get("jsonPayload", {}).get("message")
    if not isinstance(message, str) or not message.strip():
        return severity, _cut(line.text.strip())
    _before, traceback, behind = message.strip().rpartition(TRACEBACK)
    if traceback:  # its last line names the error
        message = behind.splitlines()[-1] if behind else traceback
    return severity, f"{severity}: {_cut(message.strip())}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} …"
