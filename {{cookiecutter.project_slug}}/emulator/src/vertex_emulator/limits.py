"""What the system lets a process have."""

import contextlib
import sys


def allow_many_files() -> None:
    """Takes as many open files as this user may have: each connection is one.

    Often 1,024 is the start and a million the limit.
    """
    if sys.platform != "win32":
        import resource

        _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(ValueError, OSError):  # macOS: unlimited is not always taken
            resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
