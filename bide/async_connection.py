"""Connections to the store for an event loop: what `bide.connection` is for threads."""

from __future__ import annotations

import asyncio
from typing import Any

import hiredis

from bide.address import Address
from bide.connection import CONNECT_S, PAUSES_S, REPLY_S, Argument, explain, greeting, pack, tls_context
from bide.errors import StoreUnavailable


class AsyncClient:
    """The store, for the coroutines of one event loop, each call on a connection that is free.

    As many are open as calls were ever under way at once: a blocking pop has one to itself.
    """

    def __init__(self, address: Address, reply_s: float | None) -> None:
        self._address = address
        self._reply_s = reply_s
        # A pop that was repeated unseen would hide that the first took a token, and whoever listens slept on.
        self._pauses_s = () if reply_s is None else PAUSES_S
        self._free: list[_Connection] = []

    async def execute_command(self, *args: Argument) -> Any:
        """Send one command and return its reply: bytes, int, None, or a list of such.

        Raises StoreUnavailable, NoScript, or ScriptError for any other error reply.
        """
        reply = await self._ask(args)
        if isinstance(reply, hiredis.ReplyError):
            meant = explain(str(reply))
            if isinstance(meant, StoreUnavailable):
                # Other connections may lead to a store that can: a replica stays one.
                await self.aclose()
            raise meant
        return reply

    async def aclose(self) -> None:
        """Let go of the connections; the next command opens another."""
        while self._free:
            self._free.pop().end()

    async def _ask(self, command: tuple[Argument, ...]) -> Any:
        """Ask, and again after a lost connection."""
        for pause_s in self._pauses_s:
            try:
                return await self._ask_once(command)
            except OSError:
                await asyncio.sleep(pause_s)
        try:
            return await self._ask_once(command)
        except OSError as error:
            said = str(error) or type(error).__name__
            raise StoreUnavailable(f"The store cannot be used: {said} ({self._address.place})") from error

    async def _ask_once(self, command: tuple[Argument, ...]) -> Any:
        while self._free:
            connection = self._free.pop()
            if not connection.is_spent:
                break
        else:
            connection = await _connected(self._address)
        reply = await connection.ask(command, self._reply_s)
        self._free.append(connection)
        return reply


class _Connection(asyncio.Protocol):
    """One socket, for one command at a time. Raises OSError for all that goes wrong, and is spent then."""

    def __init__(self) -> None:
        self.is_spent = False
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Any] | None = None

    async def ask(self, command: tuple[Argument, ...], reply_s: float | None) -> Any:
        """Send a command and return its reply, an error perhaps."""
        if self._transport is None or self.is_spent:
            raise ConnectionResetError("the store closed the connection")
        self._reply = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(reply_s):
                self._transport.write(pack(command))
                return await self._reply
        except BaseException:
            # Also when cancelled: the reply that is still to come would be taken for the next call's.
            self.end()
            raise
        finally:
            self._reply = None

    def end(self) -> None:
        self.is_spent = True
        if self._transport is not None:
            self._transport.abort()

    # --- what the event loop calls ----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            reply = self._reader.gets()
        except hiredis.ProtocolError as error:
            self._fail(ConnectionError(f"it is no store that answers: {error}"))
            return
        # False stands for a reply that is still incomplete: RESP2 has no booleans.
        if reply is False or self._reply is None or self._reply.done():
            return
        self._reply.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        closed = ConnectionResetError("the store closed the connection")
        self._fail(error if isinstance(error, OSError) else closed)

    def _fail(self, error: OSError) -> None:
        self.end()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)


async def _connected(address: Address) -> _Connection:
    """A new connection, logged in."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_S):
        if address.path:
            _, connection = await loop.create_unix_connection(_Connection, address.path)
        else:
            context = tls_context(address) if address.tls else None
            _, connection = await loop.create_connection(_Connection, address.host, address.port, ssl=context)
    for command in greeting(address):
        reply = await connection.ask(command, REPLY_S)
        if isinstance(reply, hiredis.ReplyError):
            connection.end()
            raise explain(str(reply))
    return connection


def connect_async(url: str, *, reply_s: float | None = REPLY_S) -> AsyncClient:
    """A client for a running event loop; connects only when first used. Raises ValueError, see Address.

    reply_s: how many seconds a reply may take; None for connections that block on the bell, whose
        calls are not repeated either.
    """
    return AsyncClient(Address.of(url), reply_s)
