"""python -m cloud COMMAND …

Each command is a module of cloud/commands/; python -m cloud COMMAND --help explains its flags.
"""

import sys


def main(arguments: list[str]) -> int:
    """Runs a command; a mistake of the user's becomes one sentence on stderr and exit code 1."""
    try:
        # Imported here, as whoever interrupts the imports wants no traceback either.
        from cloud import command_line

        return command_line.run(arguments)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
