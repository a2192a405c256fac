"""Two streams, of which one takes what the other gives."""

import asyncio

AT_ONCE = 256 * 1024  # bytes that are passed on in one piece

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes on all that comes, and its end."""
    while data := await reader.read(AT_ONCE):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
