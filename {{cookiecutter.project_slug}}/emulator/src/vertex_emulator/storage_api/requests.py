"""What Cloud Storage's methods share on the way in: parameters, conditions, JSON bodies."""

import re
import zlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from vertex_emulator import errors
from vertex_emulator.object_store.blobs import CHUNK
from vertex_emulator.object_store.conditions import Conditions
from vertex_emulator.object_store.objects import Ref

_JSON_LIMIT = 1 << 20  # bytes
_MAX_DEPTH = 50  # levels of JSON: no resource has ten

# Parameters that ask for what is not emulated; served in silence they would mislead.
NOT_EMULATED = (
    "destinationKmsKeyName",
    "enableObjectRetention",
    "filter",
    "kmsKeyName",
    "restoreToken",
    "rewriteToken",
)
# Parameters that can have no effect here: nothing is billed, and there are no contexts, locked
# retentions, folders or unreachable places. README.md says so.
WITHOUT_EFFECT = (
    "dropContextGroups",
    "includeFoldersAsPrefixes",
    "maxBytesRewrittenPerCall",
    "overrideUnlockedRetention",
    "returnPartialSuccess",
    "userProject",
)
_PROJECTIONS = {"", "full", "noAcl"}
_ACLS = ("destinationPredefinedAcl", "predefinedAcl", "predefinedDefaultObjectAcl")
# What clients such as gcsfs ask for by default: it shares nothing outside the project.
_PRIVATE_ACLS = {"", "bucketOwnerFullControl", "bucketOwnerRead", "private", "projectPrivate"}


def refuse_not_emulated(request: Request) -> None:
    """Refuses parameters and headers that ask for what is not emulated, or that no one knows.

    Raises:
        ApiError: 400.
    """
    projection = request.query_params.get("projection", "noAcl")
    if projection not in _PROJECTIONS:
        raise errors.invalid_argument(
            f"Invalid value for projection: expected full or noAcl, got {projection!r}."
        )
    for name in NOT_EMULATED:
        if request.query_params.get(name, "false").lower() != "false":
            raise errors.not_emulated(f"The emulator has no {name}; omit the parameter.")
    for name in _ACLS:
        if request.query_params.get(name, "") not in _PRIVATE_ACLS:
            raise errors.not_emulated(f"The emulator has no access control; omit {name}.")
    for name in request.headers:
        if name.startswith("x-goog-encryption-"):
            raise errors.not_emulated(f"The emulator has no encryption keys; omit {name}.")


def integer(request: Request, name: str) -> int | None:
    """Returns a numeric parameter, or None when it is absent.

    Raises:
        ApiError: 400.
    """
    text = request.query_params.get(name)
    if text is None or text == "":
        return None
    return number(name, text)


def number(name: str, text: str) -> int:
    """Reads a number of 64 bits without a sign. Raises ApiError 400 for any other text."""
    return _int64(name, text, least=0)


def _int64(name: str, text: str, least: int = -(1 << 63)) -> int:
    """Reads a number of 64 bits. Raises ApiError 400 for any other text."""
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or not least <= int(text) < 1 << 63:
        raise errors.invalid_argument(
            f"Invalid value for {name}: expected an integer, got {text!r}."
        )
    return int(text)


def flag(request: Request, name: str) -> bool:
    """Returns a true-or-false parameter; absent means false."""
    return request.query_params.get(name, "").lower() == "true"


def conditions(request: Request, prefix: str = "if") -> Conditions:
    """Returns the preconditions of a request; prefix `ifSource` takes those on the source.

    A negative number is none that an object has: it matches nothing (412), and is no error.
    """
    return Conditions(
        _condition(request, f"{prefix}GenerationMatch"),
        _condition(request, f"{prefix}GenerationNotMatch"),
        _metageneration(request, prefix, "Match"),
        _metageneration(request, prefix, "NotMatch"),
    )


def _metageneration(request: Request, prefix: str, which: str) -> int | None:
    """Reads a condition in its documented spelling, or in google-cloud-storage's for uploads."""
    documented = _condition(request, f"{prefix}Metageneration{which}")
    return (
        _condition(request, f"{prefix}MetaGeneration{which}") if documented is None else documented
    )


def _condition(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    return _int64(name, text) if text else None


def header_conditions(request: Request, prefix: str = "x-goog-if-") -> Conditions:
    """Returns the preconditions of a request of the XML API, which are headers.

    Source: https://cloud.google.com/storage/docs/xml-api/reference-headers
    """

    def condition(name: str) -> int | None:
        text = request.headers.get(prefix + name)
        return _int64(prefix + name, text) if text else None

    return Conditions(
        generation_match=condition("generation-match"),
        metageneration_match=condition("metageneration-match"),
    )


def object_ref(request: Request) -> Ref:
    """Returns the object that the path names, with generation and preconditions."""
    parameters = request.path_params
    return Ref(
        parameters["bucket"],
        parameters["object"],
        integer(request, "generation"),
        conditions(request),
    )


async def read_body(request: Request, limit: int = _JSON_LIMIT) -> bytes:
    """Reads a body that must fit into memory.

    Raises:
        ApiError: 413 past the limit, in bytes.
    """
    body = bytearray()
    async for data in unpacked(request):
        body += data
        if len(body) > limit:
            raise errors.too_large(f"Expected a body of at most {limit} bytes.")
    return bytes(body)


async def read_json(request: Request) -> dict[str, Any]:
    """Reads a JSON object; no body at all counts as an empty one.

    Raises:
        ApiError: 400 for anything else; 413 when it is too large.
    """
    return parse_json(await read_body(request))


def parse_json(body: bytes) -> dict[str, Any]:
    """Parses a JSON object; nothing at all counts as an empty one.

    Raises:
        ApiError: 400 for anything else.
    """
    if not body.strip():
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.invalid_argument(f"Expected a JSON body: {error}.") from error
    if not isinstance(document, dict):
        raise errors.invalid_argument(f"Expected a JSON object, got {type(document).__name__}.")
    _check_depth(document)
    return document


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise errors.invalid_argument(f"Expected a JSON body of at most {_MAX_DEPTH} levels.")


async def unpacked(request: Request) -> AsyncIterator[bytes]:
    """Yields the body of a request of the JSON API, without the gzip that it travelled in.

    Source: https://cloud.google.com/storage/docs/transcoding#gzip-gzip: `Content-Encoding` of a
    request is about the transport; the object's own is in its metadata.

    Raises:
        ApiError: 400 where the body is not gzip as it says, or in another encoding.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding in {"", "identity"}:
        async for data in request.stream():
            yield data
        return
    if encoding not in {"gzip", "x-gzip"}:
        raise errors.not_emulated(f"The emulator unpacks gzip, not Content-Encoding: {encoding}.")
    unpacker, between_members = zlib.decompressobj(wbits=31), True
    async for packed in request.stream():
        left, more = packed, bool(packed)
        while more:
            try:
                plain = unpacker.decompress(left, CHUNK)
            except zlib.error as error:
                raise errors.invalid_argument(f"Expected a body in gzip: {error}.") from error
            if plain:
                yield plain
            between_members = unpacker.eof
            if between_members:
                left = unpacker.unused_data
                more = bool(left)
                unpacker = zlib.decompressobj(wbits=31)
            else:
                left = unpacker.unconsumed_tail
                more = bool(left) or len(plain) == CHUNK
    if not between_members:
        raise errors.invalid_argument("Expected a gzip body, got one that is cut short.")


async def large_chunks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Gathers a stream into pieces of about a mebibyte, so that each is worth a thread's while.

    Raises:
        ClientDisconnect: the client went away; what had come until then was yielded before.
    """
    gathered = bytearray()
    broken = None
    try:
        async for data in stream:
            gathered += data
            if len(gathered) >= CHUNK:
                yield bytes(gathered)
                gathered.clear()
    except ClientDisconnect as error:
        broken = error
    if gathered:
        yield bytes(gathered)
    if broken:
        raise broken
