"""An HTTP/1.1 client's connection that is kept, on an event loop: one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple, Self, cast
from urllib.parse import urlsplit

_CONNECT_SECONDS: Final = 10.0


class Reply(NamedTuple):
    """One answer."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class Address:
    """What a URL tells a connection. `path` comes before that of a request, and ends without a slash."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or 80
        self.path = parts.path.rstrip("/")


class Connection(asyncio.Protocol):
    """Open one with `open`; then `ask` as often as you like, in turn."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._received = b""
        self._reply: asyncio.Future[Reply] | None = None
        self._lost = False

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Raises OSError, TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, made = await loop.create_connection(lambda: cls(address), address.host, address.port)
        return made

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Send a request and wait for the whole answer. Raises ConnectionError."""
        if self._lost:
            raise ConnectionError("the server has closed the connection")
        self._reply = asyncio.get_running_loop().create_future()
        lines = [
            f"{method} {self._address.path}{path} HTTP/1.1",
            f"Host: {self._address.host}:{self._address.port}",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self._transport.write("\r\n".join((*lines, "", "")).encode("latin-1") + body)
        return await self._reply

    def close(self) -> None:
        self._transport.close()

    # --- asyncio.Protocol -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, there, body = self._received.partition(b"\r\n\r\n")
        if not there:
            return
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        if len(body) < int(headers.get("content-length", 0)):
            return
        self._received = b""
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(Reply(int(status.split(" ", 2)[1]), headers, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(exc or ConnectionError("the server has closed the connection"))
