"""Refuses what a web page in the user's browser could send.

The emulator runs code on request. A page of another site reaches loopback through a name of its
own (seen in `Host`) or across origins (seen in `Origin`, or in `Sec-Fetch-Site` where a browser
sends no `Origin`, as for an image).
"""

from collections.abc import Mapping

from vertex_emulator.errors import ApiError


class Guard:
    """Knows the names of the emulator's own address.

    Args:
        port: that the emulator listens on.
    """

    def __init__(self, port: int | None) -> None:
        names = ("127.0.0.1", "localhost", "[::1]")
        self._hosts = {f"{name}:{port}".encode() for name in names}
        if port == 80:
            self._hosts |= {name.encode() for name in names}
        self._origins = {b"http://" + host for host in self._hosts} | {b""}

    def refusal(self, headers: Mapping[bytes, bytes]) -> ApiError | None:
        """Returns 403 PERMISSION_DENIED for a request with these headers, or None.

        Args:
            headers: by names in lower case.
        """
        host = headers.get(b"host", b"")
        origin = headers.get(b"origin", b"")
        site = headers.get(b"sec-fetch-site", b"none")
        if host in self._hosts and origin in self._origins and site in (b"none", b"same-origin"):
            return None
        expected = ", ".join(sorted(each.decode() for each in self._hosts))
        got = (repr(each.decode("latin-1")) for each in (host, origin, site))
        return ApiError(
            403,
            "PERMISSION_DENIED",
            f"Expected a request to one of {expected} from no other site; got"
            " Host {}, Origin {}, Sec-Fetch-Site {}.".format(*got),
        )
