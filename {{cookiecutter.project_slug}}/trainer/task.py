"""python -m trainer.task --help: trains, evaluates and exports a model."""

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from trainer import console, files
from trainer.errors import StopRequestedError, UserError, WorkerLostError
from trainer.tabular.settings import parse

STANDARD_ERROR = 2
TERMINATED = 128 + signal.SIGTERM  # what a shell reports of a process that a signal ended
# One of the codes after which Vertex AI restarts a replica, as after its machine's failure. Source:
# https://cloud.google.com/vertex-ai/docs/training/exit-codes.
RESTARTABLE = 134


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a training; returns the exit code, which is 0 or comes after one sentence."""
    settings = parse(arguments)
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = signal.signal(signal.SIGTERM, ask_to_stop)
    try:
        settings = settings.with_folders()
        with quiet_start():
            from trainer.tabular.run import run
        run(settings, stop)
    except UserError as error:
        console.fail(str(error))
        return 1
    except StopRequestedError:
        console.fail("Stopped by SIGTERM and saved a checkpoint; start again to continue from it.")
        return TERMINATED
    except WorkerLostError as error:
        console.fail(f"Lost another worker ({error}); this one ends, to be restarted with it.")
        return RESTARTABLE
    except OSError as error:
        if error.errno not in files.NO_ROOM:
            raise
        console.fail(
            f"{error.filename or tempfile.gettempdir()}: expected space on the disk, got none"
            f" ({error.strerror}); free some space, and start again to continue from the last"
            " checkpoint."
        )
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keeps TensorFlow's start-up messages from the user, unless it does not start.

    Some of them are written by C++ before any setting of TensorFlow's is read, so the process's
    standard error itself goes to a file while it starts.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    shown = os.dup(STANDARD_ERROR)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), STANDARD_ERROR)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(shown, hidden.read())
            raise
        finally:
            os.dup2(shown, STANDARD_ERROR)
            os.close(shown)


if __name__ == "__main__":
    sys.exit(main())
