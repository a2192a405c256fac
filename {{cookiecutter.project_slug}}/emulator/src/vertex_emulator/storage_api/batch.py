"""Several calls in one request: `POST /batch/storage/v1`.

Source: https://cloud.google.com/storage/docs/batch
"""

import uuid
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp
from starlette.types import Message as Event

from vertex_emulator import errors
from vertex_emulator.storage_api.related import boundary_of
from vertex_emulator.storage_api.requests import read_body

_BODY_LIMIT = 10 << 20  # bytes
_CALL_LIMIT = 1000  # what google-cloud-storage allows; Google itself asks for at most 100


async def batch(api: ASGIApp, request: Request) -> Response:
    """Serves each call through `api`, in order, and answers with all responses in that order.

    Raises:
        ApiError: 400 for a malformed body; 413 for a body too large.
    """
    content_type = request.headers.get("content-type", "")
    body = await read_body(request, _BODY_LIMIT)
    calls = list(_parts(body, boundary_of(content_type)))
    if not 1 <= len(calls) <= _CALL_LIMIT:
        raise errors.invalid_argument(f"Expected a batch of 1 to {_CALL_LIMIT} calls.")
    boundary = f"batch_{uuid.uuid4().hex}"
    answers = bytearray()
    for call in calls:
        answers += f"--{boundary}\r\n".encode() + await _answer(api, request, call) + b"\r\n"
    answers += f"--{boundary}--\r\n".encode()
    # gcsfs takes the boundary to be all that follows the first equals sign.
    headers = {"content-type": f"multipart/mixed; boundary={boundary}"}
    return Response(bytes(answers), headers=headers)


def _parts(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Yields the parts of a multipart body, each with its headers."""
    sections = (b"\n" + body).split(b"\n--" + boundary)
    for section in sections[1:]:  # before the first is a preamble
        if section.startswith(b"--"):
            return
        yield section.partition(b"\n")[2].removesuffix(b"\r")


async def _answer(api: ASGIApp, outer: Request, call: bytes) -> bytes:
    # Only headers are parsed: what follows is one request, however it is written.
    part = BytesHeaderParser().parsebytes(call)
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or part.get_content_maintype() == "multipart":
        raise errors.invalid_argument("Expected each part of the batch to be one HTTP request.")
    status, headers, body = await _serve(api, outer, payload)
    lines = [
        "Content-Type: application/http",
        f"Content-ID: <response-{part.get('content-id', '').strip('<>')}>",
        "",
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in headers),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + body


async def _serve(
    api: ASGIApp, outer: Request, payload: bytes
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Runs one call, given as the text of an HTTP request, in this process."""
    request_line, _, rest = payload.lstrip().partition(b"\n")
    words = request_line.split()
    if len(words) < 2:
        raise errors.invalid_argument(f"Expected METHOD URL HTTP/1.1, got {request_line[:80]!r}.")
    inner = BytesHeaderParser().parsebytes(rest)
    content = inner.get_payload(decode=True)
    content = content if isinstance(content, bytes) else b""
    url = urlsplit(words[1].decode("latin-1"))
    headers = {name.lower(): value for name, value in inner.items()}
    headers["host"] = outer.headers.get("host", "")
    scope = {
        **outer.scope,
        "method": words[0].decode("latin-1").upper(),
        "path": unquote(url.path),
        "raw_path": url.path.encode("latin-1"),
        "query_string": url.query.encode("latin-1"),
        "headers": [
            (name.encode("latin-1"), str(value).encode("latin-1", "replace"))
            for name, value in headers.items()
        ],
        "path_params": {},
    }
    answer: dict[str, Event] = {}
    body = bytearray()

    async def receive() -> Event:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(event: Event) -> None:
        answer.setdefault(event["type"], event)
        body.extend(event.get("body", b""))

    await api(scope, receive, send)
    start = answer["http.response.start"]
    return start["status"], list(start["headers"]), bytes(body)
