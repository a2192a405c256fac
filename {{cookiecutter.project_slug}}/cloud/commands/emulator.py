"""emulator: runs the emulator in the foreground; `--stop` ends one that runs in the background."""

import argparse
import subprocess

from cloud import emulator
from cloud.config import ROOT, Config
from cloud.console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stop", action="store_true", help="stop the one in the background")


def run(config: Config, options: argparse.Namespace) -> int:
    """Serves until Ctrl-C; or stops the emulator that other commands started."""
    if options.stop:
        say("The emulator is stopped." if emulator.stop(config) else "No emulator is running.")
        return 0
    try:
        return subprocess.call(emulator.command(config, config.emulator_port), cwd=ROOT)
    except KeyboardInterrupt:
        return 0
