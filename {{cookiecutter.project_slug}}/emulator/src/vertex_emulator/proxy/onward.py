"""Connections to other hosts: straight, or through the proxy of who started the emulator."""

import asyncio
import base64
import ssl
import urllib.request
from urllib.parse import SplitResult, unquote, urlsplit

from vertex_emulator.proxy.streams import AT_ONCE, Stream

SCHEMES = {"http": 80, "https": 443}  # of a proxy, with its port where none is given


def can_pass_on() -> bool:
    """Whether the person's proxy for HTTPS, if there is one, is of a kind that is known here."""
    proxy = _proxy()
    return proxy is None or (proxy.scheme in SCHEMES and proxy.hostname is not None)


async def connect(host: str, port: int) -> Stream:
    """Opens a connection to a host.

    Raises:
        OSError: the host or the proxy cannot be reached, or the proxy refuses.
    """
    # Some systems look a host up for this.
    if await asyncio.to_thread(urllib.request.proxy_bypass, f"{host}:{port}"):
        proxy = None
    else:
        proxy = _proxy()
    if proxy is None:
        return await asyncio.open_connection(host, port, limit=AT_ONCE)
    context = ssl.create_default_context() if proxy.scheme == "https" else None
    reader, writer = await asyncio.open_connection(
        proxy.hostname, proxy.port or SCHEMES[proxy.scheme], ssl=context, limit=AT_ONCE
    )
    try:
        await _ask(proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", reader, writer)
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def _ask(
    proxy: SplitResult, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if proxy.username is not None:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        head += f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n"
    writer.write(f"{head}\r\n".encode())
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise OSError(f"the proxy {proxy.hostname} gave no answer") from error
    version, _, status = answer.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
    if not version.startswith("HTTP/1.") or not status.startswith("2"):
        raise OSError(f"the proxy {proxy.hostname} answered {status!r}")


def _proxy() -> SplitResult | None:
    """Returns the person's proxy for HTTPS, as Python's own programs find it."""
    proxies = urllib.request.getproxies()
    found = proxies.get("https") or proxies.get("all")
    if not found:
        return None
    return urlsplit(found if "://" in found else f"http://{found}")
