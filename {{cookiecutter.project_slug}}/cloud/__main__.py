"""python -m cloud COMMAND …

Each command is a module of cloud/commands/; python -m cloud COMMAND --help explains its flags.
"""

import os
import sys


def main(arguments: list[str]) -> int:
    """Runs a command; a mistake of the user's becomes one sentence on stderr and exit code 1."""
    try:
        # Imported here, as whoever interrupts the imports wants no traceback either.
        from cloud import command_line

        code = command_line.run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who reads the output, such as head, has enough; Python would try to write the rest at its
        # end. https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
