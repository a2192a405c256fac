"""What the model server refuses, and how it says so."""

import sys
import traceback

import orjson

from vertex_emulator.http.errors import RequestError


def document(error: RequestError) -> bytes:
    """Returns TensorFlow Serving's error document, `{"error": "..."}`."""
    return orjson.dumps({"error": error.message.encode(errors="replace").decode()})


def invalid(message: str) -> RequestError:
    """The request is wrong and stays wrong (400)."""
    return RequestError(400, message)


def fault(error: Exception) -> RequestError:
    """The server's own failure (500); prints where it happened."""
    print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)
    return RequestError(500, f"The server failed on this request: {type(error).__name__}")


class StartError(Exception):
    """The server cannot start; the message is one sentence for the person who started it."""
