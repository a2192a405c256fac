"""What the model server refuses, and how it says so."""

import sys
import traceback

import orjson


class RequestError(Exception):
    """A request that gets an error for its answer.

    Attributes:
        status: HTTP status code.
        message: one sentence for the person who sent the request.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def body(self) -> bytes:
        """Returns TensorFlow Serving's error document, `{"error": "..."}`."""
        return orjson.dumps({"error": self.message.encode(errors="replace").decode()})


def invalid(message: str) -> RequestError:
    """The request is wrong and stays wrong (400)."""
    return RequestError(400, message)


def fault(error: Exception) -> RequestError:
    """The server's own failure (500); prints where it happened."""
    print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)
    return RequestError(500, f"The server failed on this request: {type(error).__name__}")


class StartError(Exception):
    """The server cannot start; the message is one sentence for the person who started it."""
