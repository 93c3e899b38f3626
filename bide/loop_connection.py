"""Connections to the store for an event loop: redis-py's, with the errors that `bide.connection` raises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bide.connection import CONNECT_S, REPLY_S, explain
from bide.errors import StoreUnavailable

_RETRIES: Final = 2
_RETRIED: Final = (RedisConnectionError, RedisTimeoutError)
"""A repeated script answers as the first time did, so that every call may be retried."""


class LoopClient(redis.asyncio.Redis):
    """redis-py's client; `execute_command` raises StoreUnavailable, ScriptError and NoScript."""

    _execute: Callable[..., Awaitable[Any]] = redis.asyncio.Redis.execute_command

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command and return its reply, again after a lost connection, as redis-py does."""
        try:
            return await self._execute(*args, **options)
        except AuthenticationError as error:
            raise StoreUnavailable(f"The store refused the password in BIDE_REDIS_URL ({error}).") from error
        except ResponseError as error:
            if isinstance(error, ReadOnlyError):
                # The primary has become a replica: no pooled connection leads anywhere useful.
                self.connection_pool.reset()
            # redis-py cuts the first word off what it knows.
            raise explain(f"{error.status_code or ''} {error}".strip()) from error
        except RedisError as error:
            raise StoreUnavailable(f"The store cannot be used: {error}") from error


def connect_loop(url: str, *, reply_s: float | None = REPLY_S) -> LoopClient:
    """A client for the running loop; `reply_s` None for connections that block on the bell."""
    # A pop that was repeated unseen would hide that the first took a token, and whoever listens slept on.
    retries = 0 if reply_s is None else _RETRIES
    client: LoopClient = LoopClient.from_url(  # type: ignore[assignment]  # it is of the class it is asked of
        url,
        protocol=2,
        driver_info=None,  # no CLIENT SETINFO with each new connection
        socket_connect_timeout=CONNECT_S,
        socket_timeout=reply_s,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.02), retries, supported_errors=_RETRIED),
    )
    return client
