"""Connections to the store for an event loop: redis-py's, with our time limits, retries and errors."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bide import forks
from bide.address import Address
from bide.connection import CONNECT_S, PAUSES_S, REPLY_S, Argument
from bide.error_replies import NoScript, Passing, explain
from bide.errors import StoreError, StoreUnavailable

_RETRIES: Final = 2
_RETRIED: Final = (RedisConnectionError, RedisTimeoutError)
"""A repeated script answers as the first time did, so that every call may be retried."""


class AsyncClient:
    """The store, for the coroutines of one event loop, each call on a connection that is free.

    As many are open as calls were ever under way at once: a blocking pop has one to itself.
    """

    def __init__(self, client: redis.asyncio.Redis, address: Address, *, repeats: bool) -> None:
        """repeats: a call is made again where the store's state may be over."""
        self._client = client
        self._address = address
        self._pauses_s = PAUSES_S if repeats else ()

    async def execute_command(self, *args: Argument) -> Any:
        """Send one command and return its reply: bytes, int, None, or a list of such.

        Raises what `bide.error_replies.explain` makes of an error reply, and StoreUnavailable without one.
        """
        for pause_s in self._pauses_s:
            try:
                return await self._ask(args)
            except Passing:
                await asyncio.sleep(pause_s)
        return await self._ask(args)

    async def _ask(self, args: tuple[Argument, ...]) -> Any:
        try:
            return await self._client.execute_command(*args)
        except (RedisError, ValueError) as error:
            meant = self._explained(error)
            if isinstance(meant, StoreUnavailable) and not isinstance(meant, NoScript):
                # Other connections may lead to a store that can: a replica stays one.
                await self._client.connection_pool.disconnect(inuse_connections=False)
            raise meant from error

    async def aclose(self) -> None:
        """Let go of the connections; the next command opens another."""
        await self._client.aclose()

    def _explained(self, error: RedisError | ValueError) -> StoreError:
        """What went wrong. redis-py takes the code off error replies that it knows, and keeps it."""
        if isinstance(error, RedisError) and error.status_code is not None:
            return explain(f"{error.status_code} {error}")
        if isinstance(error, ResponseError):
            return explain(str(error))
        if isinstance(error, ValueError):  # of a MOVED or ASK that redis-py cannot take apart
            return explain("MOVED")
        said = f"it is no store that answers: {error}" if isinstance(error, InvalidResponse) else str(error)
        return StoreUnavailable(f"The store cannot be used: {said} ({self._address.place})")


async def _greet(connection: Any) -> None:
    forks.keep(connection._writer)
    await connection.on_connect()


def connect_async(url: str, *, reply_s: float | None = REPLY_S) -> AsyncClient:
    """A client for a running event loop; connects only when first used. Raises ValueError, see Address.

    reply_s: how many seconds a reply may take; None for connections that block on the bell, whose
        calls are not repeated either.
    """
    # A pop that was repeated unseen would hide that the first took a token, and whoever listens slept on.
    retries = 0 if reply_s is None else _RETRIES
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.02), retries, supported_errors=_RETRIED)
    client = redis.asyncio.Redis.from_url(
        url,
        protocol=2,
        driver_info=None,  # no CLIENT SETINFO with each new connection
        socket_connect_timeout=CONNECT_S,
        socket_timeout=reply_s,
        retry=retry,
        redis_connect_func=_greet,
    )
    client.response_callbacks.clear()  # replies as they come, as those of `bide.connection`
    return AsyncClient(client, Address.of(url), repeats=reply_s is not None)
