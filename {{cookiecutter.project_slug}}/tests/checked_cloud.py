"""python -m tests.checked_cloud COMMAND …

Runs a command of cloud/ as `python -m cloud` does, and holds each of its requests, and each answer,
against Google's discovery documents. One that does not fit ends the command with a traceback, which
no command may show.
"""

import sys

import requests

from cloud.__main__ import main
from vertex_emulator.testing.contract import checked_send

if __name__ == "__main__":
    requests.Session.send = checked_send  # type: ignore[assignment, method-assign]
    sys.exit(main(sys.argv[1:]))
