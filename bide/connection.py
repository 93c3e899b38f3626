"""Connections to the store: one place for time limits, retries, the parser and errors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from bide.errors import BideError, ScriptError, StoreUnavailable

CONNECT_S = 2.0
REPLY_S = 3.0
_RETRIES = 2
_RETRIED = (RedisConnectionError, RedisTimeoutError)
"""A repeated script answers as the first time did, so that every call may be retried."""

_OUT_OF_REACH: Final = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, OutOfMemoryError)
_IN_TROUBLE: Final = ("MISCONF", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOAUTH", "NOPERM")
"""Error replies that say nothing of the script: the operator has something to mend."""


def _backoff() -> ExponentialBackoff:
    return ExponentialBackoff(cap=0.5, base=0.02)


class ThreadConnections(redis.Redis):
    """A client whose every thread keeps a connection of its own.

    A pool's checkout and its bookkeeping cost as much as the call itself (`make bench
    ONLY=submit`); a handler's thread makes one call after another and needs neither.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held = threading.local()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command and return its reply, again after a lost connection, as redis-py does."""
        connection = self._of_this_thread()
        return connection.retry.call_with_retry(lambda: self._ask(connection, args, options), lambda _: None)

    def _ask(self, connection: redis.Connection, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        parse: Callable[..., Any] = super().parse_response
        try:
            connection.send_command(*args)
            return parse(connection, args[0], **options)
        except ReadOnlyError:
            # The primary has become a replica: the next call finds the new one.
            connection.disconnect()
            raise
        except ResponseError:
            raise
        except BaseException:
            # An interrupted call would leave its reply to the next one.
            connection.disconnect()
            raise

    def close(self) -> None:
        """Let go of every thread's connection."""
        self._held = threading.local()
        super().close()

    def _of_this_thread(self) -> redis.Connection:
        held = self._held
        if getattr(held, "pid", None) != os.getpid():  # a fork must not share its parent's
            held.pid, held.connection = os.getpid(), self.connection_pool.make_connection()
        connection: redis.Connection = held.connection
        return connection


_COMMON: Final[dict[str, Any]] = {
    "protocol": 2,
    "driver_info": None,  # no CLIENT SETINFO with each new connection
    "socket_connect_timeout": CONNECT_S,
}


def connect(url: str) -> redis.Redis:
    """A synchronous client; each thread connects at its first command."""
    retry = Retry(_backoff(), _RETRIES, supported_errors=_RETRIED)
    return ThreadConnections.from_url(url, socket_timeout=REPLY_S, retry=retry, **_COMMON)


def connect_async(url: str, *, reply_s: float | None = REPLY_S) -> redis.asyncio.Redis:
    """An asyncio client; `reply_s` None for connections that block on the bell."""
    # A pop that was repeated unseen would hide that the first took a token, and whoever listens slept on.
    retries = 0 if reply_s is None else _RETRIES
    retry = AsyncRetry(_backoff(), retries, supported_errors=_RETRIED)
    return redis.asyncio.Redis.from_url(url, socket_timeout=reply_s, retry=retry, **_COMMON)


def translate(error: RedisError, client: redis.Redis | redis.asyncio.Redis) -> BideError:
    """Our error for one of redis-py's; raise it from the other."""
    if isinstance(error, ReadOnlyError):
        # The primary has become a replica: no pooled connection leads anywhere useful.
        client.connection_pool.reset()
        return StoreUnavailable(f"The store is read-only just now ({error}). Try again.")
    if isinstance(error, AuthenticationError):
        return StoreUnavailable(f"The store refused the password in BIDE_REDIS_URL ({error}).")
    if isinstance(error, _OUT_OF_REACH) or str(error).startswith(_IN_TROUBLE):
        return StoreUnavailable(f"The store cannot be used: {error}")
    return ScriptError(f"The store answered: {error}")
