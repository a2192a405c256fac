"""The functions of Cloud Logging's query language.

Source: https://cloud.google.com/logging/docs/view/logging-query-language#functions. `cast` and
`regexp_extract` make values, not conditions, and are not emulated.
"""

import ipaddress
import re
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from vertex_emulator.filters.comparing import at, texts
from vertex_emulator.filters.language import Function, Predicate
from vertex_emulator.filters.tokens import Token

Entry = Mapping[str, Any]

# https://cloud.google.com/logging/docs/view/logging-query-language#search-function
_DELIMITERS = re.compile(r"""[\s\[\]<>(){}|!;,'"*&?+/:=@.\-$%\\_]+""")


def log_id(arguments: list[Token]) -> Predicate:
    """`log_id("workerpool0-0")`: entries of the log with this id."""
    [wanted] = _exactly(arguments, 1, 'one log id, as in log_id("workerpool0-0")')
    end = "/logs/" + quote(wanted.value, safe="")
    return lambda entry: quote(str(entry.get("logName", "")), safe="/%").endswith(end)


def search(arguments: list[Token]) -> Predicate:
    """`SEARCH("loss nan")`, `SEARCH(textPayload, "loss")`: entries that hold all these words."""
    if len(arguments) not in (1, 2):
        raise ValueError('expected a text, or a field and a text, as in SEARCH("out of memory")')
    words = set(_words(arguments[-1].value))
    if not words:
        raise ValueError("expected a text with a word in it")
    path = arguments[0].path if len(arguments) == 2 else None

    def found(entry: Entry) -> bool:
        value = entry if path is None else at(entry, path)
        return words <= {word for text in texts(value) for word in _words(text)}

    return found


def sample(arguments: list[Token]) -> Predicate:
    """`sample(insertId, 0.25)`: a quarter of the entries, always the same."""
    by, share = _exactly(arguments, 2, "a field and a fraction, as in sample(insertId, 0.25)")
    fraction = float(share.value)
    if not 0 <= fraction <= 1:
        raise ValueError(f"expected a fraction from 0 to 1, got {share.text}")
    path = by.path
    return lambda entry: zlib.crc32(str(at(entry, path)).encode()) < fraction * 2**32


def ip_in_net(arguments: list[Token]) -> Predicate:
    """`ip_in_net(jsonPayload.address, "10.0.0.0/8")`: entries whose field lies in a network."""
    by, network = _exactly(arguments, 2, 'a field and a network, as in ip_in_net(f, "10.0.0.0/8")')
    path, net = by.path, ipaddress.ip_network(network.value, strict=False)

    def found(entry: Entry) -> bool:
        try:
            return ipaddress.ip_address(str(at(entry, path))) in net
        except ValueError:
            return False

    return found


FUNCTIONS: dict[str, Function] = {
    "log_id": log_id,
    "search": search,
    "sample": sample,
    "ip_in_net": ip_in_net,
}


def _exactly(arguments: list[Token], count: int, expected: str) -> list[Token]:
    if len(arguments) != count:
        raise ValueError(f"expected {expected}, got {len(arguments)} arguments")
    return arguments


def _words(text: str) -> list[str]:
    return [word for word in _DELIMITERS.split(text.lower()) if word]
