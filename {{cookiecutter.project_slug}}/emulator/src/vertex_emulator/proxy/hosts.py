"""Whose connections are Cloud Storage's.

Source: the addresses in TensorFlow's gcs_file_system.h, and its user agent in curl_http_request.cc.
"""

import re
import urllib.request

API_HOST = "https://www.googleapis.com"
HOSTS = ("www.googleapis.com", "storage.googleapis.com")

_TARGETS = {f"{host}:443".encode() for host in HOSTS}
# TensorFlow sends its name with CONNECT too. Others that ask the same hosts, as keras.datasets do
# with urllib, mean Google's own.
_USER_AGENT = re.compile(rb"\r\nuser-agent:[ \t]*TSL[ \t]*\r\n", re.IGNORECASE)


def is_tensorflows_storage(target: bytes, head: bytes) -> bool:
    """Whether a CONNECT comes from TensorFlow and asks for Cloud Storage.

    Args:
        target: `host:port`.
        head: the request line and the headers.
    """
    return target.lower() in _TARGETS and _USER_AGENT.search(head) is not None


def covers_storage(name: str) -> bool:
    """Whether an entry of `NO_PROXY` covers one of the hosts."""
    covers = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed's gap
    return any(covers(host, {"no": name}) for host in HOSTS)
