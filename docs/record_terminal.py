"""`python docs/record_terminal.py FILE.svg -- COMMAND ...` records a command as an animated SVG.

The command runs in a terminal of its own, and what a person would see there becomes one file that
needs no script, no font and no address. Waits are shortened; nothing else is changed. It needs a
system with pseudo-terminals: Linux or macOS.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

import pyte

COLUMNS, LINES = 100, 26
LOOK_SECONDS = 0.1  # between two looks at the screen
LONGEST_WAIT = 0.6  # seconds that a screen stays, however long it stayed in truth
LAST_SECONDS = 6.0  # that the last screen stays before the recording begins again
WIDTH, HEIGHT = 8.4, 18.0  # pixels of a character at a font size of 14
MARGIN = 16.0
COLOURS = {
    "black": "#3b4252", "red": "#e06c75", "green": "#8cc265", "brown": "#d5b06b",
    "blue": "#6cb0f5", "magenta": "#c67fdb", "cyan": "#42b3c2", "white": "#d7dae0",
}  # fmt: skip
PLAIN, GROUND = "#d7dae0", "#1e2127"

Line = str  # a line of the screen as the inside of an SVG's text element


@dataclass
class Frame:
    """A screen, and how long it was there.

    Attributes:
        lines: from top to bottom.
        seconds: until the next frame.
    """

    lines: tuple[Line, ...]
    seconds: float = 0.0


def record(command: list[str], prompt: str) -> tuple[list[Frame], int]:
    """Run a command in a terminal; return its screens and its exit code.

    Args:
        command: The program and its arguments.
        prompt: What stands above its output, as if it had been typed.
    """
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    stream.feed(f"\x1b[1m$ {prompt}\x1b[0m\r\n".encode())
    pid, terminal = pty.fork()
    if pid == 0:
        size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
        os.execvpe(command[0], command, os.environ | size)  # noqa: S606  # no shell is wanted
    frames = [Frame(tuple(drawn(screen)))]
    for output in looks(terminal):
        stream.feed(output)
        frames[-1].seconds += LOOK_SECONDS
        lines = tuple(drawn(screen))
        if lines != frames[-1].lines:
            frames.append(Frame(lines))
    return frames, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def looks(terminal: int) -> Iterator[bytes]:
    """Yield what a terminal showed since the last look, until its program ends."""
    while True:
        output, end = b"", time.monotonic() + LOOK_SECONDS
        while (left := end - time.monotonic()) > 0:
            if select.select([terminal], [], [], left)[0]:
                try:
                    part = os.read(terminal, 65536)
                except OSError:  # how Linux says that the other side is closed
                    part = b""
                if not part:
                    yield output
                    return
                output += part
        yield output


def drawn(screen: pyte.Screen) -> Iterator[Line]:
    """Yield each line of a screen as spans of one style."""
    for number in range(LINES):
        row = screen.buffer[number]
        text = "".join(row[column].data for column in range(COLUMNS))
        cells = [row[column] for column in range(len(text.rstrip()))]
        spans = []
        for (colour, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
            style = f' fill="{COLOURS[colour]}"' if colour in COLOURS else ""
            style += ' font-weight="bold"' if bold else ""
            inside = escape("".join(cell.data for cell in run))
            spans.append(f"<tspan{style}>{inside}</tspan>" if style else inside)
        yield "".join(spans)


def svg(frames: list[Frame], title: str) -> str:
    """Return an SVG that shows the frames one after the other, again and again.

    Who has asked their system for less motion sees the last frame.
    """
    waits = [min(frame.seconds, LONGEST_WAIT) for frame in frames[:-1]] + [LAST_SECONDS]
    whole = sum(waits)
    # A line that several screens show is written once.
    names = {line: f"l{number}" for number, line in enumerate(dict.fromkeys(all_lines(frames)))}
    width, height = COLUMNS * WIDTH + 2 * MARGIN, LINES * HEIGHT + 2 * MARGIN
    rules, groups, begin = [], [], 0.0
    for number, (frame, wait) in enumerate(zip(frames, waits, strict=True)):
        start, end = 100 * begin / whole, 100 * (begin + wait) / whole
        begin += wait
        if number < len(frames) - 1:
            rules.append(
                f"@keyframes k{number}{{0%,100%{{visibility:hidden}}"
                f"{start:.3f}%{{visibility:visible}}{end:.3f}%{{visibility:hidden}}}}"
                f"#f{number}{{animation-name:k{number};visibility:hidden}}"
            )
        else:
            rules.append(
                f"@keyframes k{number}{{0%{{visibility:hidden}}"
                f"{start:.3f}%,100%{{visibility:visible}}}}#f{number}{{animation-name:k{number}}}"
            )
        uses = "".join(
            f'<use href="#{names[line]}" y="{HEIGHT * row:g}"/>'
            for row, line in enumerate(frame.lines)
            if line
        )
        groups.append(f'<g id="f{number}" class="frame">{uses}</g>')
    texts = "".join(f'<text id="{name}">{line}</text>' for line, name in names.items() if line)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">'
        f"<title>{escape(title)}</title><style>"
        "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        f"white-space:pre;fill:{PLAIN}}}"
        f".frame{{animation-duration:{whole:.2f}s;animation-iteration-count:infinite;"
        "animation-timing-function:step-end}"
        f"{''.join(rules)}"
        "@media(prefers-reduced-motion){.frame{animation:none!important}}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/><defs>{texts}</defs>'
        f'<g transform="translate({MARGIN:g} {MARGIN + 13:g})">{"".join(groups)}</g></svg>\n'
    )


def all_lines(frames: list[Frame]) -> Iterator[Line]:
    """Yield the lines of all frames."""
    for frame in frames:
        yield from frame.lines


def main() -> None:
    """Record what the command line asks for; exit as the command did where it failed."""
    parser = argparse.ArgumentParser(description="Record a command as an animated SVG.")
    parser.add_argument("file", type=Path, help="file to write")
    parser.add_argument("--prompt", help="what stands as typed above the output")
    parser.add_argument("command", nargs="+", help="program and arguments")
    arguments = parser.parse_args()
    shown = arguments.prompt or " ".join(arguments.command)
    frames, code = record(arguments.command, shown)
    if code != 0:
        sys.exit(
            "\n".join([*frames[-1].lines, f"The command ended with {code}; nothing is written."])
        )
    arguments.file.write_text(svg(frames, f"A terminal that runs: {shown}"), encoding="utf-8")
    print(f"Wrote {len(frames)} screens to {arguments.file}.")


if __name__ == "__main__":
    main()
