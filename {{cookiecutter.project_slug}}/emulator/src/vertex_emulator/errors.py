"""Errors in the shape that every Google API answers with.

Source: https://cloud.google.com/apis/design/errors (`{"error": {"code", "message", "status"}}`).
"""

from collections.abc import Mapping
from typing import Any

from google.rpc import code_pb2

NO_SPACE = 507
# The canonical codes of HTTP statuses that are not raised by name below.
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_OF_HTTP = {
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ApiError(Exception):
    """A request that cannot be served, in the words that Google's clients expect.

    Attributes:
        code: HTTP status code.
        status: canonical name of `google.rpc.Code`, such as `NOT_FOUND`.
        message: one sentence for the person who sent the request.
        reason: a finer name of the error, as the service at hand calls it, or "".
        headers: further headers of the answer.
    """

    def __init__(
        self,
        code: int,
        status: str,
        message: str,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.headers = dict(headers or {})
        self.code = code
        self.status = status
        self.message = message

    @property
    def rpc_code(self) -> int:
        """The number of `status` in `google.rpc.Code`."""
        return int(code_pb2.Code.Value(self.status))

    def body(self) -> dict[str, Any]:
        """Returns the JSON document to answer with."""
        return {"error": {"code": self.code, "message": self.message, "status": self.status}}


def from_http_status(code: int, message: str) -> ApiError:
    """The error of an HTTP status; of one without a name of its own, its class's."""
    return ApiError(
        code, _OF_HTTP.get(code, "INVALID_ARGUMENT" if code < 500 else "INTERNAL"), message
    )


def invalid_argument(message: str, reason: str = "") -> ApiError:
    """The request itself is wrong, whatever the state of the server (400)."""
    return ApiError(400, "INVALID_ARGUMENT", message, reason)


def failed_precondition(message: str) -> ApiError:
    """The request is well formed, but the resource is not in a state to take it (400)."""
    return ApiError(400, "FAILED_PRECONDITION", message)


def precondition_failed(message: str) -> ApiError:
    """A condition that the request itself names does not hold (412; Cloud Storage)."""
    return ApiError(412, "FAILED_PRECONDITION", message)


def not_modified(message: str) -> ApiError:
    """The client already has what it asks for (304; Cloud Storage); answered without a body."""
    return ApiError(304, "FAILED_PRECONDITION", message)


def out_of_range(message: str, size: int) -> ApiError:
    """The bytes asked for lie past the end of an object of `size` bytes (416; Cloud Storage)."""
    # RFC 9110, 14.4: clients that read in chunks learn from it that an object is empty.
    headers = {"content-range": f"bytes */{size}"}
    return ApiError(416, "OUT_OF_RANGE", message, headers=headers)


def not_found(message: str, reason: str = "") -> ApiError:
    """What the request names does not exist (404)."""
    return ApiError(404, "NOT_FOUND", message, reason)


def missing(kind: str, name: str) -> ApiError:
    """The error for a resource name that nothing has (404)."""
    return not_found(
        f"The {kind} does not exist: {name}. List what exists and use one of its names."
    )


def already_exists(message: str) -> ApiError:
    """What the request would create exists (409)."""
    return ApiError(409, "ALREADY_EXISTS", message)


def conflict(message: str) -> ApiError:
    """What the resource holds stands against the request (409)."""
    return ApiError(409, "ABORTED", message)


def too_large(message: str) -> ApiError:
    """The request's body is past the limit of this method (413)."""
    return ApiError(413, "INVALID_ARGUMENT", message)


def no_space(message: str) -> ApiError:
    """The disk is full (507: not among the codes that Google's clients send again)."""
    return ApiError(NO_SPACE, "RESOURCE_EXHAUSTED", message)


def internal(message: str) -> ApiError:
    """The emulator's own state is damaged (500)."""
    return ApiError(500, "INTERNAL", message)


def not_emulated(message: str) -> ApiError:
    """Google Cloud may serve this request; the emulator does not (400).

    Not 501, which gcloud and gcsfs send again for half a minute.
    """
    return ApiError(400, "UNIMPLEMENTED", message, "NotImplemented")


def unavailable(message: str) -> ApiError:
    """The server cannot answer now; the same request may succeed later (503)."""
    return ApiError(503, "UNAVAILABLE", message)
