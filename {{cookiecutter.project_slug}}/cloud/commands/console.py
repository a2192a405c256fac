"""console: opens the target's console in a browser: the emulator's own, or Google Cloud's."""

import argparse
import webbrowser

from cloud.client import Client
from cloud.console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--print", dest="only_print", action="store_true", help="print the address, open nothing"
    )


def run(client: Client, options: argparse.Namespace) -> int:
    """Says where the console is, and opens it."""
    url = client.console_url()
    say(f"Console: {url}")
    if not options.only_print and not webbrowser.open(url):
        say("There is no browser here; open the address in one.", "dim")
    return 0
